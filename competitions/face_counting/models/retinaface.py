"""RetinaFace on MobileNet 0.25 (Deng et al. 2020): a small network trained for faces alone.

The layers follow biubug6's PyTorch version for small devices (Face-Detector-1MB, trained on WIDER FACE), so
that its weights fit. A related network of the same tensor names has larger anchors and leaky ReLU; its
weights do not fit. The head for five facial landmarks is left out, because counting does not need it.
"""

import re

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.ops import box_convert, box_iou

from common.learn.arrays import Float64
from common.run.experiments import NoOptions, read_options
from competitions.face_counting.experiment import DetectorSettings
from competitions.face_counting.models.base import DenseDetector
from competitions.face_counting.models.registry import DETECTORS

STRIDES = (8, 16, 32)
ANCHOR_SIDES = ((10, 20), (32, 64), (128, 256))
"""Sides in px of the two square anchors at every location of each stride."""
VARIANCES = (0.1, 0.2)
"""Scale of the center's offset, in anchor sides, and of the logarithm of the side."""
MEAN_BGR = (104.0, 117.0, 123.0)
POSITIVE_IOU = 0.35
"""IoU from which an anchor is assigned to a face."""
NEGATIVES = 7
"""Hard negative mining: anchors without a face in the loss, for each anchor with one."""
BOX_GAIN = 2.0
NAMES = (
    (r"^module\.", ""),
    (r"^body\.stage(\d)\.", r"stages.\1."),
    (r"^fpn\.output(\d)\.", r"laterals.\1."),
    (r"^fpn\.merge(\d)\.", r"smoothing.\1."),
    (r"^ssh(\d)\.conv3X3\.", r"contexts.\1.near."),
    (r"^ssh(\d)\.conv5X5_1\.", r"contexts.\1.wide."),
    (r"^ssh(\d)\.conv5X5_2\.", r"contexts.\1.wider."),
    (r"^ssh(\d)\.conv7X7_2\.", r"contexts.\1.beyond."),
    (r"^ssh(\d)\.conv7x7_3\.", r"contexts.\1.widest."),
    (r"^ClassHead\.(\d)\.conv1x1\.", r"classes.\1."),
    (r"^BboxHead\.(\d)\.conv1x1\.", r"edges.\1."),
)
"""Names in published state dicts, and here; some of theirs count from 1."""


@DETECTORS.register("retinaface")
class RetinaFace(DenseDetector):
    """MobileNet 0.25, a feature pyramid of 64 channels, context modules, and heads at three strides."""

    weights = ("retinaface_mobilenet0.25", "retinaface_mnet0.25_biubug6", "mobilenet0.25_Final")
    any_size = True

    def __init__(self, settings: DetectorSettings, face_sides: Float64 | None = None) -> None:  # noqa: ARG002
        super().__init__(settings, None)
        read_options(NoOptions, settings.options, "detector.options")
        self.stages = nn.ModuleList(
            [
                nn.Sequential(
                    _convolution(3, 8, 3, 2),
                    _separable(8, 16),
                    _separable(16, 32, 2),
                    _separable(32, 32),
                    _separable(32, 64, 2),
                    _separable(64, 64),
                ),
                nn.Sequential(_separable(64, 128, 2), *(_separable(128, 128) for _ in range(5))),
                nn.Sequential(_separable(128, 256, 2), _separable(256, 256)),
            ]
        )
        self.laterals = nn.ModuleList([_convolution(channels, 64, 1) for channels in (64, 128, 256)])
        self.smoothing = nn.ModuleList([_convolution(64, 64, 3) for _ in range(2)])
        self.contexts = nn.ModuleList([_Context() for _ in STRIDES])
        self.classes = nn.ModuleList([nn.Conv2d(64, 2 * 2, 1) for _ in STRIDES])
        self.edges = nn.ModuleList([nn.Conv2d(64, 2 * 4, 1) for _ in STRIDES])
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores before the softmax and offsets of the boxes at all anchors.

        Parameters
        ----------
        pixels : (batch, 3, height, width) float, as made by `scale_pixels`.

        Returns
        -------
        (batch, anchors, 2) for no face and face, (batch, anchors, 4)
        """
        features = []
        for stage in self.stages:
            pixels = stage(pixels)
            features.append(pixels)
        low, middle, high = (lateral(each) for lateral, each in zip(self.laterals, features, strict=True))
        middle = self.smoothing[1](middle + F.interpolate(high, size=middle.shape[-2:], mode="nearest"))
        low = self.smoothing[0](low + F.interpolate(middle, size=low.shape[-2:], mode="nearest"))
        maps = [context(each) for context, each in zip(self.contexts, (low, middle, high), strict=True)]
        classes = [_by_anchor(head(each), 2) for head, each in zip(self.classes, maps, strict=True)]
        edges = [_by_anchor(head(each), 4) for head, each in zip(self.edges, maps, strict=True)]
        return torch.cat(classes, dim=1), torch.cat(edges, dim=1)

    def losses(self, images: torch.Tensor, boxes: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        """Cross-entropy with the hardest negatives, and smooth L1 of the offsets, per positive anchor."""
        classes, edges = self(self.scale_pixels(images))
        locations = anchors(images.shape[-2], images.shape[-1]).to(edges)
        class_loss, box_loss = edges.new_zeros(()), edges.new_zeros(())
        matched = 0
        for scores, offsets, faces in zip(classes.float(), edges.float(), boxes, strict=True):
            owner = match(locations, faces.to(locations))
            has_face = owner >= 0
            positives = int(has_face.sum())
            each = F.cross_entropy(scores, has_face.long(), reduction="none")
            negatives = each[~has_face].topk(min(NEGATIVES * max(1, positives), int((~has_face).sum())))
            class_loss = class_loss + each[has_face].sum() + negatives.values.sum()
            if positives:
                wanted = encode(faces.to(locations)[owner[has_face]], locations[has_face])
                box_loss = box_loss + F.smooth_l1_loss(offsets[has_face], wanted, reduction="sum")
            matched += positives
        return {
            "class_loss": class_loss / max(1, matched),
            "box_loss": BOX_GAIN * box_loss / max(1, matched),
        }

    def scale_pixels(self, images: torch.Tensor) -> torch.Tensor:
        """Float BGR minus the mean, channels last in memory."""
        mean = torch.tensor(MEAN_BGR, device=images.device).view(3, 1, 1)
        return (images.flip(1).float() - mean).contiguous(memory_format=torch.channels_last)

    def decode_outputs(
        self, outputs: list[torch.Tensor], height: int, width: int
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Boxes and scores of all anchors."""
        classes, edges = outputs
        locations = anchors(height, width).to(edges)
        scores = classes.float().softmax(dim=-1)[..., 1]
        return [
            (decode(offsets, locations), each) for offsets, each in zip(edges.float(), scores, strict=True)
        ]

    def state_key(self, foreign: str) -> str:
        """From the names of published state dicts."""
        name = foreign
        for pattern, ours in NAMES:
            name = re.sub(pattern, ours, name)
        counted = re.match(r"^(stages|laterals|smoothing|contexts)\.(\d)(\..*)$", name)
        if counted and name != foreign.removeprefix("module."):
            name = f"{counted[1]}.{int(counted[2]) - 1}{counted[3]}"
        return name


