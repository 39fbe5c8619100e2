"""SSD (Liu et al. 2016) on VGG-16, and a light one for CPUs.

SSD300's feature maps are laid out for 300 x 300 px: images of any side are resized to that inside. The light
one has SSD's default boxes, head and loss on the feature maps of a YOLOv5; images keep their size.
"""

from typing import Literal

import torch
from torchvision.models.detection import ssd300_vgg16
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD, SSDHead

from common.learn.arrays import Float64
from common.run.experiments import read_options
from competitions.face_counting.experiment import DetectorSettings
from competitions.face_counting.models.anchors import AnchorOptions, anchor_buffer
from competitions.face_counting.models.base import FaceDetector
from competitions.face_counting.models.registry import DETECTORS
from competitions.face_counting.models.torchvision_adapter import (
    MAX_DETECTIONS,
    NMS_IOU,
    SCORE_THRESHOLD,
    UNIT_RANGE,
    NormalizeOnly,
    as_float_images,
)
from competitions.face_counting.models.yolov5_backbone import SIZES, WEIGHTS, Yolov5Features

FACE = 1
"""Label of faces, after the background's; in COCO's list it is a person."""
CLASSES = {"face": 2, "coco": 91}
"""Number of classes, background included."""
SIDE = 300
LIGHT_SCALES = [0.04, 0.1, 0.25, 0.6]
"""Sides of the light one's square default boxes, as shares of the image's side: faces are small."""
LIMITS = {
    "score_thresh": SCORE_THRESHOLD,
    "nms_thresh": NMS_IOU,
    "detections_per_img": MAX_DETECTIONS,
}


class Ssd300Options(AnchorOptions):
    """`detector.options` of ssd."""

    classes: Literal["face", "coco"] = "face"
    """coco: the classes of COCO weights off the shelf, where a person counts as a face."""


class Ssd(FaceDetector):
    """torchvision's SSD around one backbone or another."""

    anchor_sides: torch.Tensor
    """(anchors, 2) fitted widths and heights in px of the image, sorted by area; empty for default boxes."""

    def _finish(self, network: SSD, options: AnchorOptions, face_sides: Float64 | None) -> None:
        self.network = network
        self.number = self.network.anchor_generator.num_anchors_per_location()
        self.register_buffer("anchor_sides", anchor_buffer(options, sum(self.number), face_sides))

    def losses(self, images: torch.Tensor, boxes: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        """Class and boxes at the default boxes."""
        self._use_fitted_anchors(images)
        targets = [
            {"boxes": own.float(), "labels": torch.full((len(own),), FACE, device=own.device)}
            for own in boxes
        ]
        losses = self.network(as_float_images(images), targets)
        return {"box_loss": losses["bbox_regression"], "class_loss": losses["classification"]}

    def candidates(self, images: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """At most 300 boxes per image."""
        self._use_fitted_anchors(images)
        return [
            (found["boxes"][found["labels"] == FACE], found["scores"][found["labels"] == FACE])
            for found in self.network(as_float_images(images))
        ]

    def _use_fitted_anchors(self, images: torch.Tensor) -> None:
        if len(self.anchor_sides):
            shares = (self.anchor_sides / images.shape[-1]).cpu()
            self.network.anchor_generator._wh_pairs = list(shares.split(self.number))


@DETECTORS.register("ssd")
class Ssd300(Ssd):
    """torchvision's SSD300 on VGG-16."""

    weights = ("ssd300_vgg16", "ssd300_vgg16_coco")
    new_in_training = ("network.head.",)

    def __init__(self, settings: DetectorSettings, face_sides: Float64 | None = None) -> None:
        super().__init__(settings, face_sides)
        options = read_options(Ssd300Options, settings.options, "detector.options")
        network = ssd300_vgg16(
            weights=None, weights_backbone=None, num_classes=CLASSES[options.classes], **LIMITS
        )
        self._finish(network, options, face_sides)

    def state_key(self, foreign: str) -> str:
        """torchvision's names of the detector or of VGG-16's convolutions."""
        return f"network.{foreign}"


@DETECTORS.register("ssd_yolov5")
class SsdYolov5(Ssd):
    """torchvision's SSD on the feature maps of a YOLOv5."""

    sizes = SIZES
    weights = WEIGHTS
    new_in_training = ("network.head.",)

    def __init__(self, settings: DetectorSettings, face_sides: Float64 | None = None) -> None:
        super().__init__(settings, face_sides)
        options = read_options(AnchorOptions, settings.options, "detector.options")
        features = Yolov5Features(settings.size)
        boxes = DefaultBoxGenerator([[2]] * len(features.channels), scales=LIGHT_SCALES)
        network = SSD(
            features,
            boxes,
            size=(SIDE, SIDE),
            num_classes=CLASSES["face"],
            head=SSDHead(features.channels, boxes.num_anchors_per_location(), CLASSES["face"]),
            **LIMITS,
        )
        network.transform = NormalizeOnly(*UNIT_RANGE)
        self._finish(network, options, face_sides)

    def state_key(self, foreign: str) -> str:
        """ultralytics' names."""
        return f"network.backbone.{self.network.backbone.state_key(foreign)}"
