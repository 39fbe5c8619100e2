"""Faster R-CNN (Ren et al. 2015): the paper's baseline, its proposed improvement, and a light one for CPUs.

`faster_rcnn`: VGG-16, nine anchors at every location of its last feature map, RoI pooling, two fully
connected layers. `faster_rcnn_fpn`: ResNet-101 with a feature pyramid, three anchors at every location of
five levels, RoIAlign, and global average pooling instead of the fully connected layers. `faster_rcnn_yolov5`:
the same on the feature maps of a YOLOv5, six anchors at every location of three levels.
"""

from abc import abstractmethod
from collections import OrderedDict

import torch
import torchvision
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.ops import FrozenBatchNorm2d, RoIPool

from common.learn.arrays import Float64
from common.run.experiments import read_options
from competitions.face_counting.experiment import DetectorSettings
from competitions.face_counting.models.anchors import AnchorOptions, anchor_buffer
from competitions.face_counting.models.base import FaceDetector
from competitions.face_counting.models.registry import DETECTORS
from competitions.face_counting.models.torchvision_adapter import (
    IMAGENET,
    MAX_DETECTIONS,
    NMS_IOU,
    SCORE_THRESHOLD,
    UNIT_RANGE,
    NormalizeOnly,
    as_float_images,
)
from competitions.face_counting.models.yolov5_backbone import SIZES, WEIGHTS, Yolov5Features

RATIOS = (0.5, 1.0, 2.0)
VGG_SIDES = (128, 256, 512)
PYRAMID_SIDES = (32, 64, 128, 256, 512)
LIGHT_SIDES = ((12, 24), (40, 64), (112, 192))
LIGHT_SAMPLES, LIGHT_PROPOSALS, LIGHT_KEPT = 64, 400, 150
"""Proposals of the light one: sampled per image in training; per level before NMS; kept after it."""
VGG_STRIDE = 16
POOLED = 7
VGG_WIDTH, PYRAMID_WIDTH, LIGHT_WIDTH = 4096, 256, 64
LIMITS = {
    "box_score_thresh": SCORE_THRESHOLD,
    "box_nms_thresh": NMS_IOU,
    "box_detections_per_img": MAX_DETECTIONS,
}


