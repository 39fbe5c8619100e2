"""Faster R-CNN as the article's baseline and as the article proposed to improve it.

`faster_rcnn` (Ren et al. 2015): VGG-16, nine anchors at every place of its last map, RoI pooling, two fully
connected layers. `faster_rcnn_fpn`: ResNet-101 with a feature pyramid, three anchors at every place of five
levels, RoIAlign, and global average pooling instead of the fully connected layers. `faster_rcnn_yolov5`,
light enough to train on a CPU: the same on the maps of a YOLOv5, six anchors at every place of three levels.
"""

from collections import OrderedDict

import torch
import torchvision
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.ops import FrozenBatchNorm2d, RoIPool

from competitions.face_counting.experiment import DetectorSettings
from competitions.face_counting.models.anchors import anchor_buffer
from competitions.face_counting.models.base import FaceDetector, Sides
from competitions.face_counting.models.torchvision_adapter import (
    FOUND_ABOVE,
    FOUND_OVERLAP,
    IMAGENET,
    MOST_FOUND,
    PLAIN,
    SizeKept,
    as_input,
)
from competitions.face_counting.models.yolov5_backbone import Yolov5Features

RATIOS = (0.5, 1.0, 2.0)
VGG_SIDES = (128, 256, 512)
PYRAMID_SIDES = (32, 64, 128, 256, 512)
LIGHT_SIDES = ((12, 24), (40, 64), (112, 192))
LIGHT_SAMPLES, LIGHT_PROPOSALS, LIGHT_KEPT = 64, 400, 150
"""Proposals of the light one: learned from in a picture; of a level, before suppression; left after it."""
VGG_STRIDE = 16
POOLED = 7
VGG_WIDTH, PYRAMID_WIDTH, LIGHT_WIDTH = 4096, 256, 64


