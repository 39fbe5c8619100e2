"""Tiles as memory-mapped arrays, read once from the image files."""

import mmap
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import imagecodecs
import numpy as np
import pandas as pd

from common.base.atomic import atomic_array
from common.base.console import progress
from common.base.errors import InputError
from common.base.paths import display_path
from common.files.pictures import UnreadablePictureError, read_rgb
from common.learn.arrays import Float32, Int64, UInt8
from competitions.etci_flood.data.channels import MEAN, STD
from competitions.etci_flood.data.label_noise import histogram, noisy_label_pixels
from competitions.etci_flood.data.layout import TILE_SIDE, Tile
from competitions.etci_flood.data.normalisation import centre_and_spread_of_histogram

ARRAYS = {"vv": "vv", "vh": "vh", "water": "water_body_label", "flood": "flood_label"}
"""Array -> official layer."""
TABLE = "tiles.parquet"
TILES_BETWEEN_RELEASES = 1000
"""Number of tiles after which their memory (260 kB each) is released."""
_MASKS = ("water", "flood")
_SCALE = ("vv_centre", "vv_spread", "vh_centre", "vh_spread")


@dataclass(frozen=True)
class TileArrays:
    """Processed tiles; row r of the table belongs to row r of the arrays."""

    tiles: pd.DataFrame
    """tile, scene, region, x, y, split, labelled, readable, no_data, has_flood, noisy_pixels (of
    suspected label noise), the scene's vv_centre, vv_spread, vh_centre, vh_spread, fold_<split>."""
    vv: UInt8
    """(n, 256, 256), as in the images."""
    vh: UInt8
    """(n, 256, 256), as in the images."""
    water: UInt8
    """(n, 256, 256), 1 = permanent water; 0 where the layer is missing."""
    flood: UInt8
    """(labelled, 256, 256), 1 = flood; the labelled tiles are the table's first rows."""

    def scale(self, rows: Int64) -> Float32:
        """Centre and spread of VV and VH of each row's scene, (n, 2 polarisations, 2)."""
        table = self.tiles[list(_SCALE)].to_numpy(np.float32)
        return table[rows].reshape(-1, 2, 2)


def typical_scale(arrays: TileArrays) -> Float32:
    """Centre and spread of VV and VH of a typical scene, (2, 2): the median over all labelled tiles."""
    scale: Float32 = np.median(arrays.scale(np.flatnonzero(arrays.tiles["labelled"])), axis=0)
    return scale


def open_tile_arrays(folder: Path) -> TileArrays:
    """Open the arrays of 1_preprocess; InputError when a file is missing or cut short."""
    tiles = pd.read_parquet(folder / TABLE)
    arrays = {}
    for name in ARRAYS:
        path = folder / f"{name}.npy"
        try:
            arrays[name] = np.load(path, mmap_mode="r")
        except (ValueError, EOFError):
            raise InputError(
                f"{display_path(path)}: cut short; delete it and run 1_preprocess.py again"
            ) from None
    return TileArrays(tiles, **arrays)


def write_tile_arrays(
    folder: Path, labelled: Sequence[Tile], predicted: Sequence[Tile], warn: Callable[[str], None]
) -> tuple[pd.DataFrame, list[Path]]:
    """Read all images into memory-mapped arrays, in bounded memory.

    A labelled tile with an unreadable image keeps its row, but is marked and not used in training. A tile to
    predict keeps its place in the submission; its unreadable layers are zero.

    Returns
    -------
    The table, without fold columns, and the paths of the written files.
    """
    tiles = [*labelled, *predicted]
    with ExitStack() as stack:
        arrays = {
            name: stack.enter_context(
                atomic_array(
                    folder / f"{name}.npy",
                    (len(labelled) if name == "flood" else len(tiles), TILE_SIDE, TILE_SIDE),
                    np.uint8,
                )
            )
            for name in ARRAYS
        }

        def fill(row: int) -> _Filled:
            wrong = _fill_row(arrays, row, tiles[row], row < len(labelled))
            vv, vh = arrays["vv"][row], arrays["vh"][row]
            flood = arrays["flood"][row] if row < len(labelled) else np.zeros_like(vv)
            no_data = is_no_data(vv)
            counts = np.stack([histogram(layer) for layer in (vv, vh)])
            counts[:, [0, 255]] = 0  # mostly pixels outside the swath
            noisy = 0 if no_data else noisy_label_pixels(vv, flood)
            return _Filled(wrong, no_data, bool(flood.any()), noisy, None if no_data or wrong else counts)

        filled = []
        of_scene: dict[str, Int64] = {}
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            done = pool.map(fill, range(len(tiles)))
            for tile, each in zip(tiles, progress(done, "reading tiles", "tiles", len(tiles)), strict=True):
                if each.counts is not None:
                    of_scene[tile.key.scene] = of_scene.get(tile.key.scene, 0) + each.counts
                filled.append(replace(each, counts=None))
                if len(filled) % TILES_BETWEEN_RELEASES == 0:
                    _release(arrays.values())
    faults = [each.wrong for each in filled]
    for wrong in faults:
        for message in wrong:
            warn(message)
    scales = np.array([_scale_of(of_scene.get(tile.key.scene)) for tile in tiles], np.float32).reshape(-1, 4)
    table = pd.DataFrame(
        {
            "tile": [str(tile.key) for tile in tiles],
            "scene": [tile.key.scene for tile in tiles],
            "region": [tile.key.region for tile in tiles],
            "x": np.array([tile.key.x for tile in tiles], dtype=np.int32),
            "y": np.array([tile.key.y for tile in tiles], dtype=np.int32),
            "split": [tile.split for tile in tiles],
            "labelled": np.arange(len(tiles)) < len(labelled),
            "readable": [not wrong for wrong in faults],
            "no_data": [each.no_data for each in filled],
            "has_flood": [each.has_flood for each in filled],
            "noisy_pixels": np.array([each.noisy_pixels for each in filled], dtype=np.int64),
            **dict(zip(_SCALE, scales.T, strict=True)),
        }
    )
    return table, [folder / f"{name}.npy" for name in ARRAYS]