class FasterRcnn(FaceDetector):
    """torchvision's two stages around one backbone or another."""

    anchor_sides: torch.Tensor
    """(anchors, 2) fitted widths and heights in px, sorted by area; empty for default anchors."""

    def __init__(self, settings: DetectorSettings, face_sides: Float64 | None = None) -> None:
        super().__init__(settings, face_sides)
        options = read_options(AnchorOptions, settings.options, "detector.options")
        self.network = self.build(settings)
        self.levels = len(self.network.rpn.anchor_generator.sizes)
        number = self.network.rpn.anchor_generator.num_anchors_per_location()
        self.register_buffer("anchor_sides", anchor_buffer(options, sum(number), face_sides))

    @staticmethod
    @abstractmethod
    def build(settings: DetectorSettings) -> FasterRCNN:
        """The network with random weights."""

    def losses(self, images: torch.Tensor, boxes: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        """Objectness and boxes of the proposals, class and boxes of the second stage."""
        self._use_fitted_anchors()
        targets = [
            {"boxes": own.float(), "labels": torch.ones(len(own), dtype=torch.int64, device=own.device)}
            for own in boxes
        ]
        losses = self.network(as_float_images(images), targets)
        return {name.removeprefix("loss_"): value for name, value in losses.items()}

    def candidates(self, images: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """At most 300 boxes per image."""
        self._use_fitted_anchors()
        return [(found["boxes"], found["scores"]) for found in self.network(as_float_images(images))]

    def state_key(self, foreign: str) -> str:
        """From torchvision's whole detectors, or from the ImageNet weights of the backbone."""
        if foreign.startswith(("backbone.", "rpn.", "roi_heads.")):
            return f"network.{foreign}"
        return self.backbone_key(foreign)

    @abstractmethod
    def backbone_key(self, foreign: str) -> str:
        """`state_key` for the weights of the backbone alone."""

    def _use_fitted_anchors(self) -> None:
        if len(self.anchor_sides):
            corners = torch.cat((-self.anchor_sides, self.anchor_sides), dim=1) / 2
            self.network.rpn.anchor_generator.cell_anchors = list(corners.chunk(self.levels))


@DETECTORS.register("faster_rcnn")
class FasterRcnnVgg16(FasterRcnn):
    """The paper's baseline."""

    weights = ("vgg16",)
    new_in_training = ("network.rpn.", "network.roi_heads.box_predictor.")

    @staticmethod
    def build(settings: DetectorSettings) -> FasterRCNN:  # noqa: ARG004
        """VGG-16 without its last pooling, as published: one feature map of stride 16."""
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
            **LIMITS,
        )
        # The constructor accepts no other pooling than RoIAlign.
        network.roi_heads.box_roi_pool = _RoIPooling()
        network.transform = NormalizeOnly(*IMAGENET)
        return network

    def backbone_key(self, foreign: str) -> str:
        """VGG-16's first two fully connected layers become the second stage's."""
        for theirs, ours in (("features.", "backbone."), ("classifier.0.", "roi_heads.box_head.1.")):
            if foreign.startswith(theirs):
                return f"network.{ours}{foreign.removeprefix(theirs)}"
        return f"network.{foreign.replace('classifier.3.', 'roi_heads.box_head.4.')}"


@DETECTORS.register("faster_rcnn_fpn")
class FasterRcnnFpn(FasterRcnn):
    """The improvement that the paper proposes."""

    weights = ("resnet101",)
    new_in_training = ("network.backbone.fpn.", "network.rpn.", "network.roi_heads.")

    @staticmethod
    def build(settings: DetectorSettings) -> FasterRCNN:
        """ResNet-101 with a feature pyramid."""
        # Small batches spoil BatchNorm statistics, so those of pretrained weights are frozen.
        backbone = resnet_fpn_backbone(
            backbone_name="resnet101",
            weights=None,
            norm_layer=FrozenBatchNorm2d if settings.pretrained else nn.BatchNorm2d,
            trainable_layers=5,
        )
        network = FasterRCNN(
            backbone,
            rpn_anchor_generator=AnchorGenerator(
                tuple((side,) for side in PYRAMID_SIDES), (RATIOS,) * len(PYRAMID_SIDES)
            ),
            box_head=_averaged_convolutions(PYRAMID_WIDTH, 4),
            box_predictor=FastRCNNPredictor(PYRAMID_WIDTH, 2),
            **LIMITS,
        )
        network.transform = NormalizeOnly(*IMAGENET)
        return network

    def backbone_key(self, foreign: str) -> str:
        """Names of a ResNet."""
        return f"network.backbone.body.{foreign}"


@DETECTORS.register("faster_rcnn_yolov5")
class FasterRcnnYolov5(FasterRcnn):
    """Light enough to train on a CPU."""

    sizes = SIZES
    weights = WEIGHTS
    new_in_training = ("network.backbone.laterals.", "network.rpn.", "network.roi_heads.")

    @staticmethod
    def build(settings: DetectorSettings) -> FasterRCNN:
        """Two stages on the feature maps of a YOLOv5."""
        network = FasterRCNN(
            _EqualChannels(settings.size),
            rpn_anchor_generator=AnchorGenerator(LIGHT_SIDES, (RATIOS,) * len(LIGHT_SIDES)),
            box_head=_averaged_convolutions(LIGHT_WIDTH, 1),
            box_predictor=FastRCNNPredictor(LIGHT_WIDTH, 2),
            box_batch_size_per_image=LIGHT_SAMPLES,
            **dict.fromkeys(("rpn_pre_nms_top_n_train", "rpn_pre_nms_top_n_test"), LIGHT_PROPOSALS),
            **dict.fromkeys(("rpn_post_nms_top_n_train", "rpn_post_nms_top_n_test"), LIGHT_KEPT),
            **LIMITS,
        )
        network.transform = NormalizeOnly(*UNIT_RANGE)
        return network

    def state_key(self, foreign: str) -> str:
        """ultralytics' names."""
        return self.backbone_key(foreign)

    def backbone_key(self, foreign: str) -> str:
        """ultralytics' names."""
        return f"network.backbone.features.{self.network.backbone.features.state_key(foreign)}"


class _RoIPooling(nn.Module):
    """Maximum over each of 7 x 7 cells of a proposal, as before RoIAlign; called by torchvision's heads."""

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
        pooled: torch.Tensor = self.pool(only, boxes)  # (proposals, channels, 7, 7)
        return pooled


class _EqualChannels(nn.Module):
    """A YOLOv5's feature maps with equal channels at all levels, as torchvision's heads need them."""

    out_channels = LIGHT_WIDTH

    def __init__(self, size: str | None) -> None:
        super().__init__()
        self.features = Yolov5Features(size)
        self.laterals = nn.ModuleList(
            [nn.Conv2d(inside, LIGHT_WIDTH, 1) for inside in self.features.channels]
        )

    def forward(self, pixels: torch.Tensor) -> "OrderedDict[str, torch.Tensor]":
        maps = self.features(pixels)
        return OrderedDict(
            (level, lateral(own)) for (level, own), lateral in zip(maps.items(), self.laterals, strict=True)
        )


def _averaged_convolutions(channels: int, number: int) -> nn.Sequential:
    """Convolutions and global average pooling: a box head without fully connected layers."""
    convolutions: list[nn.Module] = []
    for _ in range(number):
        convolutions += [nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*convolutions, nn.AdaptiveAvgPool2d(1), nn.Flatten())
