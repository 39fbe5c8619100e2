"""Adapter to torchvision's detectors: pixel scaling, and images kept in their own size."""

from collections.abc import Sequence

import torch
from torchvision.models.detection.transform import GeneralizedRCNNTransform

SCORE_THRESHOLD, NMS_IOU, MAX_DETECTIONS = 0.01, 0.8, 300
"""Limits inside the network; the thresholds that decide the count are tuned on OOF predictions."""
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of pixels, for networks trained on ImageNet."""
UNIT_RANGE = ((0.0,) * 3, (1.0,) * 3)
"""A YOLO takes pixels from 0 to 1 unchanged."""


def as_float_images(images: torch.Tensor) -> list[torch.Tensor]:
    """Images (batch, 3, height, width) uint8 as torchvision takes them: a list of floats from 0 to 1."""
    return list(images.float() / 255)


class NormalizeOnly(GeneralizedRCNNTransform):
    """Normalise images without resizing them; torchvision's own transform enlarges them in prediction.

    Parameters
    ----------
    mean, std : of each channel, of pixels from 0 to 1.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__(0, 0, list(mean), list(std))

    def resize(
        self, image: torch.Tensor, target: dict[str, torch.Tensor] | None = None
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor] | None]:
        """No change."""
        return image, target
