"""Sentinel-1 rasters: VV and VH read from a file, flood masks written as GeoTIFF on the same grid."""

import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterioWindow

from common.base.atomic import atomic_write
from common.base.errors import InputError
from common.base.paths import display_path
from common.learn.arrays import Float32, UInt8
from competitions.etci_flood.predict.windows import NO_DATA, Window

CACHE_BYTES = 64 * 2**20
METRES_PER_DEGREE = 111_320.0


class RasterBackscatter:
    """VV and VH of an open raster file (`windows.Backscatter`).

    Parameters
    ----------
    raster : open dataset; its bands are described as VV and VH, or its first two bands are VV and VH.
    water : open dataset of permanent water (not 0) on the same grid; none is assumed without it.
    """

    def __init__(self, raster: Any, path: Path, water: Any | None) -> None:
        self.raster, self.water, self.name = raster, water, display_path(path)
        self.bands = polarisation_bands(raster, path)
        self.height, self.width = raster.height, raster.width
        self.spacing = pixel_spacing(raster)

    def read(self, window: Window) -> Float32:
        """VV and VH of a window; masked pixels are NaN."""
        values = self.raster.read(list(self.bands), window=_rasterio_window(window), masked=True)
        filled: Float32 = values.astype(np.float32).filled(np.nan)
        return filled

    def read_water(self, window: Window) -> UInt8:
        """Permanent water of a window."""
        if self.water is None:
            return np.zeros((1, window.height, window.width), np.uint8)
        water: UInt8 = (self.water.read([1], window=_rasterio_window(window)) != 0).astype(np.uint8)
        return water


@contextmanager
def open_raster(path: Path, water: Path | None = None) -> Iterator[RasterBackscatter]:
    """Open a raster of VV and VH, and permanent water on the same grid.

    Raises
    ------
    InputError : a raster cannot be read, lacks a band, or the two are not on one grid.
    """
    for file in (path, water):
        if file is not None and not file.is_file():
            raise InputError(f"{display_path(file)}: no such raster file")
    try:
        with ExitStack() as stack:
            stack.enter_context(rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES))
            raster = stack.enter_context(rasterio.open(path))
            wet = None if water is None else stack.enter_context(_open_water(water, raster))
            yield RasterBackscatter(raster, path, wet)
    except RasterioError as fault:
        raise InputError(f"{display_path(path)}: not a readable raster ({str(fault)[:120]})") from None


def write_flood(
    source: RasterBackscatter, target: Path, masks: Iterable[tuple[Window, UInt8]]
) -> dict[str, float]:
    """Write flood masks, window by window, as GeoTIFF on the grid of `source`, whole or not at all.

    The file is uint8: 1 = flood, 0 = not, 255 = unknown.

    Returns
    -------
    Pixels mapped, and the fraction of flood among them.
    """
    profile = {
        "driver": "GTiff",
        "height": source.height,
        "width": source.width,
        "count": 1,
        "dtype": "uint8",
        "crs": source.raster.crs,
        "transform": source.raster.transform,
        "nodata": NO_DATA,
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
        "compress": "deflate",
        "BIGTIFF": "IF_SAFER",
    }
    mapped = flooded = 0
    with atomic_write(target) as partial, rasterio.open(partial, "w", **profile) as out:
        out.set_band_description(1, "flood")
        for window, mask in masks:
            out.write(mask, 1, window=_rasterio_window(window))
            mapped += int((mask != NO_DATA).sum())
            flooded += int((mask == 1).sum())
    return {"pixels_mapped": float(mapped), "flood_fraction": flooded / max(mapped, 1)}


def pixel_spacing(raster: Any) -> float | None:
    """Metres between the pixels of a raster; None where its grid does not say."""
    if raster.crs is None or raster.transform.is_identity:
        return None
    area = abs(raster.transform.determinant)  # of a pixel, in units of the CRS squared
    if raster.crs.is_geographic:
        _, latitude = raster.transform @ (raster.width / 2, raster.height / 2)
        area *= METRES_PER_DEGREE**2 * abs(math.cos(math.radians(latitude)))
    else:
        area *= raster.crs.linear_units_factor[1] ** 2
    return math.sqrt(area) if area > 0 else None


def polarisation_bands(raster: Any, path: Path) -> tuple[int, int]:
    """Numbers of the VV and the VH band: by their descriptions, otherwise the first two."""
    described = {str(text).strip().lower(): band for band, text in enumerate(raster.descriptions, 1) if text}
    vv, vh = (
        next((band for name, band in described.items() if each in name.replace("-", "_").split("_")), None)
        for each in ("vv", "vh")
    )
    if vv is not None and vh is not None:
        return vv, vh
    if raster.count < 2:
        raise InputError(
            f"{display_path(path)}: has one band; expected two, VV and VH "
            f"(gdal_merge.py -separate, or gdalbuildvrt -separate, puts two files into one)"
        )
    return 1, 2


def _open_water(water: Path, raster: Any) -> Any:
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
            f"{raster.height} x {raster.width}; gdalwarp resamples it"
        )
    return wet


def _rasterio_window(window: Window) -> RasterioWindow:
    return RasterioWindow(window.left, window.top, window.width, window.height)
