"""Sentinel-1 rasters: VV and VH read from files, flood masks written as GeoTIFF on the same grid."""

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.transform import from_gcps

from common.base.atomic import atomic_write
from common.base.errors import InputError
from common.base.paths import display_path
from common.learn.arrays import Float32, UInt8
from competitions.etci_flood.predict.bands import (
    Band,
    band_list,
    bands_of,
    choose_bands,
    parse_bands,
    polarisation_of,
)
from competitions.etci_flood.predict.raster_files import OFFLINE, absolute, opened, reading
from competitions.etci_flood.predict.values import KnownUnits, unit_hint
from competitions.etci_flood.predict.water_mask import WaterOnGrid, crs_name, opened_water, same_grid
from competitions.etci_flood.predict.window_grid import NO_DATA, Window, rasterio_window

METRES_PER_DEGREE = 111_320.0
FLOOD_BAND = "flood: 1 = flood, 0 = not, 255 = unknown"
COLOURS = {0: (224, 219, 207, 255), 1: (21, 101, 192, 255), NO_DATA: (0, 0, 0, 0)}
"""Of the flood map in QGIS: dry, flood, unknown (transparent); red, green, blue, alpha."""
COG = {"driver": "COG", "compress": "DEFLATE", "BIGTIFF": "IF_SAFER", "overview_resampling": "MODE"}


@dataclass(frozen=True)
class RasterFlags:
    """What the user says about a raster."""

    bands: str | None = None
    """`VV=2,VH=1`: numbers or names."""
    water_values: tuple[float, ...] | None = None
    """Values of the water mask that are water."""


class RasterBackscatter:
    """VV and VH of open raster files (`windows.Backscatter`).

    Parameters
    ----------
    layers : (open dataset, its band) of VV and of VH, on one grid.
    water : permanent water on the same grid; none is assumed without it.
    """

    def __init__(
        self,
        layers: Sequence[tuple[Any, Band]],
        water: WaterOnGrid | None,
        flags: RasterFlags,
        left_out: str,
    ) -> None:
        self.layers, self.water, self.left_out = list(layers), water, left_out
        self.raster = layers[0][0]
        self.name = display_path(layers[0][1].file)
        self.height, self.width = self.raster.height, self.raster.width
        self.spacing = pixel_spacing(self.raster)
        self.bands_asked = flags.bands is not None
        self.water_asked = water is None or flags.water_values is not None
        self.is_complex = any(_is_complex(dataset, band) for dataset, band in layers)
        words = [text for _, band in layers for text in (band.name, band.unit)]
        self.unit_hint: KnownUnits | None = "amplitude" if self.is_complex else unit_hint(words)

    def read(self, window: Window) -> Float32:
        """VV and VH of a window; masked pixels are NaN, complex ones their modulus."""
        return np.stack([self._read_band(dataset, band, window) for dataset, band in self.layers])

    def read_water(self, window: Window) -> UInt8:
        """Permanent water of a window."""
        if self.water is None:
            return np.zeros((1, window.height, window.width), np.uint8)
        return self.water.read(window)

    def understood(self) -> list[str]:
        """How bands, grid and water were read."""
        vv, vh = (f"band {band.index}{_of_file(band, self.layers)}" for _, band in self.layers)
        kind = "modulus of complex values, " if self.is_complex else ""
        lines = [
            f"{self.name}: VV = {vv}, VH = {vh}{self.left_out}; {kind}{self.height} x {self.width} pixels, "
            f"{self._grid_sentence()}"
        ]
        if self.water is not None:
            lines.append(self.water.sentence())
        return lines

    def _read_band(self, dataset: Any, band: Band, window: Window) -> Float32:
        """(height, width) as the file's scale and offset have it; NaN where masked."""
        part = rasterio_window(window)
        with reading(band.file):
            stored = dataset.read(band.index, window=part, masked=True)
            mask = np.ma.getmaskarray(stored)
            if (alpha := self._alpha(dataset)) is not None:
                # GDAL makes a mask of alpha bands of some types only.
                mask = mask | (dataset.read(alpha, window=part) == 0)
        values = np.ma.getdata(stored)
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.abs(values) if np.iscomplexobj(values) else values
            scale, offset = dataset.scales[band.index - 1], dataset.offsets[band.index - 1]
            if (scale, offset) != (1.0, 0.0):
                values = values.astype(np.float64) * scale + offset
            found: Float32 = np.where(mask, np.float32(np.nan), values.astype(np.float32))
        return found

    def _alpha(self, dataset: Any) -> int | None:
        """The alpha band of a dataset; some tools mark the second of two bands so, which is VH."""
        if ColorInterp.alpha not in dataset.colorinterp:
            return None
        alpha: int = dataset.colorinterp.index(ColorInterp.alpha) + 1
        used = any(dataset is each and alpha == band.index for each, band in self.layers)
        return None if used else alpha

    def _grid_sentence(self) -> str:
        size = "spacing unknown, taken as 10 m" if self.spacing is None else f"about {self.spacing:.3g} m"
        points, crs = control_points(self.raster)
        if points:
            return f"{size}, georeference by {len(points)} control points ({crs_name(crs)}), kept"
        if self.raster.crs is None:
            return f"{size}, no coordinate system"
        return f"{size}, {crs_name(self.raster.crs)}"


