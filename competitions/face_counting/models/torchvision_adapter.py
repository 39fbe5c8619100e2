"""How torchvision's detectors are given canvases, and how many boxes they hand back."""

from collections.abc import Sequence

import torch
from torchvision.models.detection.transform import GeneralizedRCNNTransform

FOUND_ABOVE, FOUND_OVERLAP, MOST_FOUND = 0.01, 0.8, 300
"""What the network itself drops; the thresholds that count are tuned out of fold."""
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and spread by which networks trained on ImageNet expect pixels scaled."""
PLAIN = ((0.0,) * 3, (1.0,) * 3)
"""A YOLO takes pixels from 0 to 1 as they are."""


def as_input(canvases: torch.Tensor) -> list[torch.Tensor]:
    """Canvases of uint8 as torchvision's detectors take them: a list of float pictures from 0 to 1."""
    return list(canvases.float() / 255)


class SizeKept(GeneralizedRCNNTransform):
    """Canvases come in the size that is wanted; torchvision's own would enlarge them in prediction.

    Parameters
    ----------
    mean, spread : of each channel, of pixels from 0 to 1.
    """

    def __init__(self, mean: Sequence[float], spread: Sequence[float]) -> None:
        super().__init__(0, 0, list(mean), list(spread))

    def resize(
        self, image: torch.Tensor, target: dict[str, torch.Tensor] | None = None
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor] | None]:
        """As it is."""
        return image, target
