"""ultralytics' YOLO networks and their losses as detectors.

`yolov5{n,s,m,l,x}.yaml` is today's "v5u" variant: backbone and neck of the paper's network under an
anchor-free head, trained with the losses of YOLOv8. It has no anchors that could be fitted.
"""

from types import SimpleNamespace
from typing import Any

import torch
from torchvision.ops import box_convert

from common.learn.arrays import Float64
from common.run.experiments import NoOptions, read_options
from competitions.face_counting.experiment import DetectorSettings
from competitions.face_counting.models.base import DenseDetector
from competitions.face_counting.models.quiet_ultralytics import detection_model
from competitions.face_counting.models.registry import DETECTORS
from competitions.face_counting.models.yolov5_backbone import SIZES

LOSS_GAINS = SimpleNamespace(box=7.5, cls=0.5, dfl=1.5, class_weights=None)
"""ultralytics' default weights of the box IoU, class and distribution focal losses."""
BATCHNORM_MOMENTUM = 0.1
"""torch's default; with ultralytics' 0.03 the statistics lag behind in trainings of a few hundred steps."""


class Yolo(DenseDetector):
    """One of ultralytics' networks for the single class `face`."""

    sizes = SIZES
    any_size = False  # ultralytics keeps the grid of the last size

    def __init__(self, settings: DetectorSettings, face_sides: Float64 | None = None) -> None:  # noqa: ARG002
        super().__init__(settings, None)
        read_options(NoOptions, settings.options, "detector.options")
        self.network = detection_model(f"{settings.family}{settings.size}", classes=1)
        for layer in self.network.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.momentum = BATCHNORM_MOMENTUM
        self.network.args = LOSS_GAINS
        # Several times as fast as the default layout on a CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.criterion: Any = None

    def losses(self, images: torch.Tensor, boxes: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        """Box IoU, distribution focal loss (DFL) and class."""
        if self.criterion is None:
            # It keeps tensors on the network's device, so it is made when that is known.
            self.criterion = self.network.init_criterion()
        height, width = images.shape[-2:]
        side = torch.tensor([width, height, width, height], device=images.device)
        # All boxes of the batch in one (faces, 4) tensor, with the number of each one's image.
        owner = torch.cat([torch.full((len(own),), float(row)) for row, own in enumerate(boxes)])
        batch = {
            "img": images,
            "batch_idx": owner.to(images.device),
            "cls": torch.zeros(len(owner), device=images.device),
            "bboxes": box_convert(torch.cat(boxes).float() / side, "xyxy", "cxcywh"),
        }
        loss, parts = self.criterion(self.network(self.scale_pixels(images)), batch)
        # ultralytics sums over the batch; the parts are logged by name as means.
        return {name: value / len(images) for name, value in zip(parts, loss.reshape(-1), strict=True)}

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(batch, 5, locations) in evaluation mode: center x, center y, width, height in px, score."""
        found: torch.Tensor = self.network(pixels)[0]
        return (found,)

    def decode_outputs(
        self,
        outputs: list[torch.Tensor],
        height: int,  # noqa: ARG002
        width: int,  # noqa: ARG002
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Boxes and scores of all locations."""
        locations = outputs[0].float().transpose(1, 2)  # (batch, locations, 5)
        return [(box_convert(own[:, :4], "cxcywh", "xyxy"), own[:, 4]) for own in locations]

    def state_key(self, foreign: str) -> str:
        """Names of a DetectionModel, or of the module inside it."""
        own = f"network.{foreign}"
        return own if foreign.startswith("model.") else f"network.model.{foreign}"


@DETECTORS.register("yolov5")
class Yolov5(Yolo):
    """YOLOv5, anchor-free as ultralytics builds it today."""

    weights = ("yolov5{size}", "yolov5{size}u", "yolov5{size}_coco_sd")
    new_in_training = ("network.model.24.",)


@DETECTORS.register("yolo11")
class Yolo11(Yolo):
    """YOLO11 (2024)."""

    weights = ("yolo11{size}",)
    new_in_training = ("network.model.23.",)
