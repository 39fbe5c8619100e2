"""One interface for all detectors: pictures in, boxes with scores out; which network is whose."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torchvision.ops import nms

from common.base.errors import InputError
from common.base.paths import display_path
from common.files.weights import load_weights
from competitions.face_counting.experiment import CountingSettings, DetectorSettings

MOST_CANDIDATES = 1000
"""Boxes of one picture that are looked at, the surest first."""

Sides = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Detections:
    """The boxes found on one canvas."""

    boxes: npt.NDArray[np.float32]
    """(n, 4) xmin, ymin, xmax, ymax in px of the canvas."""
    scores: npt.NDArray[np.float32]
    """(n,) confidences from 0 to 1, falling."""


class FaceDetector(torch.nn.Module):
    """What training, inference and counting know of a network that finds faces.

    Canvases are (batch, 3, height, width) uint8 RGB with sides that are multiples of 32; boxes are corners in
    px of the canvas.
    """

    @abstractmethod
    def losses(self, canvases: torch.Tensor, boxes: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        """The parts of the loss by name, each a scalar, mean of the batch; their sum is minimised.

        Parameters
        ----------
        boxes : one (faces, 4) a canvas.
        """

    @abstractmethod
    def candidates(self, canvases: torch.Tensor) -> Sequence[tuple[torch.Tensor, torch.Tensor]]:
        """What the network, in evaluation mode, takes for faces: (n, 4) boxes and (n,) scores a canvas."""

    @abstractmethod
    def own_name(self, foreign: str) -> str:
        """What this network calls the tensor that the usual state dicts of its kind call `foreign`."""


class DenseDetector(FaceDetector):
    """A network that gives a box and a score at every place of its maps, so that it can be compiled."""

    any_size: bool
    """Whether a trace of it holds for canvases of other sizes."""

    def as_input(self, canvases: torch.Tensor) -> torch.Tensor:
        """Canvases (batch, 3, height, width) uint8 as pixels from 0 to 1, channels last in memory."""
        return canvases.to(memory_format=torch.channels_last).float() / 255

    @abstractmethod
    def decoded(
        self, outputs: list[torch.Tensor], height: int, width: int
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """What `forward` gave for canvases of that size, as (n, 4) boxes and (n,) scores a canvas."""

    def candidates(self, canvases: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """All places' boxes and scores."""
        outputs = self(self.as_input(canvases))
        return self.decoded(list(outputs), canvases.shape[-2], canvases.shape[-1])


def build_detector(settings: DetectorSettings, face_sides: Sides | None = None) -> FaceDetector:
    """A network for faces with random weights; seed torch before.

    Parameters
    ----------
    face_sides : (faces, 2) widths and heights in px of the canvas, of the faces that it will be trained on:
        where anchors are fitted, they are fitted to these. None where a checkpoint brings them.
    """
    if settings.family in ("yolov5", "yolo11"):
        from competitions.face_counting.models.yolo import Yolo

        return Yolo(settings)
    if settings.family == "yolov5_classic":
        from competitions.face_counting.models.yolov5_coco import ClassicYolov5

        return ClassicYolov5(settings)
    if settings.family == "retinaface":
        from competitions.face_counting.models.retinaface import RetinaFace

        return RetinaFace()
    if settings.family in ("ssd", "ssd_yolov5"):
        from competitions.face_counting.models.ssd import Ssd

        return Ssd(settings, face_sides)
    from competitions.face_counting.models.faster_rcnn import FasterRcnn

    return FasterRcnn(settings, face_sides)


def restore(network: torch.nn.Module, file: Path) -> None:
    """Load a checkpoint that 2_train_folds wrote; InputError when it belongs to another network."""
    try:
        network.load_state_dict(load_weights(file))
    except RuntimeError:
        raise InputError(
            f"{display_path(file)}: weights of another network; run 2_train_folds.py again"
        ) from None


@torch.inference_mode()
def detect(network: FaceDetector, canvases: torch.Tensor, counting: CountingSettings) -> list[Detections]:
    """Find faces.

    Parameters
    ----------
    network : in evaluation mode.
    canvases : (batch, 3, height, width) uint8.

    Returns
    -------
    One Detections a canvas: boxes above `counting.floor`, suppressed at `counting.loose_overlap`.
    """
    return [surest(boxes, scores, counting) for boxes, scores in network.candidates(canvases)]


def surest(boxes: torch.Tensor, scores: torch.Tensor, counting: CountingSettings) -> Detections:
    """Of the candidates (n, 4), (n,) of one canvas those worth keeping."""
    boxes, scores = boxes.float().cpu(), scores.float().cpu()
    rows = torch.nonzero(scores >= counting.floor)[:, 0]
    rows = rows[scores[rows].argsort(descending=True, stable=True)[:MOST_CANDIDATES]]
    rows = rows[nms(boxes[rows], scores[rows], counting.loose_overlap)]
    return Detections(boxes[rows].numpy(), scores[rows].numpy())
