"""Training images: pictures at random places, scaled, flipped and with changed colours."""

import os
from dataclasses import dataclass

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations
import numpy as np
import torch
from torch.utils.data import Dataset

from common.learn.arrays import Float64, UInt8
from competitions.face_counting.data.labels import clip_boxes
from competitions.face_counting.data.placement import (
    Placement,
    blank_image,
    half_scale,
    has_half_scale_copy,
    paste,
    place,
    resize_picture,
)
from competitions.face_counting.data.stored_pictures import StoredPictures
from competitions.face_counting.experiment import AugmentationSettings, InputSettings

MIN_VISIBILITY = 0.35
"""Share of a face's box that must stay inside the image; otherwise it is no target."""
MIN_SIDE = 3.0
"""Side of a box in px of the image below which a face is no target."""

Batch = tuple[torch.Tensor, list[torch.Tensor]]


@dataclass(frozen=True)
class TrainingImage:
    """One training example."""

    pixels: UInt8
    """(side, side, 3): the image, or a crop of it."""
    boxes: Float64
    """(faces, 4) in px of the image."""


class TrainingImages(Dataset[TrainingImage]):
    """The pictures of a training set, half-scale copies included, augmented differently at each visit.

    It has random generators of its own; `set_random_seed` restarts them (see
    common.learn.training.EpochSampler).
    """

    def __init__(
        self,
        stored: StoredPictures,
        settings: InputSettings,
        augmentation: AugmentationSettings,
        seed: int,
    ) -> None:
        self.stored, self.settings, self.augmentation = stored, settings, augmentation
        self.items = [(row, False) for row in range(len(stored))]
        self.items += [
            (row, True)
            for row in range(len(stored))
            if has_half_scale_copy(settings.preprocessing, int(stored.pictures["head_count"].iloc[row]))
        ]
        self.side = augmentation.crop or settings.image_size
        self.transforms = _transforms(augmentation)
        self.set_random_seed(seed)

    def set_random_seed(self, seed: int) -> None:
        """Restart the random generators of placement and colours."""
        self.random = np.random.default_rng(seed)
        self.transforms.set_random_seed(seed)

    def __len__(self) -> int:
        return len(self.items)

    def face_sides(self) -> Float64:
        """(faces, 2) widths and heights in px of the image, without augmentation: for anchors."""
        corners = [np.zeros((0, 4))]
        for row, halved in self.items:
            boxes = self._placement(row, halved).to_image(self.stored.faces(row))
            corners.append(np.asarray(boxes))
        boxes = np.concatenate(corners)
        return boxes[:, 2:] - boxes[:, :2]

    def __getitem__(self, item: int) -> TrainingImage:
        if self.random.random() < self.augmentation.mosaic:
            others = self.random.integers(len(self.items), size=3).tolist()
            return self._mosaic([item, *others])
        side = self.side
        picture, boxes, placement = self._augmented(item)
        left, top = (
            self._random_offset(size, side) if self.augmentation.scale or self.augmentation.crop else offset
            for size, offset in ((picture.shape[1], placement.left), (picture.shape[0], placement.top))
        )
        image = blank_image(side)
        paste(image, picture, left, top)
        return TrainingImage(image, _visible(boxes, left, top, (0, 0, side, side)))

    def _mosaic(self, items: list[int]) -> TrainingImage:
        """Four pictures in the four corners around a random point."""
        side = self.side
        x, y = (int(value) for value in self.random.uniform(0.3, 0.7, size=2) * side)
        windows = [(0, 0, x, y), (x, 0, side, y), (0, y, x, side), (x, y, side, side)]
        image, boxes = blank_image(side), []
        for item, window in zip(items, windows, strict=True):
            picture, own, _ = self._augmented(item)
            left = window[0] + self._random_offset(picture.shape[1], window[2] - window[0])
            top = window[1] + self._random_offset(picture.shape[0], window[3] - window[1])
            paste(image, picture, left, top, window)
            boxes.append(_visible(own, left, top, window))
        return TrainingImage(image, np.concatenate(boxes))

    def _augmented(self, item: int) -> tuple[UInt8, Float64, Placement]:
        """A picture, randomly scaled, flipped and coloured, with its boxes in px of the scaled picture."""
        row, halved = self.items[item]
        picture = self.stored.picture(row)
        placement = self._rescaled(self._placement(row, halved))
        boxes = placement.to_image(self.stored.faces(row)) - [placement.left, placement.top] * 2
        inside = clip_boxes(boxes, placement.resized_width, placement.resized_height)
        augmented = self.transforms(image=resize_picture(picture, placement), bboxes=inside)
        return augmented["image"], np.asarray(augmented["bboxes"], np.float64).reshape(-1, 4), placement

    def _placement(self, row: int, halved: bool) -> Placement:
        """The picture's place without augmentation."""
        entry, side = self.stored.pictures.iloc[row], self.settings.image_size
        placement = place(self.settings.preprocessing, int(entry["width"]), int(entry["height"]), side)
        return half_scale(placement, side) if halved else placement

    def _rescaled(self, placement: Placement) -> Placement:
        scale = 1 + self.random.uniform(-1, 1) * self.augmentation.scale
        width = max(1, round(placement.resized_width * scale))
        height = max(1, round(placement.resized_height * scale))
        left, top = (self.settings.image_size - width) // 2, (self.settings.image_size - height) // 2
        return Placement(placement.width, placement.height, width, height, left, top)

    def _random_offset(self, size: int, room: int) -> int:
        """An offset at which something of that size lies inside the room, or covers it when it is larger."""
        lowest, highest = sorted((0, room - size))
        return int(self.random.integers(lowest, highest + 1))


def collate(images: list[TrainingImage]) -> Batch:
    """A batch as detectors take it: (batch, 3, side, side) uint8, and (faces, 4) in px of each image."""
    pixels = torch.from_numpy(np.stack([image.pixels for image in images])).permute(0, 3, 1, 2)
    return pixels, [torch.from_numpy(image.boxes).float() for image in images]


def _transforms(augmentation: AugmentationSettings) -> albumentations.Compose:
    return albumentations.Compose(
        [
            albumentations.HorizontalFlip(p=augmentation.flip),
            albumentations.RandomBrightnessContrast(0.25, 0.25, p=augmentation.color_jitter),
            albumentations.HueSaturationValue(10, 40, 0, p=augmentation.color_jitter),
            albumentations.ToGray(p=augmentation.grayscale),
            albumentations.Blur(3, p=augmentation.blur),
        ],
        bbox_params=albumentations.BboxParams("pascal_voc"),
    )


def _visible(boxes: Float64, left: int, top: int, window: tuple[int, int, int, int]) -> Float64:
    """Boxes moved by (left, top) and clipped to a window, without faces of which too little is left."""
    boxes = boxes + np.array([left, top, left, top])
    x0, y0, x1, y1 = window
    clipped = np.clip(boxes, [x0, y0, x0, y0], [x1, y1, x1, y1])
    sides, before = clipped[:, 2:] - clipped[:, :2], boxes[:, 2:] - boxes[:, :2]
    enough = sides.prod(axis=1) >= MIN_VISIBILITY * before.prod(axis=1)
    return np.asarray(clipped[enough & (sides >= MIN_SIDE).all(axis=1)])