@contextmanager
def open_raster(
    path: str | Path | Sequence[str | Path], water: str | Path | None = None, flags: RasterFlags | None = None
) -> Iterator[RasterBackscatter]:
    """Open a raster of VV and VH, or one file for each, and permanent water.

    Parameters
    ----------
    path : one file with both bands, or several files on one grid.
    water : mask of permanent water; another grid is resampled.

    Raises
    ------
    InputError : a file cannot be read, VV and VH are not found by their names, or files do not fit together.
    """
    flags = flags or RasterFlags()
    files = [absolute(file) for file in ([path] if isinstance(path, str | Path) else path)]
    with ExitStack() as stack:
        stack.enter_context(rasterio.Env(**OFFLINE))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        datasets = [stack.enter_context(opened(file)) for file in files]
        layers, left_out = _layers(datasets, files, flags.bands)
        first, second = (dataset for dataset, _ in layers)
        if second is not first and not _fit(first, second):
            sizes = " and ".join(f"{each.height} x {each.width}" for each in (first, second))
            vv, vh = (display_path(band.file) for _, band in layers)
            raise InputError(
                f"{vh}: is on another grid than {vv} ({sizes} pixels); gdalwarp puts both on one grid"
            )
        opening = (
            nullcontext(None)
            if water is None
            else opened_water(absolute(water), first, grid_of(first), flags.water_values)
        )
        wet = stack.enter_context(opening)
        yield RasterBackscatter(layers, wet, flags, left_out)


def write_flood(
    source: RasterBackscatter, target: Path, masks: Iterable[tuple[Window, UInt8]]
) -> dict[str, float]:
    """Write flood masks, window by window, as GeoTIFF on the grid of `source`, whole or not at all.

    The file is a cloud-optimised GeoTIFF (COG) of uint8: 1 = flood, 0 = not, 255 = unknown (nodata). It has a
    description, colours and overviews.

    Returns
    -------
    Pixels mapped, and the fraction of flood among them.

    Raises
    ------
    InputError : the target is the raster itself, or cannot be written.
    """
    profile = {
        "driver": "GTiff",
        "height": source.height,
        "width": source.width,
        "count": 1,
        "dtype": "uint8",
        "nodata": NO_DATA,
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "deflate",
        "zlevel": 1,
        "BIGTIFF": "IF_SAFER",
    }
    if any(target.resolve() == band.file.resolve() for _, band in source.layers):
        raise InputError(f"{display_path(target)}: is the raster that is read; give the map another name")
    points, crs = control_points(source.raster)
    if not points:
        profile |= {"crs": source.raster.crs, "transform": source.raster.transform}
    mapped = flooded = 0
    with atomic_write(target) as partial:
        plain = partial.with_name(f"{partial.stem}.plain.tif")
        try:
            with _writing(target), rasterio.open(plain, "w", **profile) as out:
                if points:
                    out.gcps = (points, crs)
                elif source.raster.rpcs is not None:
                    out.rpcs = source.raster.rpcs
                out.set_band_description(1, FLOOD_BAND)
                out.write_colormap(1, COLOURS)
                for window, mask in masks:
                    out.write(mask, 1, window=rasterio_window(window))
                    mapped += int((mask != NO_DATA).sum())
                    flooded += int((mask == 1).sum())
            with _writing(target):
                rasterio.shutil.copy(plain, partial, **COG)
        finally:
            for left in partial.parent.glob(f"{escape(partial.stem)}.*"):
                if left != partial:
                    left.unlink(missing_ok=True)
    return {"pixels_mapped": float(mapped), "flood_fraction": flooded / max(mapped, 1)}


