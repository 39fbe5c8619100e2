"""The pictures that a network is trained on: originals, and the article's two kinds of copies."""

from typing import Any, Literal

import albumentations
import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

Picture = npt.NDArray[np.uint8]
Copy = Literal["sobel", "rotation"]


def sobel_edges(picture: Picture) -> Picture:
    """Edges as the article draws them: Gaussian blur by axis, greyscale, Sobel kernel, 8 bits; RGB."""
    blurred = cv2.GaussianBlur(picture, (3, 3), 0)
    grey = cv2.cvtColor(blurred, cv2.COLOR_RGB2GRAY)
    across = cv2.convertScaleAbs(cv2.Sobel(grey, cv2.CV_16S, 1, 0, ksize=3))
    down = cv2.convertScaleAbs(cv2.Sobel(grey, cv2.CV_16S, 0, 1, ksize=3))
    return np.repeat(cv2.addWeighted(across, 0.5, down, 0.5, 0)[..., None], 3, axis=2)


def copied(picture: Picture, copy: Copy) -> Picture:
    """One added copy of a picture, of the same size."""
    return sobel_edges(picture) if copy == "sobel" else np.ascontiguousarray(np.rot90(picture))


def variations(size: int) -> albumentations.Compose:
    """What a seller's second photo may differ in: crop, side, light."""
    return albumentations.Compose(
        [
            albumentations.RandomResizedCrop((size, size), scale=(0.6, 1.0), ratio=(0.85, 1.18)),
            albumentations.HorizontalFlip(p=0.5),
            albumentations.RandomBrightnessContrast(0.2, 0.2, p=0.5),
        ]
    )


class TrainingPictures(Dataset[tuple[torch.Tensor, int]]):
    """Distinct pictures with their label group as a class; with copies, each picture stands here again.

    Parameters
    ----------
    pictures : (stored, size, size, 3) uint8, memory-mapped.
    rows : (n,) rows of `pictures` to train on.
    classes : (n,) class of each.
    """

    def __init__(
        self,
        pictures: Picture,
        rows: npt.NDArray[np.int32],
        classes: npt.NDArray[np.int64],
        copies: list[Copy],
        augmentations: Any,
    ) -> None:
        self.pictures, self.rows, self.classes = pictures, rows, classes
        self.kinds: list[Copy | None] = [None, *copies]
        self.augmentations = augmentations

    def __len__(self) -> int:
        return len(self.rows) * len(self.kinds)

    def all_classes(self) -> npt.NDArray[np.int64]:
        """(len(self),) class of each picture, copies included."""
        return np.tile(self.classes, len(self.kinds))

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        place, kind = index % len(self.rows), self.kinds[index // len(self.rows)]
        picture = np.array(self.pictures[self.rows[place]])
        if kind is not None:
            picture = copied(picture, kind)
        return torch.from_numpy(self.augmentations(image=picture)["image"]), int(self.classes[place])


def distinct_pictures(
    picture: npt.NDArray[np.int32], label_group: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Rows of the distinct readable pictures, and their classes 0, 1, ... by label group."""
    readable = np.flatnonzero(picture >= 0)
    rows, first = np.unique(picture[readable], return_index=True)
    _, classes = np.unique(label_group[readable[first]], return_inverse=True)
    return rows, classes
