"""The article's three picture sets: where a picture, and its boxes with it, lies on the detector's canvas.

Boxes are (n, 4) arrays of xmin, ymin, xmax, ymax in px.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from competitions.face_counting.experiment import PictureSet

WHITE = 255
MOST_FACES_OF_A_HALF_COPY = 5
"""The article adds half-size copies of pictures with at most this many faces."""

Picture = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Placement:
    """A picture of `width` x `height` px, resized and pasted with its corner at (left, top) of a canvas."""

    width: int
    height: int
    resized_width: int
    resized_height: int
    left: int
    top: int

    def to_canvas(self, boxes: Boxes) -> Boxes:
        """Boxes of the picture as boxes of the canvas."""
        return boxes * self._scale + self._shift

    def to_picture(self, boxes: Boxes) -> Boxes:
        """Boxes of the canvas as boxes of the picture: the inverse of `to_canvas`."""
        return (boxes - self._shift) / self._scale

    @property
    def _scale(self) -> npt.NDArray[np.float64]:
        x, y = self.resized_width / self.width, self.resized_height / self.height
        return np.array([x, y, x, y])

    @property
    def _shift(self) -> npt.NDArray[np.float64]:
        return np.array([self.left, self.top, self.left, self.top], dtype=np.float64)


def stretched(width: int, height: int, canvas: int) -> Placement:
    """Setting 1: the picture fills the canvas; its shape is not kept."""
    return Placement(width, height, canvas, canvas, 0, 0)


def on_white_canvas(width: int, height: int, canvas: int, scale: float = 1.0) -> Placement:
    """Setting 2: the picture keeps its shape, in the middle of a white canvas (where is not printed).

    A picture that is larger than the canvas is scaled down to fit; `scale` multiplies its side further.
    """
    fit = min(1.0, canvas / width, canvas / height) * scale
    resized_width, resized_height = max(1, round(width * fit)), max(1, round(height * fit))
    left, top = (canvas - resized_width) // 2, (canvas - resized_height) // 2
    return Placement(width, height, resized_width, resized_height, left, top)


def half_size(placement: Placement, canvas: int) -> Placement:
    """Setting 3's copies: the finished canvas halved, again in the middle of a white canvas."""
    half_width, half_height = max(1, placement.resized_width // 2), max(1, placement.resized_height // 2)
    left, top = (canvas - half_width) // 2, (canvas - half_height) // 2
    return replace(placement, resized_width=half_width, resized_height=half_height, left=left, top=top)


def enlarged(placement: Placement, scale: float, canvas: int) -> Placement:
    """The placement on a canvas of another side, with the picture `scale` times as large, in the middle."""
    sides = (placement.resized_width, placement.resized_height)
    width, height = (max(1, min(canvas, round(side * scale))) for side in sides)
    left, top = (canvas - width) // 2, (canvas - height) // 2
    return replace(placement, resized_width=width, resized_height=height, left=left, top=top)


def placement_of(picture_set: PictureSet, width: int, height: int, canvas: int) -> Placement:
    """Where a picture of `width` x `height` px lies in a picture set, half-size copies aside."""
    if picture_set == "stretched":
        return stretched(width, height, canvas)
    return on_white_canvas(width, height, canvas)


def has_half_copy(picture_set: PictureSet, faces: int) -> bool:
    """Whether a training picture with that many faces is shown at half size too."""
    return picture_set == "white_canvas_half_copies" and faces <= MOST_FACES_OF_A_HALF_COPY


def resize(picture: Picture, placement: Placement) -> Picture:
    """The picture (height, width, 3) at the placement's size."""
    import cv2

    size = (placement.resized_width, placement.resized_height)
    if size == (picture.shape[1], picture.shape[0]):
        return picture
    shrinks = size[0] < picture.shape[1] or size[1] < picture.shape[0]
    resized = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)


def paste(
    canvas: Picture, resized: Picture, left: int, top: int, window: tuple[int, int, int, int] | None = None
) -> None:
    """Paste a picture with its corner at (left, top), cut off at `window` (or at the canvas)."""
    x0, y0, x1, y1 = window or (0, 0, canvas.shape[1], canvas.shape[0])
    x0, y0 = max(x0, left), max(y0, top)
    x1, y1 = min(x1, left + resized.shape[1]), min(y1, top + resized.shape[0])
    if x0 < x1 and y0 < y1:
        canvas[y0:y1, x0:x1] = resized[y0 - top : y1 - top, x0 - left : x1 - left]


def white_canvas(width: int, height: int | None = None) -> Picture:
    """An empty canvas (height, width, 3), square without a height."""
    return np.full((width if height is None else height, width, 3), WHITE, dtype=np.uint8)


def render(picture: Picture, placement: Placement, canvas: int) -> Picture:
    """The canvas (canvas, canvas, 3) with the picture on it."""
    square = white_canvas(canvas)
    paste(square, resize(picture, placement), placement.left, placement.top)
    return square