def pixel_spacing(raster: Any) -> float | None:
    """Metres between the pixels of a raster; None where its grid does not say."""
    points, crs = control_points(raster)
    transform = from_gcps(points) if len(points) > 2 else raster.transform
    crs = crs if points else raster.crs
    if crs is None or transform.is_identity:
        return None
    area = abs(transform.determinant)  # of a pixel, in units of the CRS squared
    if crs.is_geographic:
        _, latitude = transform @ (raster.width / 2, raster.height / 2)
        area *= METRES_PER_DEGREE**2 * abs(math.cos(math.radians(latitude)))
    else:
        area *= crs.linear_units_factor[1] ** 2
    return math.sqrt(area) if area > 0 else None


def grid_of(raster: Any) -> Any:
    """The transform of a raster; None without one (control points alone, say)."""
    return None if raster.transform.is_identity else raster.transform


def control_points(raster: Any) -> tuple[list[Any], Any]:
    """The ground control points of a raster that has no other georeference, and their CRS."""
    return raster.gcps if raster.transform.is_identity else ([], None)


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Faults of GDAL's writing as one line; those of reading have theirs already."""
    try:
        yield
    except RasterioError as fault:
        raise InputError(f"{display_path(target)}: cannot be written ({str(fault)[:120]})") from None


def _layers(
    datasets: Sequence[Any], files: Sequence[Path], asked: str | None
) -> tuple[list[tuple[Any, Band]], str]:
    """(dataset, band) of VV and of VH, and a note on the bands that are left out."""
    bands = bands_of(datasets, files)
    wanted = None if asked is None else parse_bands(asked)
    unnamed = wanted is None and len(bands) == 2 and not any(polarisation_of(band.name) for band in bands)
    chosen = choose_bands(bands, wanted, _brighter(datasets, bands) if unnamed else 0)
    by_file = dict(zip(files, datasets, strict=True))
    left_out = f", not used: {band_list(bands, chosen)}" if len(bands) > 2 else ""
    return [(by_file[band.file], band) for band in chosen], left_out


def _brighter(datasets: Sequence[Any], bands: Sequence[Band]) -> int:
    """The brighter one of two bands, 1 or 2; 0 where it cannot be told."""
    small = []
    for dataset, band in zip(datasets if len(datasets) == 2 else [datasets[0]] * 2, bands, strict=True):
        shape = (min(dataset.height, 256), min(dataset.width, 256))
        with reading(band.file):
            values = dataset.read(band.index, out_shape=shape, masked=True)
        small.append(np.abs(values) if np.iscomplexobj(values) else values)
    if small[0].shape != small[1].shape:
        return 0
    values = np.ma.filled(np.ma.stack(small).astype(np.float64), np.nan)
    known = (np.isfinite(values) & (values != 0) & (np.abs(values) < 1000)).all(axis=0)
    first, second = (float(np.median(band[known])) if known.any() else 0.0 for band in values)
    return 0 if first == second else 1 if first > second else 2


def _fit(first: Any, second: Any) -> bool:
    """Whether two files are on one grid; without georeference their size decides."""
    if (first.height, first.width) != (second.height, second.width):
        return False
    grid, other = grid_of(first), grid_of(second)
    if (grid is None) != (other is None):
        return False
    return grid is None or same_grid(second, first, grid)


def _is_complex(dataset: Any, band: Band) -> bool:
    return "complex" in dataset.dtypes[band.index - 1]


def _of_file(band: Band, layers: Sequence[tuple[Any, Band]]) -> str:
    """The band's name, and its file when there are two."""
    name = f" {band.name[:40]!r}" if band.name else ""
    several = len({each.file for _, each in layers}) > 1
    return f"{name} of {band.file.name}" if several else name
