"""Photos larger than those of the challenge, seen at several scales and in overlapping tiles.

The detectors were trained on, or chosen for, pictures of at most 640 px with faces of 20 to 250 px. A larger
photo is seen whole at that size (the base level), in tiles of that size at finer scales up to its own, and
whole at a half and a quarter of the size, where a face that fills the frame has a side that the detectors
know. Each level is the home of the faces of some sizes (as in SNIP, Singh and Davis 2018), so that a face
counts once and finer levels add small faces alone. Tiles overlap by more than the largest face of their level
(as in SAHI, Akyon et al. 2022).
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from common.learn.arrays import Bools, Float32, Float64, UInt8

TILE = 640
"""Side in px of the largest pictures of the challenge, and of the tiles."""
MIN_FACE = 16
"""Side in px from which on most faces are found; see `python -m benchmarks.face_counting scales`."""
OVERLAP = 128
"""Of neighbouring tiles in px."""
MAX_STEP = 3.0
"""Between the scales of two levels, at most."""
SMALL_FACE = 24.0
"""Side in px of a face below which the next finer level is its home."""
LARGE_FACE = 220.0
"""Side in px on the base level of a face from which a coarser level is its home."""
COARSE_SCALES = (0.25, 0.5)
TOLERANCE = 1.25
"""Factor by which faces may lie outside the sizes of a level; duplicates are removed."""
CORE_MARGIN = 24
"""In px: the center of a face may lie so far outside its tile's core; duplicates are removed."""
DETAIL_BLOCK = 32
"""Side in px of the blocks in which detail is measured."""
MIN_CONTRAST, MIN_DETAIL, MIN_BLOCKS = 8.0, 0.25, 2
"""A tile is looked at where some blocks of that contrast (standard deviation of grey) lose so large a share
of it at half the size. Enlarged and blurred photos have none: a coarser level shows as much of them."""


@dataclass(frozen=True)
class Tile:
    """A part of a level."""

    left: int
    top: int
    core: tuple[float, float, float, float]
    """Corners in px of the level of the part that this tile owns; the cores of a level do not overlap."""


@dataclass(frozen=True)
class Level:
    """A photo at one scale."""

    scale: float
    """Side of the level over the side of the photo."""
    width: int
    height: int
    smallest: float
    largest: float
    """Sides in px of the level of the faces that have their home here."""
    tile_width: int
    tile_height: int
    tiles: tuple[Tile, ...]

    def large_enough(self, sides: Float64) -> Bools:
        """Whether faces of these sides in px have their home here, or on a coarser level."""
        return np.asarray(sides >= self.smallest / TOLERANCE)

    def small_enough(self, sides: Float64) -> Bools:
        """Whether faces of these sides in px have their home here, or on a finer level."""
        return np.asarray(sides < self.largest * TOLERANCE)


@dataclass(frozen=True)
class Pyramid:
    """The levels of one photo, the coarsest first."""

    levels: tuple[Level, ...]
    base: int
    """Number of the level that shows the whole photo as the challenge's pictures are shown."""

    @property
    def tiles(self) -> int:
        """Number of tiles of the levels that are finer than the base."""
        return sum(len(level.tiles) for level in self.levels[self.base + 1 :])


def plan_pyramid(width: int, height: int, tile: int = TILE, tiled: bool = True) -> Pyramid:
    """The levels of a photo of `width` x `height` px.

    Parameters
    ----------
    tile : side of tiles in px.
    tiled : False looks at the whole photo once, on the base level alone.
    """
    fit = min(1.0, tile / width, tile / height)
    if not tiled:
        return Pyramid((_level(fit, width, height, 0.0, np.inf, tile),), 0)
    steps = max(0, math.ceil(math.log(1 / fit, MAX_STEP) - 1e-9))
    longest = max(width, height) * fit
    # A coarser level is of use where the level above it can hold a large face.
    coarse = [scale * fit for scale in COARSE_SCALES if 2 * scale * longest >= LARGE_FACE]
    scales = [*coarse, *(fit ** (1 - step / max(1, steps)) for step in range(steps + 1))]
    base = len(coarse)
    levels: list[Level] = []
    for number, scale in enumerate(scales):
        smallest = 0.0 if number == len(scales) - 1 else LARGE_FACE / 2 if number < base else SMALL_FACE
        largest = levels[-1].smallest * scale / scales[number - 1] if number else np.inf
        levels.append(_level(scale, width, height, smallest, largest, tile))
    return Pyramid(tuple(levels), base)


def _level(scale: float, width: int, height: int, smallest: float, largest: float, tile: int) -> Level:
    sides = max(1, round(width * scale)), max(1, round(height * scale))
    columns, rows = (list(_spans(side, tile)) for side in sides)
    tiles = tuple(
        Tile(left, top, (core_left, core_top, core_right, core_bottom))
        for top, core_top, core_bottom in rows
        for left, core_left, core_right in columns
    )
    return Level(scale, *sides, smallest, largest, min(tile, sides[0]), min(tile, sides[1]), tiles)


def _spans(side: int, tile: int) -> Iterator[tuple[int, float, float]]:
    """First px of each tile along one side, and the core's ends: the middles of the overlaps."""
    number = 1 if side <= tile else math.ceil((side - OVERLAP) / (tile - OVERLAP))
    starts = [round(start) for start in np.linspace(0, max(0, side - tile), number)]
    middles = [(after + before + tile) / 2 for before, after in itertools.pairwise(starts)]
    yield from zip(starts, [0.0, *middles], [*middles, float(side)], strict=True)


def has_detail(pixels: UInt8) -> bool:
    """Whether a picture (height, width, 3) shows more than it would show at half its size."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    height, width = grey.shape
    if min(height, width) < DETAIL_BLOCK:
        return True
    half = cv2.resize(grey, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    lost = (grey - cv2.resize(half, (width, height), interpolation=cv2.INTER_CUBIC)) ** 2
    contrast = np.sqrt(np.maximum(_block_means(grey**2) - _block_means(grey) ** 2, 0.0))
    share = np.sqrt(_block_means(lost)) / np.maximum(contrast, MIN_CONTRAST)
    return int(((share >= MIN_DETAIL) & (contrast >= MIN_CONTRAST)).sum()) >= MIN_BLOCKS


def _block_means(values: Float32) -> Float32:
    rows, columns = (side // DETAIL_BLOCK for side in values.shape)
    cut = values[: rows * DETAIL_BLOCK, : columns * DETAIL_BLOCK]
    blocks = cut.reshape(rows, DETAIL_BLOCK, columns, DETAIL_BLOCK)
    return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)
