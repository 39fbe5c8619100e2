"""Test-time augmentation: the image of every view of a picture, and its boxes mapped back to the picture."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from common.learn.arrays import Float32, Float64, UInt8
from competitions.face_counting.data.placement import (
    Placement,
    blank_image,
    paste,
    place,
    rescale,
    resize_picture,
)
from competitions.face_counting.experiment import InputSettings, ViewSettings

STRIDE = 32
"""Sides of an image are multiples of the coarsest stride."""
MAX_BATCH_PIXELS = 16 * 640 * 640
"""Of the images that a detector gets at once."""


@dataclass(frozen=True)
class PictureView:
    """One view of one picture."""

    row: int
    view: int
    placement: Placement
    height: int
    width: int
    """Sides of the image in px."""
    flip: bool

    def image(self, picture: UInt8) -> UInt8:
        """(3, height, width) uint8 with the picture on white."""
        image = blank_image(self.width, self.height)
        paste(image, resize_picture(picture, self.placement), self.placement.left, self.placement.top)
        return np.ascontiguousarray((image[:, ::-1] if self.flip else image).transpose(2, 0, 1))

    def to_picture(self, boxes: Float32) -> Float64:
        """Boxes (n, 4) of the image as boxes of the picture, in px."""
        unflipped = boxes.astype(np.float64)
        if self.flip:
            unflipped[:, [0, 2]] = self.width - unflipped[:, [2, 0]]
        return np.asarray(self.placement.to_picture(unflipped), dtype=np.float64)


def picture_view(
    row: int, width: int, height: int, view: int, tta: ViewSettings, settings: InputSettings
) -> PictureView:
    """View number `view` of the picture `row` of `width` x `height` px."""
    side = max(STRIDE, round(settings.image_size * tta.scale / STRIDE) * STRIDE)
    trained = place(settings.preprocessing, width, height, settings.image_size)
    placement = rescale(trained, tta.scale, side)
    if not settings.rect:
        return PictureView(row, view, placement, side, side, tta.flip)
    rows, columns = (
        -(-size // STRIDE) * STRIDE for size in (placement.resized_height, placement.resized_width)
    )
    left, top = (columns - placement.resized_width) // 2, (rows - placement.resized_height) // 2
    return PictureView(row, view, replace(placement, left=left, top=top), rows, columns, tta.flip)


def batch_by_size(views: list[PictureView]) -> Iterator[list[PictureView]]:
    """Batches of views whose images have one size, as many as MAX_BATCH_PIXELS allows."""
    by_size: dict[tuple[int, int], list[PictureView]] = {}
    for view in views:
        by_size.setdefault((view.height, view.width), []).append(view)
    for (height, width), same in by_size.items():
        batch_size = max(1, MAX_BATCH_PIXELS // (height * width))
        for start in range(0, len(same), batch_size):
            yield same[start : start + batch_size]
