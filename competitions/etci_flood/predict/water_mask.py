"""Permanent water of one's own: which values of a mask are water, on the grid of a raster."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.transform import array_bounds
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds

from common.base.errors import InputError
from common.base.paths import display_path
from common.learn.arrays import AnyArray, UInt8
from competitions.etci_flood.predict.raster_files import opened, reading
from competitions.etci_flood.predict.window_grid import Window, cover, rasterio_window

MAX_CLASSES = 64
"""Values of a mask that are counted before it is no mask."""
MAX_CLASSES_NAMED = 8
GRID_TOLERANCE = 0.1
"""Pixels by which two grids may differ and still be one."""
MASK_VALUES = (1.0, 100.0, 255.0)
"""Values next to 0 that mean water in a mask."""
UNMARKED = 255
"""No data in a mask of 0 and 1, whether the file marks it or not."""


@dataclass(frozen=True)
class WaterValues:
    """What the values of a mask mean."""

    water: tuple[float, ...]
    not_water: tuple[float, ...]
    """Empty: everything else that is known."""

    def water_of(self, values: AnyArray) -> UInt8:
        """1 where `values` are water."""
        return np.isin(values, np.array(self.water, np.float64)).astype(np.uint8)


@dataclass
class Counts:
    """Pixels of a mask."""

    of_value: dict[float, int] = field(default_factory=dict)
    """Of each value; of the first 64 and of those that were asked for."""
    low: float = np.inf
    high: float = -np.inf
    known: int = 0
    unknown: int = 0
    """Marked as no data by the file, or NaN."""

    @classmethod
    def of_blocks(cls, blocks: Iterable[AnyArray], asked: Sequence[float] | None) -> "Counts":
        """Count blocks of floats, NaN where unknown."""
        counts = cls()
        for block in blocks:
            known = block[np.isfinite(block)]
            counts.known += known.size
            if known.size:
                counts.low, counts.high = min(counts.low, known.min()), max(counts.high, known.max())
            counts.unknown += block.size - known.size
            for value, count in zip(*np.unique(known, return_counts=True), strict=True):
                if value in counts.of_value or len(counts.of_value) <= MAX_CLASSES or value in (asked or ()):
                    counts.of_value[float(value)] = counts.of_value.get(float(value), 0) + int(count)
        return counts


def read_values(counts: Counts, asked: Sequence[float] | None, name: str) -> WaterValues:
    """Which values of a mask are water.

    Parameters
    ----------
    asked : values that the user says are water.

    Raises
    ------
    InputError : the mask has classes, fractions, or values that can be read in two ways.
    """
    if asked is not None:
        return WaterValues(tuple(asked), ())
    values = sorted(counts.of_value)
    others = [value for value in values if value != 0]
    say = "say which values are water: --water-value VALUE"
    if not values:
        raise InputError(f"{name}: the water mask is no data all over the raster; check that it covers it")
    if not others:
        return WaterValues((1,), (0,))
    if len(values) > MAX_CLASSES or any(value != int(value) for value in values):
        raise InputError(
            f"{name}: is no mask, its values go from {counts.low:g} to {counts.high:g}; make one of 0 and 1 "
            f"of it, or {say}"
        )
    marked = 0 in values or counts.unknown > 0
    if others == [1, UNMARKED] and 0 in values:
        return WaterValues((1,), (0,))
    if len(others) == 1 and others[0] in MASK_VALUES and marked:
        return WaterValues((others[0],), (0,))
    if len(others) == 1 and others[0] in MASK_VALUES:
        raise InputError(
            f"{name}: is {others[0]:g} all over the raster, so it may be no mask of water; {say}"
        )
    raise InputError(f"{name}: holds the values {_listed(values)}, so it may be a map of classes; {say}")


class WaterOnGrid:
    """A mask of permanent water, read on the grid of a raster.

    Parameters
    ----------
    dataset : open dataset or WarpedVRT of the raster's size.
    """

    def __init__(self, dataset: Any, path: Path, resampled: str, asked: Sequence[float] | None) -> None:
        self.dataset, self.path, self.resampled = dataset, path, resampled
        self.name = name = display_path(path)
        blocks = (self._stored(window).ravel() for window in cover(dataset.height, dataset.width))
        counts = Counts.of_blocks(blocks, asked)
        self.values = read_values(counts, asked, name)
        total = counts.known + counts.unknown
        water = sum(counts.of_value.get(value, 0) for value in self.values.water)
        # 255 in a mask of 0 and 1 counts neither as water nor as dry.
        dry = counts.of_value.get(0, 0) if self.values.not_water else counts.known - water
        self.has = _listed(sorted(counts.of_value))
        self.share, self.unknown_share = water / total, 1 - (water + dry) / total

    def read(self, window: Window) -> UInt8:
        """Permanent water, (1, height, width); 0 where the mask is unknown."""
        return self.values.water_of(self._stored(window))[None]

    def sentence(self) -> str:
        """How the mask was read."""
        value = ", ".join(f"{each:g}" for each in self.values.water)
        text = f"permanent water: {self.share:.1%} of the raster, value {value} of {self.name}"
        text += self.resampled
        if not self.share and self.has != "0":
            text += f"; it has {self.has} there"
        if self.unknown_share > 0:
            text += f"; the mask is no data on {self.unknown_share:.1%}, where none is assumed"
        return text

    def _stored(self, window: Window) -> AnyArray:
        """(height, width) float, NaN where the file marks no data."""
        with reading(self.path):
            read = self.dataset.read(1, window=rasterio_window(window), masked=True)
        return np.ma.filled(read.astype(np.float64), np.nan)


@contextmanager
def opened_water(path: Path, raster: Any, grid: Any, asked: Sequence[float] | None) -> Iterator[WaterOnGrid]:
    """A mask of permanent water on the grid of an open raster; another grid is resampled (nearest).

    Parameters
    ----------
    grid : transform of the raster; None when it has no georeference.

    Raises
    ------
    InputError : the mask does not cover the raster, has several bands, or values that are no mask.
    """
    name = display_path(path)
    with opened(path) as water:
        if water.count > 1 and not _is_mask_with_alpha(water):
            raise InputError(f"{name}: has {water.count} bands; expected one band of permanent water")
        same_size = (water.height, water.width) == (raster.height, raster.width)
        if same_size and grid is not None and same_grid(water, raster, grid):
            yield WaterOnGrid(water, path, "", asked)
            return
        if same_size and (grid is None or water.transform.is_identity):
            without = "the raster" if grid is None else "it"
            told = f"; taken pixel by pixel, because {without} has no georeference"
            yield WaterOnGrid(water, path, told, asked)
            return
        if grid is None or raster.crs is None or water.crs is None:
            raise InputError(
                f"{name}: {water.height} x {water.width} pixels on another grid than the raster of "
                f"{raster.height} x {raster.width}, and without the georeference of both it cannot be "
                "resampled; gdalwarp puts it on the raster's grid"
            )
        _check_overlap(water, raster, grid, name)
        with WarpedVRT(
            water,
            crs=raster.crs,
            transform=grid,
            height=raster.height,
            width=raster.width,
            resampling=Resampling.nearest,
            add_alpha=water.nodata is None and not _has_alpha(water),
        ) as warped:
            yield WaterOnGrid(warped, path, f", resampled from {crs_name(water.crs)} (nearest)", asked)


def same_grid(other: Any, raster: Any, grid: Any) -> bool:
    """Whether two grids of one size agree to a tenth of a pixel in all corners.

    Parameters
    ----------
    grid : transform of `raster`.
    """
    if other.crs is not None and raster.crs is not None and other.crs != raster.crs:
        return False
    to_pixels = ~grid
    for row in (0, raster.height):
        for column in (0, raster.width):
            across, down = to_pixels @ (other.transform @ (column, row))
            if max(abs(across - column), abs(down - row)) > GRID_TOLERANCE:
                return False
    return True


def _check_overlap(water: Any, raster: Any, grid: Any, name: str) -> None:
    try:
        left, bottom, right, top = transform_bounds(
            raster.crs, water.crs, *array_bounds(raster.height, raster.width, grid)
        )
    except RasterioError:
        left = bottom = right = top = np.nan
    west, south, east, north = array_bounds(water.height, water.width, water.transform)
    apart = left >= east or right <= west or bottom >= north or top <= south
    if apart or not np.isfinite([left, bottom, right, top]).all():
        raise InputError(
            f"{name}: lies somewhere else than the raster ({crs_name(water.crs)}); give the mask of its area"
        )


def _is_mask_with_alpha(water: Any) -> bool:
    return water.count == 2 and _has_alpha(water)


def _has_alpha(water: Any) -> bool:
    return ColorInterp.alpha in water.colorinterp


def crs_name(crs: Any) -> str:
    """`EPSG:32646`, otherwise the name in its WKT."""
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else str(crs.to_wkt()).split('"')[1][:40]


def _listed(values: Sequence[float]) -> str:
    more = ", ..." if len(values) > MAX_CLASSES_NAMED else ""
    return ", ".join(f"{value:g}" for value in values[:MAX_CLASSES_NAMED]) + more


def array_water(water: AnyArray, shape: tuple[int, ...], asked: Sequence[float] | None) -> UInt8:
    """Permanent water (height, width) of an array, 0 or 1."""
    masked = np.ma.asarray(water)
    given: AnyArray = np.ma.filled(masked.astype(np.float64), np.nan)
    if given.shape != shape:
        raise InputError(f"water has shape {given.shape}; expected {shape} as VV and VH")
    return read_values(Counts.of_blocks([given.ravel()], asked), asked, "water").water_of(given)
