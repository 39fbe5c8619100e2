"""Flood maps of whole Sentinel-1 rasters, window by window: any size in bounded memory.

The models know the official pictures, decibels stretched to 0..255 by a rule that was never published. So a
raster's decibels are stretched until their median and spread are those of the training scenes.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import RasterioError
from rasterio.windows import Window

from common.base.atomic import atomic_write
from common.base.console import progress
from common.base.errors import InputError
from common.base.paths import display_path
from competitions.etci_flood.data.normalisation import centre_and_spread
from competitions.etci_flood.models.base import Weighted, levels_of, mean_probability, widest_margin

Bytes = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
Units = Literal["auto", "db", "linear"]

WINDOW = 512
"""Side of what is mapped at a time, pixels; a multiple of 32, as the networks need."""
SAMPLED_WINDOWS = 64
"""Windows, evenly spread, from which median and spread of the raster are taken."""
NO_DATA = 255
"""Of the flood raster: where VV or VH is unknown."""
CACHE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Stretch:
    """How a raster's backscatter becomes levels of the official pictures."""

    units: Literal["db", "linear"]
    decibels: FloatArray
    """(2, 2), median and spread of the raster's VV and VH, dB."""
    levels: FloatArray
    """(2, 2), median and spread of VV and VH in the training scenes, levels."""

    def apply(self, backscatter: FloatArray) -> tuple[Bytes, npt.NDArray[np.bool_]]:
        """Levels (2, height, width), and which pixels are known, of backscatter in the raster's units."""
        decibels, known = to_decibels(backscatter, self.units)
        centre, spread = self.decibels[:, 0, None, None], self.decibels[:, 1, None, None]
        levels = (decibels - centre) / spread * self.levels[:, 1, None, None] + self.levels[:, 0, None, None]
        all_known: npt.NDArray[np.bool_] = known[0] & known[1]
        # Level 0 means no data in most scenes.
        return np.where(known, np.rint(levels).clip(1, 255), 0).astype(np.uint8), all_known


