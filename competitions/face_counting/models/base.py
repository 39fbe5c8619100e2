"""The interface of all detectors: images in, boxes with scores out."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import torch
from torchvision.ops import nms

from common.base.errors import InputError
from common.learn.arrays import Float32, Float64
from common.run.experiments import Settings
from competitions.face_counting.experiment import CountingSettings, DetectorSettings

MAX_CANDIDATES = 1000
"""Boxes of one image that enter NMS, highest scores first."""

Options = TypeVar("Options", bound=Settings)


@dataclass(frozen=True)
class Detections:
    """The boxes found in one image."""

    boxes: Float32
    """(n, 4) xmin, ymin, xmax, ymax in px of the image."""
    scores: Float32
    """(n,) from 0 to 1, descending."""


Detect = Callable[[torch.Tensor], Sequence[Detections]]
"""Images (batch, 3, height, width) uint8 -> the Detections of each."""


class FaceDetector(torch.nn.Module):
    """What training, inference and counting know of a network that finds faces.

    A family is a subclass in a module of this room, registered with `DETECTORS.register`; its constructor
    takes the settings, and the sides of the faces that it will be trained on.

    Images are (batch, 3, height, width) uint8 RGB with sides that are multiples of 32; boxes are corners in
    px of the image.
    """

    sizes: ClassVar[tuple[str, ...]] = ()
    """Values of `detector.size`; empty for a family of one size."""
    weights: ClassVar[tuple[str, ...]] = ()
    """File names of pretrained weights without suffix, the preferred one first; `{size}` is filled in."""
    new_in_training: ClassVar[tuple[str, ...]] = ()
    """Prefixes of the tensors that a training may start from random values; weights must fill all others."""
    trainable: ClassVar[bool] = True
    """False: only used off the shelf."""

    @abstractmethod
    def __init__(self, settings: DetectorSettings, face_sides: Float64 | None) -> None:
        """Build the network with random weights.

        Parameters
        ----------
        face_sides : (faces, 2) widths and heights in px of the image, for families that fit anchors to them;
            None for a network that a checkpoint will fill.
        """
        super().__init__()

    @abstractmethod
    def losses(self, images: torch.Tensor, boxes: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        """The parts of the loss by name, each a scalar, mean of the batch; their sum is minimised.

        Parameters
        ----------
        boxes : (faces, 4) of each image.
        """

    @abstractmethod
    def candidates(self, images: torch.Tensor) -> Sequence[tuple[torch.Tensor, torch.Tensor]]:
        """Raw predictions in evaluation mode: (n, 4) boxes and (n,) scores of each image."""

    @abstractmethod
    def state_key(self, foreign: str) -> str:
        """Name in this network's state dict of the tensor that published weights call `foreign`."""

    @classmethod
    def weights_names(cls, settings: DetectorSettings) -> list[str]:
        """File names of pretrained weights without suffix; InputError when `size` is wrong."""
        cls.check_size(settings)
        return [name.format(size=settings.size) for name in cls.weights]

    @classmethod
    def check_size(cls, settings: DetectorSettings) -> None:
        """InputError when `detector.size` is not one of this family's."""
        if cls.sizes and settings.size not in cls.sizes:
            raise InputError(
                f"detector.size: {settings.family} needs one of {', '.join(cls.sizes)}; got {settings.size}"
            )
        if not cls.sizes and settings.size is not None:
            raise InputError(f"detector.size: {settings.family} has one size only; leave it out")


class DenseDetector(FaceDetector):
    """A network that predicts a box and a score at every location of its feature maps; it can be compiled."""

    any_size: bool
    """Whether a trace of it holds for images of other sizes."""

    def scale_pixels(self, images: torch.Tensor) -> torch.Tensor:
        """Images (batch, 3, height, width) uint8 as floats from 0 to 1, channels last in memory."""
        return images.to(memory_format=torch.channels_last).float() / 255

    @abstractmethod
    def decode_outputs(
        self, outputs: list[torch.Tensor], height: int, width: int
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Outputs of `forward` for images of that size as (n, 4) boxes and (n,) scores of each image."""

    def candidates(self, images: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Boxes and scores of all locations."""
        outputs = self(self.scale_pixels(images))
        return self.decode_outputs(list(outputs), images.shape[-2], images.shape[-1])


@torch.inference_mode()
def detect(network: FaceDetector, images: torch.Tensor, counting: CountingSettings) -> list[Detections]:
    """Find faces.

    Parameters
    ----------
    network : in evaluation mode.
    images : (batch, 3, height, width) uint8.

    Returns
    -------
    Detections of each image: boxes above `counting.score_threshold` after NMS at `counting.nms_iou`.
    """
    return [filter_boxes(boxes, scores, counting) for boxes, scores in network.candidates(images)]


def filter_boxes(boxes: torch.Tensor, scores: torch.Tensor, counting: CountingSettings) -> Detections:
    """Threshold, sort and suppress the candidates (n, 4), (n,) of one image."""
    boxes, scores = boxes.float().cpu(), scores.float().cpu()
    rows = torch.nonzero(scores >= counting.score_threshold)[:, 0]
    rows = rows[scores[rows].argsort(descending=True, stable=True)[:MAX_CANDIDATES]]
    rows = rows[nms(boxes[rows], scores[rows], counting.nms_iou)]
    return Detections(boxes[rows].numpy(), scores[rows].numpy())
