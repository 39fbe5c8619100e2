"""What a detector sees in training: canvases with pictures at random places, mirrored and coloured."""

import os
from dataclasses import dataclass

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from competitions.face_counting.data.labels import cut_to_picture
from competitions.face_counting.data.picture_sets import (
    Picture,
    Placement,
    half_size,
    has_half_copy,
    paste,
    placement_of,
    resize,
    white_canvas,
)
from competitions.face_counting.data.stored_pictures import StoredPictures
from competitions.face_counting.experiment import AugmentationSettings, PictureSettings

LEAST_VISIBLE = 0.35
"""Share of a face's box that must stay on the canvas for it to be a face still."""
SMALLEST_FACE = 3.0
"""Side in px of the canvas below which a face is not asked for."""

Boxes = npt.NDArray[np.float64]
Batch = tuple[torch.Tensor, list[torch.Tensor]]


@dataclass(frozen=True)
class TrainingCanvas:
    """One training example."""

    pixels: Picture
    """(side, side, 3): the canvas, or a window of it."""
    boxes: Boxes
    """(faces, 4) in px of the canvas."""


class TrainingCanvases(Dataset[TrainingCanvas]):
    """The pictures of a training set, half-size copies included, different at each visit.

    Its random numbers are its own; `set_random_seed` starts them anew (see common.learn.training.EpochSampler).
    """

    def __init__(
        self,
        stored: StoredPictures,
        pictures: PictureSettings,
        augmentation: AugmentationSettings,
        seed: int,
    ) -> None:
        self.stored, self.pictures, self.augmentation = stored, pictures, augmentation
        self.items = [(row, False) for row in range(len(stored))]
        self.items += [
            (row, True)
            for row in range(len(stored))
            if has_half_copy(pictures.set, int(stored.pictures["head_count"].iloc[row]))
        ]
        self.side = augmentation.crop or pictures.canvas
        self.changes = _changes(augmentation)
        self.set_random_seed(seed)

    def set_random_seed(self, seed: int) -> None:
        """Start the random numbers of placement and colours anew."""
        self.random = np.random.default_rng(seed)
        self.changes.set_random_seed(seed)

    def __len__(self) -> int:
        return len(self.items)

    def face_sides(self) -> Boxes:
        """(faces, 2) widths and heights in px of the canvas, before anything random: for anchors."""
        corners = [np.zeros((0, 4))]
        for row, at_half_size in self.items:
            boxes = self._placement(row, at_half_size).to_canvas(self.stored.faces(row))
            corners.append(np.asarray(boxes))
        boxes = np.concatenate(corners)
        return boxes[:, 2:] - boxes[:, :2]

    def __getitem__(self, item: int) -> TrainingCanvas:
        if self.random.random() < self.augmentation.mosaic:
            others = self.random.integers(len(self.items), size=3).tolist()
            return self._mosaic([item, *others])
        side = self.side
        resized, boxes, placement = self._changed(item)
        left, top = (
            self._anywhere(size, side) if self.augmentation.scale or self.augmentation.crop else offset
            for size, offset in ((resized.shape[1], placement.left), (resized.shape[0], placement.top))
        )
        canvas = white_canvas(side)
        paste(canvas, resized, left, top)
        return TrainingCanvas(canvas, _visible(boxes, left, top, (0, 0, side, side)))

    def _mosaic(self, items: list[int]) -> TrainingCanvas:
        """Four pictures in the four corners around a random point."""
        side = self.side
        x, y = (int(value) for value in self.random.uniform(0.3, 0.7, size=2) * side)
        windows = [(0, 0, x, y), (x, 0, side, y), (0, y, x, side), (x, y, side, side)]
        canvas, boxes = white_canvas(side), []
        for item, window in zip(items, windows, strict=True):
            resized, own, _ = self._changed(item)
            left = window[0] + self._anywhere(resized.shape[1], window[2] - window[0])
            top = window[1] + self._anywhere(resized.shape[0], window[3] - window[1])
            paste(canvas, resized, left, top, window)
            boxes.append(_visible(own, left, top, window))
        return TrainingCanvas(canvas, np.concatenate(boxes))

    def _changed(self, item: int) -> tuple[Picture, Boxes, Placement]:
        """A picture at a random size, mirrored and coloured, with its boxes in px of the resized picture."""
        row, at_half_size = self.items[item]
        picture = self.stored.picture(row)
        placement = self._rescaled(self._placement(row, at_half_size))
        boxes = placement.to_canvas(self.stored.faces(row)) - [placement.left, placement.top] * 2
        inside = cut_to_picture(boxes, placement.resized_width, placement.resized_height)
        changed = self.changes(image=resize(picture, placement), bboxes=inside)
        return changed["image"], np.asarray(changed["bboxes"], np.float64).reshape(-1, 4), placement

    def _placement(self, row: int, at_half_size: bool) -> Placement:
        """Where the picture lies before anything random."""
        entry, side = self.stored.pictures.iloc[row], self.pictures.canvas
        placement = placement_of(self.pictures.set, int(entry["width"]), int(entry["height"]), side)
        return half_size(placement, side) if at_half_size else placement

    def _rescaled(self, placement: Placement) -> Placement:
        scale = 1 + self.random.uniform(-1, 1) * self.augmentation.scale
        width = max(1, round(placement.resized_width * scale))
        height = max(1, round(placement.resized_height * scale))
        left, top = (self.pictures.canvas - width) // 2, (self.pictures.canvas - height) // 2
        return Placement(placement.width, placement.height, width, height, left, top)

    def _anywhere(self, size: int, room: int) -> int:
        """An offset at which something of that size fills the room, or lies in it."""
        lowest, highest = sorted((0, room - size))
        return int(self.random.integers(lowest, highest + 1))


def collate(canvases: list[TrainingCanvas]) -> Batch:
    """A batch as detectors take it: (batch, 3, side, side) uint8, and one (faces, 4) a canvas in px."""
    pixels = torch.from_numpy(np.stack([canvas.pixels for canvas in canvases])).permute(0, 3, 1, 2)
    return pixels, [torch.from_numpy(canvas.boxes).float() for canvas in canvases]


def _changes(augmentation: AugmentationSettings) -> albumentations.Compose:
    return albumentations.Compose(
        [
            albumentations.HorizontalFlip(p=augmentation.flip),
            albumentations.RandomBrightnessContrast(0.25, 0.25, p=augmentation.colour),
            albumentations.HueSaturationValue(10, 40, 0, p=augmentation.colour),
            albumentations.ToGray(p=augmentation.grey),
            albumentations.Blur(3, p=augmentation.blur),
        ],
        bbox_params=albumentations.BboxParams("pascal_voc"),
    )


def _visible(boxes: Boxes, left: int, top: int, window: tuple[int, int, int, int]) -> Boxes:
    """Boxes moved by (left, top) and cut to a window, without the faces of which too little is left."""
    boxes = boxes + np.array([left, top, left, top])
    x0, y0, x1, y1 = window
    cut = np.clip(boxes, [x0, y0, x0, y0], [x1, y1, x1, y1])
    sides, before = cut[:, 2:] - cut[:, :2], boxes[:, 2:] - boxes[:, :2]
    enough = sides.prod(axis=1) >= LEAST_VISIBLE * before.prod(axis=1)
    return np.asarray(cut[enough & (sides >= SMALLEST_FACE).all(axis=1)])
