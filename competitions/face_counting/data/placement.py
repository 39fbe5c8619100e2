"""The paper's three preprocessing modes: where a picture and its boxes lie in the detector's input image.

A picture is a file as it was photographed; an image is the square that a network sees. Boxes are (n, 4)
arrays of xmin, ymin, xmax, ymax in px.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from common.learn.arrays import Float64, Floats, UInt8
from competitions.face_counting.experiment import Preprocessing

WHITE = 255
MAX_FACES_OF_A_COPY = 5
"""The paper adds half-scale copies of pictures with at most this many faces."""


@dataclass(frozen=True)
class Placement:
    """A picture of `width` x `height` px, resized and pasted with its corner at (left, top) of an image."""

    width: int
    height: int
    resized_width: int
    resized_height: int
    left: int
    top: int

    def to_image(self, boxes: Floats) -> Floats:
        """Boxes of the picture as boxes of the image."""
        return boxes * self._scale + self._shift

    def to_picture(self, boxes: Floats) -> Floats:
        """Boxes of the image as boxes of the picture: the inverse of `to_image`."""
        return (boxes - self._shift) / self._scale

    @property
    def _scale(self) -> Float64:
        x, y = self.resized_width / self.width, self.resized_height / self.height
        return np.array([x, y, x, y])

    @property
    def _shift(self) -> Float64:
        return np.array([self.left, self.top, self.left, self.top], dtype=np.float64)


def resize(width: int, height: int, image_size: int) -> Placement:
    """Setting 1 of the paper: the picture fills the image; its aspect ratio is not kept."""
    return Placement(width, height, image_size, image_size, 0, 0)


def letterbox(width: int, height: int, image_size: int) -> Placement:
    """Setting 2: the picture keeps its shape, in the middle of a white image (not specified in the paper).

    A picture that is larger than the image is scaled down to fit.
    """
    fit = min(1.0, image_size / width, image_size / height)
    resized_width, resized_height = max(1, round(width * fit)), max(1, round(height * fit))
    left, top = (image_size - resized_width) // 2, (image_size - resized_height) // 2
    return Placement(width, height, resized_width, resized_height, left, top)


def half_scale(placement: Placement, image_size: int) -> Placement:
    """Setting 3's copies: the finished image halved, again in the middle of a white image."""
    half_width, half_height = max(1, placement.resized_width // 2), max(1, placement.resized_height // 2)
    left, top = (image_size - half_width) // 2, (image_size - half_height) // 2
    return replace(placement, resized_width=half_width, resized_height=half_height, left=left, top=top)


def rescale(placement: Placement, scale: float, image_size: int) -> Placement:
    """The placement in an image of another side, with the picture `scale` times as large, in the middle."""
    sides = (placement.resized_width, placement.resized_height)
    width, height = (max(1, min(image_size, round(side * scale))) for side in sides)
    left, top = (image_size - width) // 2, (image_size - height) // 2
    return replace(placement, resized_width=width, resized_height=height, left=left, top=top)


def place(preprocessing: Preprocessing, width: int, height: int, image_size: int) -> Placement:
    """The place of a picture of `width` x `height` px; half-scale copies come on top (`half_scale`)."""
    return (resize if preprocessing == "resize" else letterbox)(width, height, image_size)


def has_half_scale_copy(preprocessing: Preprocessing, faces: int) -> bool:
    """Whether training also sees a half-scale copy of a picture with that many faces."""
    return preprocessing == "letterbox_half_scale" and faces <= MAX_FACES_OF_A_COPY


def resize_picture(picture: UInt8, placement: Placement) -> UInt8:
    """The picture (height, width, 3) at the placement's size."""
    size = (placement.resized_width, placement.resized_height)
    if size == (picture.shape[1], picture.shape[0]):
        return picture
    shrinks = size[0] < picture.shape[1] or size[1] < picture.shape[0]
    resized = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)


def paste(
    image: UInt8, picture: UInt8, left: int, top: int, window: tuple[int, int, int, int] | None = None
) -> None:
    """Paste a picture with its corner at (left, top), clipped to `window` (or to the image)."""
    x0, y0, x1, y1 = window or (0, 0, image.shape[1], image.shape[0])
    x0, y0 = max(x0, left), max(y0, top)
    x1, y1 = min(x1, left + picture.shape[1]), min(y1, top + picture.shape[0])
    if x0 < x1 and y0 < y1:
        image[y0:y1, x0:x1] = picture[y0 - top : y1 - top, x0 - left : x1 - left]


def blank_image(width: int, height: int | None = None) -> UInt8:
    """A white image (height, width, 3), square without a height."""
    return np.full((width if height is None else height, width, 3), WHITE, dtype=np.uint8)


def render(picture: UInt8, placement: Placement, image_size: int) -> UInt8:
    """The image (image_size, image_size, 3) with the picture in its place."""
    image = blank_image(image_size)
    paste(image, resize_picture(picture, placement), placement.left, placement.top)
    return image