def to_decibels(
    backscatter: FloatArray, units: Literal["db", "linear"]
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Decibels (0 where unknown), and what is known: finite and, of linear power, above 0."""
    known = np.isfinite(backscatter) & ((backscatter > 0) | (units == "db"))
    filled = np.where(known, backscatter, 1).astype(np.float32)
    return (10 * np.log10(filled) if units == "linear" else filled * known), known


def map_geotiff(
    source: Path,
    target: Path,
    models: Weighted,
    threshold: int,
    levels: FloatArray,
    units: Units = "auto",
    water: Path | None = None,
) -> dict[str, float]:
    """Map the flood of a raster and write it as GeoTIFF: uint8, 1 = flood, 0 = not, 255 = unknown.

    Parameters
    ----------
    source : raster whose bands are described as VV and VH, or whose first two bands they are.
    threshold : a pixel is flood when its probability x 255 is at least this.
    levels : (2, 2), median and spread of VV and VH in the training scenes.
    units : of the raster; auto takes a negative median for decibels.
    water : raster of permanent water (not 0) on the same grid; none is assumed without it.

    Returns
    -------
    Pixels mapped and the share of flood among them.

    Raises
    ------
    InputError : a raster cannot be read, lacks a band, or the two do not lie on one grid.
    """
    try:
        with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES), rasterio.open(source) as raster:
            bands = polarisation_bands(raster, source)
            stretch = _stretch_of(raster, bands, units, levels, source)
            with _opened_water(water, raster) as wet, atomic_write(target) as partial:
                return _map_windows(raster, bands, wet, stretch, models, threshold, partial)
    except RasterioError as fault:
        raise InputError(f"{display_path(source)}: not a readable raster ({str(fault)[:120]})") from None


def polarisation_bands(raster: Any, source: Path) -> tuple[int, int]:
    """Numbers of the VV and the VH band: by their descriptions, else the first two."""
    named = {str(text).strip().lower(): band for band, text in enumerate(raster.descriptions, 1) if text}
    found = [
        next((band for name, band in named.items() if each in name.replace("-", "_").split("_")), None)
        for each in ("vv", "vh")
    ]
    if found[0] is not None and found[1] is not None:
        return found[0], found[1]
    if raster.count < 2:
        raise InputError(
            f"{display_path(source)}: has one band; expected two, VV and VH "
            f"(gdal_merge.py -separate, or gdalbuildvrt -separate, puts two files into one)"
        )
    return 1, 2


def _stretch_of(
    raster: Any, bands: tuple[int, int], units: Units, levels: FloatArray, source: Path
) -> Stretch:
    windows = list(_windows(raster.height, raster.width))
    some = windows[:: max(1, len(windows) // SAMPLED_WINDOWS)]
    sampled = [_read(raster, bands, window)[:, ::4, ::4].reshape(2, -1) for window in some]
    backscatter = np.concatenate(sampled, axis=1)
    finite = np.isfinite(backscatter).all(axis=0) & (backscatter != 0).any(axis=0)
    if not finite.any():
        raise InputError(f"{display_path(source)}: holds no values, only what is marked as no data")
    known_units: Literal["db", "linear"] = units if units != "auto" else "linear"
    if units == "auto" and np.median(backscatter[0, finite]) < 0:
        known_units = "db"
    decibels, known = to_decibels(backscatter[:, finite], known_units)
    if not known.all(axis=0).any():
        raise InputError(
            f"{display_path(source)}: no linear power is above 0; are these decibels (--units db)?"
        )
    scale = [centre_and_spread(band) for band in decibels[:, known.all(axis=0)]]
    return Stretch(known_units, np.array(scale, np.float32), levels)


def _opened_water(water: Path | None, raster: Any) -> Any:
    if water is None:
        return nullcontext(None)
    try:
        wet = rasterio.open(water)
    except RasterioError as fault:
        raise InputError(f"{display_path(water)}: not a readable raster ({str(fault)[:120]})") from None
    same = (wet.height, wet.width) == (raster.height, raster.width) and wet.transform.almost_equals(
        raster.transform
    )
    if not same:
        wet.close()
        raise InputError(
            f"{display_path(water)}: {wet.height} x {wet.width} pixels on another grid than the raster of "
            f"{raster.height} x {raster.width}; gdalwarp puts it on the same one"
        )
    return wet


def _map_windows(
    raster: Any,
    bands: tuple[int, int],
    wet: Any,
    stretch: Stretch,
    models: Weighted,
    threshold: int,
    partial: Path,
) -> dict[str, float]:
    margin = widest_margin(models)
    profile = {
        "driver": "GTiff",
        "height": raster.height,
        "width": raster.width,
        "count": 1,
        "dtype": "uint8",
        "crs": raster.crs,
        "transform": raster.transform,
        "nodata": NO_DATA,
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
        "compress": "deflate",
        "BIGTIFF": "IF_SAFER",
    }
    mapped = flooded = 0
    windows = list(_windows(raster.height, raster.width))
    with rasterio.open(partial, "w", **profile) as out:
        out.set_band_description(1, "flood")
        for window in progress(windows, "mapping", "windows"):
            around = _around(window, margin, raster.height, raster.width)
            backscatter, known = stretch.apply(_mirrored(_read(raster, bands, around.inside), around))
            own = np.s_[margin : margin + window.height, margin : margin + window.width]
            flood = np.full((window.height, window.width), NO_DATA, np.uint8)
            if known[own].any():
                water = np.zeros_like(backscatter[:1])
                if wet is not None:
                    water = _mirrored((wet.read([1], window=around.inside) != 0).astype(np.uint8), around)
                layers = np.concatenate([backscatter, water])[None]
                probability = mean_probability(models, layers, stretch.levels[None], margin)[0]
                called = levels_of(probability)[: window.height, : window.width] >= threshold
                flood = np.where(known[own], called, NO_DATA).astype(np.uint8)
            out.write(flood, 1, window=window)
            mapped += int((flood != NO_DATA).sum())
            flooded += int((flood == 1).sum())
    return {"pixels_mapped": float(mapped), "flood_share": flooded / max(mapped, 1)}


@dataclass(frozen=True)
class _Around:
    """A window with its margin: what of it lies in the raster, and how much must be mirrored on each side."""

    inside: Window
    missing: tuple[tuple[int, int], tuple[int, int]]


def _around(window: Window, margin: int, height: int, width: int) -> _Around:
    spans, missing = [], []
    for start, size in ((window.row_off, height), (window.col_off, width)):
        first, last = start - margin, start + WINDOW + margin
        spans.append((max(first, 0), min(last, size)))
        missing.append((max(-first, 0), max(last - size, 0)))
    (top, bottom), (left, right) = spans
    return _Around(Window(left, top, right - left, bottom - top), (missing[0], missing[1]))


def _mirrored(layers: npt.NDArray[Any], around: _Around) -> npt.NDArray[Any]:
    """Layers of what lies in the raster, mirrored until the window and its margin are full."""
    return np.pad(layers, ((0, 0), *around.missing), mode="symmetric")


def _read(raster: Any, bands: tuple[int, int], window: Window) -> FloatArray:
    """VV and VH of a window, (2, height, width) float32; what is marked as no data is NaN."""
    values = raster.read(list(bands), window=window, masked=True)
    filled: FloatArray = values.astype(np.float32).filled(np.nan)
    return filled


def _windows(height: int, width: int) -> Iterator[Window]:
    for top, left in product(range(0, height, WINDOW), range(0, width, WINDOW)):
        yield Window(left, top, min(WINDOW, width - left), min(WINDOW, height - top))
