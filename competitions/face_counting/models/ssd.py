"""SSD (Liu et al. 2016) on VGG-16, trained here or untouched as the article first tried one, and a light one.

SSD300's maps are laid out for 300 x 300 px: a canvas of any side is brought to that inside. The light one,
for CPUs, has SSD's default boxes, head and loss on the maps of a YOLOv5; canvases keep their size.
"""

import torch
from torchvision.models.detection import ssd300_vgg16
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD, SSDHead

from competitions.face_counting.experiment import DetectorSettings
from competitions.face_counting.models.anchors import anchor_buffer
from competitions.face_counting.models.base import FaceDetector, Sides
from competitions.face_counting.models.torchvision_adapter import (
    FOUND_ABOVE,
    FOUND_OVERLAP,
    MOST_FOUND,
    PLAIN,
    SizeKept,
    as_input,
)
from competitions.face_counting.models.yolov5_backbone import Yolov5Features

FACE = 1
"""Label of faces, after that of the background; in COCO's list it is a person."""
CLASSES = {"face": 2, "coco": 91}
SIDE = 300
LIGHT_SCALES = [0.04, 0.1, 0.25, 0.6]
"""Sides of the light one's square default boxes, as shares of the canvas: faces are small."""


class Ssd(FaceDetector):
    """torchvision's SSD300, or its SSD around the maps of a YOLOv5."""

    anchor_sides: torch.Tensor
    """(anchors, 2) fitted widths and heights in px of the canvas, smallest first; empty for usual ones."""

    def __init__(self, settings: DetectorSettings, face_sides: Sides | None) -> None:
        super().__init__()
        found = {
            "score_thresh": FOUND_ABOVE,
            "nms_thresh": FOUND_OVERLAP,
            "detections_per_img": MOST_FOUND,
        }
        self.light = settings.family == "ssd_yolov5"
        if self.light:
            self.network = _on_yolov5(settings, found)
        else:
            self.network = ssd300_vgg16(
                weights=None, weights_backbone=None, num_classes=CLASSES[settings.classes], **found
            )
        self.number = self.network.anchor_generator.num_anchors_per_location()
        self.register_buffer("anchor_sides", anchor_buffer(settings, sum(self.number), face_sides))

    def losses(self, canvases: torch.Tensor, boxes: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        """Class and boxes at the default boxes."""
        self._use_fitted_anchors(canvases)
        targets = [
            {"boxes": own.float(), "labels": torch.full((len(own),), FACE, device=own.device)}
            for own in boxes
        ]
        losses = self.network(as_input(canvases), targets)
        return {"box_loss": losses["bbox_regression"], "class_loss": losses["classification"]}

    def candidates(self, canvases: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """At most 300 boxes a canvas."""
        self._use_fitted_anchors(canvases)
        return [
            (found["boxes"][found["labels"] == FACE], found["scores"][found["labels"] == FACE])
            for found in self.network(as_input(canvases))
        ]

    def own_name(self, foreign: str) -> str:
        """torchvision's names of the detector or of VGG-16's convolutions; ultralytics' for the light one."""
        if self.light:
            return f"network.backbone.{self.network.backbone.own_name(foreign)}"
        return f"network.{foreign}"

    def _use_fitted_anchors(self, canvases: torch.Tensor) -> None:
        if len(self.anchor_sides):
            shares = (self.anchor_sides / canvases.shape[-1]).cpu()
            self.network.anchor_generator._wh_pairs = list(shares.split(self.number))


def _on_yolov5(settings: DetectorSettings, found: dict[str, float]) -> SSD:
    features = Yolov5Features(settings)
    boxes = DefaultBoxGenerator([[2]] * len(features.channels), scales=LIGHT_SCALES)
    network = SSD(
        features,
        boxes,
        size=(SIDE, SIDE),
        num_classes=CLASSES["face"],
        head=SSDHead(features.channels, boxes.num_anchors_per_location(), CLASSES["face"]),
        **found,
    )
    network.transform = SizeKept(*PLAIN)
    return network