def _release(arrays: Iterable[UInt8]) -> None:
    """Release the memory of pages that were written to memory-mapped arrays; the files keep them."""
    for array in arrays:
        if isinstance(array.base, mmap.mmap):
            array.base.madvise(mmap.MADV_DONTNEED)


@dataclass(frozen=True)
class _Filled:
    """Properties of one tile, found while it was read."""

    wrong: list[str]
    no_data: bool
    has_flood: bool
    noisy_pixels: int
    counts: Int64 | None
    """(2, 256) histograms of VV and VH."""


def _scale_of(histograms: Int64 | None) -> list[float]:
    """Centre and spread of VV, then of VH, from (2, 256) histograms; the dataset's where there is none."""
    if histograms is None:
        return [MEAN, STD] * 2
    return [value for counts in histograms for value in centre_and_spread_of_histogram(counts)]


def is_no_data(vv: UInt8) -> bool:
    """Whether a tile lies outside the swath: its VV values are only 0 and 255."""
    return bool(((vv == 0) | (vv == 255)).all())


def read_layer(path: Path) -> UInt8:
    """Read one layer, (256, 256) uint8; UnreadablePictureError when it is corrupt or of another size."""
    image = _read_plain_png(path)
    if image is None:
        image = read_rgb(path)
    if image.shape[:2] != (TILE_SIDE, TILE_SIDE):
        size = f"{image.shape[1]} x {image.shape[0]}"
        raise UnreadablePictureError(
            f"{display_path(path)}: {size} pixels, expected {TILE_SIDE} x {TILE_SIDE}"
        )
    # The three channels of the official images are equal. A copy, because the image may be in the shared
    # buffer.
    return np.ascontiguousarray(image[:, :, 0])


class _Buffer(threading.local):
    """Memory in which a thread decodes one image after another; new memory costs a third of the time."""

    def __init__(self) -> None:
        self.image: UInt8 = np.empty((TILE_SIDE, TILE_SIDE, 3), np.uint8)


_buffer = _Buffer()


def _read_plain_png(path: Path) -> UInt8 | None:
    """Read an official image, an RGB PNG of 256 x 256, (256, 256, 3), faster than Pillow does.

    None for anything else, which Pillow then reads or reports. The next call in the same thread overwrites
    the returned array.
    """
    try:
        decoded: UInt8 = imagecodecs.spng_decode(path.read_bytes(), out=_buffer.image)
    except (OSError, ValueError, RuntimeError):
        return None
    return decoded


def _fill_row(arrays: dict[str, UInt8], row: int, tile: Tile, labelled: bool) -> list[str]:
    """Read the layers of one tile into their arrays; returns what could not be read."""
    wrong = []
    for name, layer in ARRAYS.items():
        if name == "flood" and not labelled:
            continue
        if layer not in tile.files:
            if name == "vh":
                wrong.append(f"{tile.split}: {tile.key} has no vh image; predicted as no flood")
            continue  # a missing water mask means no permanent water
        try:
            image = read_layer(tile.files[layer])
        except UnreadablePictureError as fault:
            consequence = "left out" if labelled else "predicted as no flood"
            wrong.append(f"{fault}; the tile is {consequence}")
            continue
        arrays[name][row] = image > 127 if name in _MASKS else image
    return wrong