class FasterRcnn(FaceDetector):
    """torchvision's two stages around the article's two backbones, or around a YOLOv5's."""

    anchor_sides: torch.Tensor
    """(anchors, 2) fitted widths and heights in px, smallest first; empty where the usual ones are used."""

    def __init__(self, settings: DetectorSettings, face_sides: Sides | None) -> None:
        super().__init__()
        self.family = settings.family
        if self.family == "faster_rcnn":
            self.network = _on_vgg16()
        elif self.family == "faster_rcnn_fpn":
            self.network = _on_resnet101(settings.pretrained)
        else:
            self.network = _on_yolov5(settings)
        self.levels = len(self.network.rpn.anchor_generator.sizes)
        number = self.network.rpn.anchor_generator.num_anchors_per_location()
        self.register_buffer("anchor_sides", anchor_buffer(settings, sum(number), face_sides))

    def losses(self, canvases: torch.Tensor, boxes: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        """Objectness and boxes of the proposals, class and boxes of the second stage."""
        self._use_fitted_anchors()
        targets = [
            {"boxes": own.float(), "labels": torch.ones(len(own), dtype=torch.int64, device=own.device)}
            for own in boxes
        ]
        losses = self.network(as_input(canvases), targets)
        return {name.removeprefix("loss_"): value for name, value in losses.items()}

    def candidates(self, canvases: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """At most 300 boxes a canvas."""
        self._use_fitted_anchors()
        return [(found["boxes"], found["scores"]) for found in self.network(as_input(canvases))]

    def own_name(self, foreign: str) -> str:
        """From torchvision's ImageNet weights of the backbone, or from its whole detectors."""
        if self.family == "faster_rcnn_yolov5":
            return f"network.backbone.features.{self.network.backbone.features.own_name(foreign)}"
        if foreign.startswith(("backbone.", "rpn.", "roi_heads.")):
            return f"network.{foreign}"
        if self.family == "faster_rcnn_fpn":
            return f"network.backbone.body.{foreign}"
        # VGG-16's first two fully connected layers are the second stage's.
        for theirs, ours in (("features.", "backbone."), ("classifier.0.", "roi_heads.box_head.1.")):
            if foreign.startswith(theirs):
                return f"network.{ours}{foreign.removeprefix(theirs)}"
        return f"network.{foreign.replace('classifier.3.', 'roi_heads.box_head.4.')}"

    def _use_fitted_anchors(self) -> None:
        if len(self.anchor_sides):
            corners = torch.cat((-self.anchor_sides, self.anchor_sides), dim=1) / 2
            self.network.rpn.anchor_generator.cell_anchors = list(corners.chunk(self.levels))


class _RoIPooling(nn.Module):
    """Maximum of each of 7 x 7 cells of a proposal, as before RoIAlign; called by torchvision's heads."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = RoIPool(POOLED, spatial_scale=1 / VGG_STRIDE)

    def forward(
        self,
        features: dict[str, torch.Tensor],
        boxes: list[torch.Tensor],
        image_shapes: list[tuple[int, int]],  # noqa: ARG002
    ) -> torch.Tensor:
        (only,) = features.values()
        pooled: torch.Tensor = self.pool(only, boxes)
        return pooled


class _EvenMaps(nn.Module):
    """A YOLOv5's maps, all brought to one number of channels, as torchvision's heads want them."""

    out_channels = LIGHT_WIDTH

    def __init__(self, settings: DetectorSettings) -> None:
        super().__init__()
        self.features = Yolov5Features(settings)
        self.laterals = nn.ModuleList(
            [nn.Conv2d(inside, LIGHT_WIDTH, 1) for inside in self.features.channels]
        )

    def forward(self, pixels: torch.Tensor) -> "OrderedDict[str, torch.Tensor]":
        maps = self.features(pixels)
        return OrderedDict(
            (level, lateral(own)) for (level, own), lateral in zip(maps.items(), self.laterals, strict=True)
        )


def _on_vgg16() -> FasterRCNN:
    # Without its last pooling, as in the paper: one map of stride 16.
    backbone = torchvision.models.vgg16(weights=None).features[:-1]
    backbone.out_channels = 512
    network = FasterRCNN(
        backbone,
        rpn_anchor_generator=AnchorGenerator((VGG_SIDES,), (RATIOS,)),
        box_roi_pool=None,
        box_head=nn.Sequential(
            OrderedDict(
                [
                    ("0", nn.Flatten()),
                    ("1", nn.Linear(512 * POOLED**2, VGG_WIDTH)),
                    ("2", nn.ReLU()),
                    ("3", nn.Dropout()),
                    ("4", nn.Linear(VGG_WIDTH, VGG_WIDTH)),
                    ("5", nn.ReLU()),
                    ("6", nn.Dropout()),
                ]
            )
        ),
        box_predictor=FastRCNNPredictor(VGG_WIDTH, 2),
        **_detection_settings(),
    )
    # The constructor takes RoIAlign alone.
    network.roi_heads.box_roi_pool = _RoIPooling()
    network.transform = SizeKept(*IMAGENET)
    return network


def _on_resnet101(pretrained: bool) -> FasterRCNN:
    # Small batches spoil the statistics of batch normalisation: given ones stay as they are.
    backbone = resnet_fpn_backbone(
        backbone_name="resnet101",
        weights=None,
        norm_layer=FrozenBatchNorm2d if pretrained else nn.BatchNorm2d,
        trainable_layers=5,
    )
    network = FasterRCNN(
        backbone,
        rpn_anchor_generator=AnchorGenerator(
            tuple((side,) for side in PYRAMID_SIDES), (RATIOS,) * len(PYRAMID_SIDES)
        ),
        box_head=_averaged_convolutions(PYRAMID_WIDTH, 4),
        box_predictor=FastRCNNPredictor(PYRAMID_WIDTH, 2),
        **_detection_settings(),
    )
    network.transform = SizeKept(*IMAGENET)
    return network


def _on_yolov5(settings: DetectorSettings) -> FasterRCNN:
    network = FasterRCNN(
        _EvenMaps(settings),
        rpn_anchor_generator=AnchorGenerator(LIGHT_SIDES, (RATIOS,) * len(LIGHT_SIDES)),
        box_head=_averaged_convolutions(LIGHT_WIDTH, 1),
        box_predictor=FastRCNNPredictor(LIGHT_WIDTH, 2),
        box_batch_size_per_image=LIGHT_SAMPLES,
        **dict.fromkeys(("rpn_pre_nms_top_n_train", "rpn_pre_nms_top_n_test"), LIGHT_PROPOSALS),
        **dict.fromkeys(("rpn_post_nms_top_n_train", "rpn_post_nms_top_n_test"), LIGHT_KEPT),
        **_detection_settings(),
    )
    network.transform = SizeKept(*PLAIN)
    return network


def _averaged_convolutions(channels: int, number: int) -> nn.Sequential:
    convolutions: list[nn.Module] = []
    for _ in range(number):
        convolutions += [nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*convolutions, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _detection_settings() -> dict[str, object]:
    return {
        "box_score_thresh": FOUND_ABOVE,
        "box_nms_thresh": FOUND_OVERLAP,
        "box_detections_per_img": MOST_FOUND,
    }
