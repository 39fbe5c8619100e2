"""Windows of a raster: parts that are read and mapped one at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from rasterio.windows import Window as RasterioWindow

WINDOW_SIZE = 512
"""Side of a window, pixels; a multiple of 32, as the networks need."""
OVERLAP = 64
"""Pixels that neighbouring windows share when they are mapped; their maps are blended there."""

NO_DATA = 255
"""Of a flood mask: pixels where VV or VH is unknown."""


@dataclass(frozen=True)
class Window:
    """A part of a raster, pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def cover(height: int, width: int) -> Iterator[Window]:
    """Windows of at most 512 x 512 pixels that cover a raster without overlap."""
    for top, left in product(range(0, height, WINDOW_SIZE), range(0, width, WINDOW_SIZE)):
        yield Window(top, left, min(WINDOW_SIZE, height - top), min(WINDOW_SIZE, width - left))


def starts(size: int) -> list[int]:
    """Starts of overlapping windows along an axis; every pixel is in one."""
    step = WINDOW_SIZE - OVERLAP
    return list(range(0, max(1, size - OVERLAP), step))


def rasterio_window(window: Window) -> RasterioWindow:
    """The same part of a raster as rasterio has it."""
    return RasterioWindow(window.left, window.top, window.width, window.height)
