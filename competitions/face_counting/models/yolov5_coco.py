"""The YOLOv5 of 2021 with its COCO classes and anchors, off the shelf: it finds persons.

The labels of this challenge count heads that are turned away; a face detector misses them, a person detector
does not. Each detected person is taken as a head: the upper middle of its box.
"""

import torch
from torch import nn

from common.learn.arrays import Float64
from common.run.experiments import NoOptions, read_options
from competitions.face_counting.experiment import DetectorSettings
from competitions.face_counting.models.base import DenseDetector
from competitions.face_counting.models.registry import DETECTORS
from competitions.face_counting.models.yolov5_backbone import SIZES, STRIDES, Yolov5Features

PERSON = 0
CLASSES = 80
ANCHORS = (
    ((10, 13), (16, 30), (33, 23)),
    ((30, 61), (62, 45), (59, 119)),
    ((116, 90), (156, 198), (373, 326)),
)
"""Widths and heights in px at each stride, fitted to COCO by its authors."""
HEAD_WIDTH, HEAD_HEIGHT = 0.45, 0.35
"""Upper limit of a head's width, as shares of the person's width and height."""
HEAD_ASPECT = 1.2
"""Height of a head over its width."""


@DETECTORS.register("yolov5_coco")
class Yolov5Coco(DenseDetector):
    """ultralytics' backbone and neck under the anchor-based head of 2021."""

    sizes = SIZES
    weights = ("yolov5{size}_coco_sd", "yolov5{size}")
    trainable = False
    any_size = True

    def __init__(self, settings: DetectorSettings, face_sides: Float64 | None = None) -> None:  # noqa: ARG002
        super().__init__(settings, None)
        read_options(NoOptions, settings.options, "detector.options")
        self.features = Yolov5Features(settings.size)
        self.heads = nn.ModuleList(
            [nn.Conv2d(inside, 3 * (5 + CLASSES), 1) for inside in self.features.channels]
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """One map per stride: (batch, 3 anchors x 85 values, rows, columns), before the sigmoid."""
        maps = self.features(pixels).values()
        return tuple(head(each) for head, each in zip(self.heads, maps, strict=True))

    def decode_outputs(
        self,
        outputs: list[torch.Tensor],
        height: int,  # noqa: ARG002
        width: int,  # noqa: ARG002
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """The head of every person, and the person's score."""
        boxes, scores = [], []
        for output, stride, sides in zip(outputs, STRIDES, ANCHORS, strict=True):
            batch, _, rows, columns = output.shape
            # (batch, anchors, rows, columns, 85): x, y, width, height, objectness, 80 class scores.
            values = (
                output.float().view(batch, 3, 5 + CLASSES, rows, columns).permute(0, 1, 3, 4, 2).sigmoid()
            )
            y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
            cell = torch.stack((x, y), dim=-1).to(values)
            center = (values[..., :2] * 2 - 0.5 + cell) * stride
            side = (values[..., 2:4] * 2) ** 2 * torch.tensor(sides).to(values).view(1, 3, 1, 1, 2)
            boxes.append(torch.cat((center - side / 2, center + side / 2), dim=-1).reshape(batch, -1, 4))
            scores.append((values[..., 4] * values[..., 5 + PERSON]).reshape(batch, -1))
        return [
            (heads_of(own), score)
            for own, score in zip(torch.cat(boxes, dim=1), torch.cat(scores, dim=1), strict=True)
        ]

    def losses(self, images: torch.Tensor, boxes: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        """It is not trained here: NotImplementedError."""
        raise NotImplementedError("yolov5_coco is used off the shelf")

    def state_key(self, foreign: str) -> str:
        """Names of ultralytics' state dicts, with or without `model.`."""
        inner = foreign.removeprefix("model.")
        if inner.startswith("24.m."):
            return inner.replace("24.m.", "heads.")
        return f"features.{self.features.state_key(foreign)}"


def heads_of(persons: torch.Tensor) -> torch.Tensor:
    """Boxes (n, 4) of persons as boxes of their heads, in px: upper middle."""
    sides = persons[:, 2:] - persons[:, :2]
    width = torch.minimum(HEAD_WIDTH * sides[:, 0], HEAD_HEIGHT * sides[:, 1])
    center = (persons[:, 0] + persons[:, 2]) / 2
    top = persons[:, 1]
    return torch.stack((center - width / 2, top, center + width / 2, top + HEAD_ASPECT * width), dim=1)
