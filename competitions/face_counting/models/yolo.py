"""ultralytics' YOLO networks and their losses, behind the interface of all detectors.

`yolov5{n,s,m,l,x}.yaml` is today's "v5u" variant: backbone and neck of the article's network under an
anchor-free head, trained with the losses of YOLOv8. There are no anchors that could be fitted.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import torch
from torchvision.ops import box_convert

from competitions.face_counting.experiment import DetectorSettings
from competitions.face_counting.models.base import DenseDetector

LOSS_GAINS = SimpleNamespace(box=7.5, cls=0.5, dfl=1.5, class_weights=None)
"""ultralytics' defaults for the overlap of boxes, the class and the distribution of the edges."""
BATCH_NORM_MOMENTUM = 0.1
"""torch's default; with ultralytics' 0.03 the statistics lag behind in trainings of a few hundred steps."""


class Yolo(DenseDetector):
    """A YOLOv5 or YOLO11 for the single class `face`."""

    any_size = False  # ultralytics keeps the places of the last size

    def __init__(self, settings: DetectorSettings) -> None:
        super().__init__()
        with quiet_ultralytics():
            from ultralytics.nn.tasks import DetectionModel

            self.network = DetectionModel(f"{settings.family}{settings.size}.yaml", ch=3, nc=1, verbose=False)
        for layer in self.network.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.momentum = BATCH_NORM_MOMENTUM
        self.network.args = LOSS_GAINS  # type: ignore[assignment]
        # Several times as fast as the default layout on a CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.criterion: Any = None

    def losses(self, canvases: torch.Tensor, boxes: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        """Overlap of boxes, distribution of edges (DFL) and class."""
        if self.criterion is None:
            # It keeps tensors on the network's device, so it is made when that is known.
            self.criterion = self.network.init_criterion()
        height, width = canvases.shape[-2:]
        side = torch.tensor([width, height, width, height], device=canvases.device)
        owner = torch.cat([torch.full((len(own),), float(row)) for row, own in enumerate(boxes)])
        batch = {
            "img": canvases,
            "batch_idx": owner.to(canvases.device),
            "cls": torch.zeros(len(owner), device=canvases.device),
            "bboxes": box_convert(torch.cat(boxes).float() / side, "xyxy", "cxcywh"),
        }
        loss, parts = self.criterion(self.network(self.as_input(canvases)), batch)
        # The sum of a batch is minimised over its pictures; the parts are shown by name.
        return {name: value / len(canvases) for name, value in zip(parts, loss.reshape(-1), strict=True)}

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(batch, 5, places): middle x, middle y, width, height in px, and confidence; in evaluation mode."""
        found: torch.Tensor = self.network(pixels)[0]
        return (found,)

    def decoded(
        self,
        outputs: list[torch.Tensor],
        height: int,  # noqa: ARG002
        width: int,  # noqa: ARG002
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """All places' boxes and scores."""
        places = outputs[0].float().transpose(1, 2)
        return [(box_convert(own[:, :4], "cxcywh", "xyxy"), own[:, 4]) for own in places]

    def own_name(self, foreign: str) -> str:
        """Names of a DetectionModel, or of the module inside it."""
        own = f"network.{foreign}"
        return own if foreign.startswith("model.") else f"network.model.{foreign}"


@contextlib.contextmanager
def quiet_ultralytics() -> Iterator[None]:
    """Import ultralytics without network, installs, reports or a settings file in the user's home."""
    wanted: dict[str, Any] = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}
    os.environ.update(wanted)
    with tempfile.TemporaryDirectory() as folder:
        before = os.environ.get("YOLO_CONFIG_DIR")
        os.environ["YOLO_CONFIG_DIR"] = folder
        try:
            yield
            from ultralytics import settings

            settings.update(sync=False)
        finally:
            if before is None:
                del os.environ["YOLO_CONFIG_DIR"]
            else:
                os.environ["YOLO_CONFIG_DIR"] = before
