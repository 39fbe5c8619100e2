"""Training images: originals with random augmentation, and the paper's two kinds of offline copies."""

from typing import Any

import albumentations
import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from common.learn.arrays import Int32, Int64, UInt8
from competitions.shopee_matching.experiment import Copy


def sobel_edges(image: UInt8) -> UInt8:
    """The paper's Sobel edges: Gaussian blur, greyscale, Sobel kernel per axis, 8 bits, 3 channels."""
    blurred = cv2.GaussianBlur(image, (3, 3), 0)
    grey = cv2.cvtColor(blurred, cv2.COLOR_RGB2GRAY)
    across = cv2.convertScaleAbs(cv2.Sobel(grey, cv2.CV_16S, 1, 0, ksize=3))
    down = cv2.convertScaleAbs(cv2.Sobel(grey, cv2.CV_16S, 0, 1, ksize=3))
    return np.repeat(cv2.addWeighted(across, 0.5, down, 0.5, 0)[..., None], 3, axis=2)


def augmented_copy(image: UInt8, kind: Copy) -> UInt8:
    """One offline copy of an image, of the same size."""
    return sobel_edges(image) if kind == "sobel" else np.ascontiguousarray(np.rot90(image))


def train_transform(size: int) -> albumentations.Compose:
    """Random crop, horizontal flip, brightness and contrast."""
    return albumentations.Compose(
        [
            albumentations.RandomResizedCrop((size, size), scale=(0.6, 1.0), ratio=(0.85, 1.18)),
            albumentations.HorizontalFlip(p=0.5),
            albumentations.RandomBrightnessContrast(0.2, 0.2, p=0.5),
        ]
    )


class TrainingImages(Dataset[tuple[torch.Tensor, int]]):
    """Distinct images with their label group as class: all originals, then all copies of each kind.

    Parameters
    ----------
    images : (stored, size, size, 3) RGB, memory-mapped.
    rows : (n,) rows of `images` to train on.
    classes : (n,) class of each.
    copies : kinds of offline copies.
    transform : albumentations pipeline.
    """

    def __init__(
        self,
        images: UInt8,
        rows: Int32,
        classes: Int64,
        copies: list[Copy],
        transform: Any,
    ) -> None:
        self.images, self.rows, self.classes = images, rows, classes
        self.kinds: list[Copy | None] = [None, *copies]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.rows) * len(self.kinds)

    def all_classes(self) -> Int64:
        """(len(self),) class of each image, copies included."""
        return np.tile(self.classes, len(self.kinds))

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        place, kind = index % len(self.rows), self.kinds[index // len(self.rows)]
        image = np.array(self.images[self.rows[place]])
        if kind is not None:
            image = augmented_copy(image, kind)
        return torch.from_numpy(self.transform(image=image)["image"]), int(self.classes[place])


def distinct_images(image_row: Int32, label_group: Int64) -> tuple[Int32, Int64]:
    """Rows of the distinct readable images, and their classes 0, 1, ... by label group."""
    readable = np.flatnonzero(image_row >= 0)
    rows, first = np.unique(image_row[readable], return_index=True)
    _, classes = np.unique(label_group[readable[first]], return_inverse=True)
    return rows, classes
