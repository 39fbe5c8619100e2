"""ultralytics' YOLOv5 network: built, filled with weights, and made to look at pictures."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torchvision.ops import box_convert, nms

from common.errors import InputError
from common.paths import shown
from common.weights import load_weights
from competitions.face_counting.experiment import CountingSettings, DetectorSettings

if TYPE_CHECKING:
    from ultralytics.nn.tasks import DetectionModel

LOSS_GAINS = SimpleNamespace(box=7.5, cls=0.5, dfl=1.5, class_weights=None)
"""ultralytics' defaults for the overlap of boxes, the class and the distribution of the edges."""
BATCH_NORM_MOMENTUM = 0.1
"""torch's default; with ultralytics' 0.03 the statistics lag behind in trainings of a few hundred steps."""
MOST_CANDIDATES = 1000
"""Boxes of one picture that are looked at, the surest first."""


@dataclass(frozen=True)
class Detections:
    """The boxes found on one canvas."""

    boxes: npt.NDArray[np.float32]
    """(n, 4) xmin, ymin, xmax, ymax in px of the canvas."""
    scores: npt.NDArray[np.float32]
    """(n,) confidences from 0 to 1, falling."""


def build_detector(settings: DetectorSettings) -> "DetectionModel":
    """A network for the single class `face` with random weights; seed torch before.

    `yolov5{n,s,m,l,x}.yaml` is today's anchor-free variant of the article's network.
    """
    with _quiet_ultralytics():
        from ultralytics.nn.tasks import DetectionModel

        network = DetectionModel(f"{settings.family}{settings.size}.yaml", ch=3, nc=1, verbose=False)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = BATCH_NORM_MOMENTUM
    network.args = LOSS_GAINS  # type: ignore[assignment]
    # Several times as fast as the default layout on a CPU.
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def restore(network: "DetectionModel", file: Path) -> None:
    """Load a checkpoint that 2_train_folds wrote; InputError when it belongs to another network."""
    try:
        network.load_state_dict(load_weights(file))
    except RuntimeError:
        raise InputError(f"{shown(file)}: weights of another network; run 2_train_folds.py again") from None


@torch.inference_mode()
def detect(network: "DetectionModel", canvases: torch.Tensor, counting: CountingSettings) -> list[Detections]:
    """Find faces.

    Parameters
    ----------
    network : in evaluation mode.
    canvases : (batch, 3, side, side) uint8.

    Returns
    -------
    One Detections a canvas: boxes above `counting.floor`, suppressed at `counting.loose_overlap`.
    """
    # (batch, 5, places): middle x, middle y, width, height, confidence
    found = network(as_input(canvases))[0].float().cpu()
    detections = []
    for places in found.transpose(1, 2):
        sure = places[places[:, 4] >= counting.floor]
        sure = sure[sure[:, 4].argsort(descending=True, stable=True)[:MOST_CANDIDATES]]
        boxes = box_convert(sure[:, :4], "cxcywh", "xyxy")
        kept = nms(boxes, sure[:, 4], counting.loose_overlap)
        detections.append(Detections(boxes[kept].numpy(), sure[kept, 4].numpy()))
    return detections


def as_input(canvases: torch.Tensor) -> torch.Tensor:
    """Canvases of uint8 as the network takes them: float from 0 to 1, channels last in memory."""
    return canvases.to(memory_format=torch.channels_last).float() / 255


@contextlib.contextmanager
def _quiet_ultralytics() -> Iterator[None]:
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