def anchors(height: int, width: int) -> torch.Tensor:
    """(anchors, 4) center x, center y, width, height in px, in the order of the heads."""
    parts = []
    for stride, sides in zip(STRIDES, ANCHOR_SIDES, strict=True):
        y = (torch.arange(-(-height // stride)) + 0.5) * stride
        x = (torch.arange(-(-width // stride)) + 0.5) * stride
        center = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1).reshape(-1, 1, 2)
        side = torch.tensor(sides, dtype=torch.float32).view(1, -1, 1)
        # (locations, 2 anchors, 4) flattened to (locations x 2, 4), as `_by_anchor` flattens the heads.
        parts.append(
            torch.cat((center.expand(-1, len(sides), 2), side.expand(len(center), -1, 2)), dim=-1).reshape(
                -1, 4
            )
        )
    return torch.cat(parts)


def match(locations: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
    """(anchors,) number of the face that each anchor is assigned to, -1 for none.

    An anchor takes the face that it overlaps most, from an IoU of 0.35 on; each face gets at least its best
    anchor.
    """
    if len(faces) == 0:
        return torch.full((len(locations),), -1, device=locations.device)
    iou = box_iou(faces, box_convert(locations, "cxcywh", "xyxy"))
    best, owner = iou.max(dim=0)
    owner = owner.where(best >= POSITIVE_IOU, -1)
    owner[iou.argmax(dim=1)] = torch.arange(len(faces), device=locations.device)
    return owner


def encode(boxes: torch.Tensor, locations: torch.Tensor) -> torch.Tensor:
    """Boxes (n, 4), corners, as offsets from their anchors (n, 4)."""
    own = box_convert(boxes, "xyxy", "cxcywh")
    center = (own[:, :2] - locations[:, :2]) / (VARIANCES[0] * locations[:, 2:])
    return torch.cat((center, (own[:, 2:] / locations[:, 2:]).log() / VARIANCES[1]), dim=1)


def decode(offsets: torch.Tensor, locations: torch.Tensor) -> torch.Tensor:
    """The inverse of `encode`."""
    center = locations[:, :2] + offsets[:, :2] * VARIANCES[0] * locations[:, 2:]
    sides = locations[:, 2:] * (offsets[:, 2:] * VARIANCES[1]).exp()
    return torch.cat((center - sides / 2, center + sides / 2), dim=1)


class _Context(nn.Module):
    """SSH's context module: receptive fields of one, two and three 3x3 convolutions, concatenated."""

    def __init__(self) -> None:
        super().__init__()
        self.near = _convolution(64, 32, 3, activated=False)
        self.wide = _convolution(64, 16, 3)
        self.wider = _convolution(16, 16, 3, activated=False)
        self.beyond = _convolution(16, 16, 3)
        self.widest = _convolution(16, 16, 3, activated=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        wide = self.wide(features)
        parts = (self.near(features), self.wider(wide), self.widest(self.beyond(wide)))
        return F.relu(torch.cat(parts, dim=1))


def _convolution(
    inside: int, outside: int, side: int, stride: int = 1, activated: bool = True
) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inside, outside, side, stride, side // 2, bias=False),
        nn.BatchNorm2d(outside),
    ]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if activated else []))


def _separable(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution of each channel by itself, then a 1x1 convolution over the channels."""
    return nn.Sequential(
        nn.Conv2d(inside, inside, 3, stride, 1, groups=inside, bias=False),
        nn.BatchNorm2d(inside),
        nn.ReLU(inplace=True),
        nn.Conv2d(inside, outside, 1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


def _by_anchor(head: torch.Tensor, values: int) -> torch.Tensor:
    """A head's map (batch, 2 x values, height, width) as (batch, anchors, values)."""
    return head.permute(0, 2, 3, 1).reshape(head.shape[0], -1, values)
