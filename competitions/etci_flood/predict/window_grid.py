"""Windows of a raster: parts that are read and mapped one at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from rasterio.windows import Window as RasterioWindow

WINDOW_SIZE = 512
"""Side of a window, pixels; a multiple of 32, as the networks need."""
OVERLAP = 64
"""Pixels over which the maps of neighbouring windows are blended."""

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


@dataclass(frozen=True)
class Span:
    """A window along one axis, pixels of the raster."""

    start: int
    stop: int
    first: int
    """First pixel of its map that is used; of the next window it is 64 before the last one used here."""
    last: int
    """End of the pixels that are used; predictions nearer to a window's border have less context."""


def spread(size: int) -> list[Span]:
    """Evenly spread windows along an axis, which overlap by at least 64 pixels."""
    number = 1 + max(0, -(-(size - WINDOW_SIZE) // (WINDOW_SIZE - OVERLAP)))
    step = -(-(size - WINDOW_SIZE) // (number - 1)) if number > 1 else 0
    starts = [step * place for place in range(number)]
    # The middle of the pixels that are also in the window before.
    middles = [start + (WINDOW_SIZE - step) // 2 for start in starts]
    return [
        Span(
            start,
            min(start + WINDOW_SIZE, size),
            middles[place] - OVERLAP // 2 if place else 0,
            middles[place + 1] + OVERLAP // 2 if place + 1 < number else size,
        )
        for place, start in enumerate(starts)
    ]


def rasterio_window(window: Window) -> RasterioWindow:
    """The same part of a raster as rasterio has it."""
    return RasterioWindow(window.left, window.top, window.width, window.height)
