"""Rasters as users have them: a river through land, written with any bands, names, grids and fill."""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin

NORTH_UP = from_origin(430_000, 1_150_000, 10, 10)
UTM = "EPSG:32648"
ROWS, COLUMNS = 180, 240


def river() -> np.ndarray:
    """Where the water is, (rows, columns)."""
    down, across = np.mgrid[:ROWS, :COLUMNS]
    return np.abs(across - 110 - 30 * np.sin(down / 40)) < 30


def drawn_decibels(seed: int = 3) -> np.ndarray:
    """VV and VH in decibels, (2, rows, columns) float32."""
    rng = np.random.default_rng(seed)
    layers = np.stack([rng.normal(-9.5, 1.3, (ROWS, COLUMNS)), rng.normal(-16, 1.4, (ROWS, COLUMNS))])
    layers[:, river()] -= 10
    return layers.astype(np.float32)


def write(
    path: Path, bands: np.ndarray, names: Sequence[str | None] | None = ("VV", "VH"), **about: Any
) -> Path:
    """Write (bands, rows, columns); `about` is of the profile, or an attribute of the open dataset."""
    bands = np.asarray(bands)
    later = {
        key: about.pop(key) for key in ("scales", "offsets", "units", "colorinterp", "gcps") if key in about
    }
    tags = about.pop("tags", ())
    count, height, width = bands.shape
    profile = {"driver": "GTiff", "crs": UTM, "transform": NORTH_UP, "dtype": bands.dtype} | about
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", count=count, height=height, width=width, **profile) as raster:
        if names is not None:
            raster.descriptions = names
        for band, each in enumerate(tags, start=1):
            raster.update_tags(band, **each)
        for key, value in later.items():
            setattr(raster, key, value)
        raster.write(bands)
    return path


def add_tiff_tag(path: Path, number: int, text: str) -> None:
    """Add a text tag to a little-endian TIFF, its directory rewritten at the end of the file."""
    content = path.read_bytes()
    assert content[:4] == b"II*\0"
    (start,) = struct.unpack("<I", content[4:8])
    (count,) = struct.unpack("<H", content[start : start + 2])
    entries = [content[start + 2 + 12 * n : start + 14 + 12 * n] for n in range(count)]
    value = text.encode() + b"\0"
    content += b"\0" * (len(content) % 2)
    entries.append(struct.pack("<HHII", number, 2, len(value), len(content)))
    content += value + b"\0" * (len(value) % 2)
    entries.sort(key=lambda entry: struct.unpack("<H", entry[:2]))
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", 0)
    path.write_bytes(content[:4] + struct.pack("<I", len(content)) + content[8:] + directory)


def vrt(sources: Sequence[tuple[str, str]], rows: int = ROWS, columns: int = COLUMNS) -> str:
    """A VRT of (name, source file relative to it), one band each."""
    bands = "".join(
        f'<VRTRasterBand dataType="Float32" band="{number}"><Description>{name}</Description><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">{source}</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand>"
        for number, (name, source) in enumerate(sources, start=1)
    )
    return f'<VRTDataset rasterXSize="{columns}" rasterYSize="{rows}">{bands}</VRTDataset>'
