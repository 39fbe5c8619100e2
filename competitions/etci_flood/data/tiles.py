"""Tiles as memory-mapped arrays: read once from a hundred thousand pictures, then at the disk's speed."""

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
import numpy.typing as npt
import pandas as pd

from common.base.atomic import atomic_array
from common.base.console import progress
from common.base.errors import InputError
from common.base.paths import display_path
from common.files.pictures import UnreadablePictureError, read_rgb
from competitions.etci_flood.data.label_noise import bright_flood_pixels, counts_of_levels
from competitions.etci_flood.data.layout import TILE_SIDE, Tile
from competitions.etci_flood.data.normalisation import centre_and_spread_of_levels

Bytes = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
ARRAYS = {"vv": "vv", "vh": "vh", "water": "water_body_label", "flood": "flood_label"}
"""Array -> official layer."""
TABLE = "tiles.parquet"
TILES_BETWEEN_RELEASES = 1000
"""After so many tiles their memory (260 kB each) is given back."""
_MASKS = ("water", "flood")
_SCALE = ("vv_centre", "vv_spread", "vh_centre", "vh_spread")


@dataclass(frozen=True)
class TileArrays:
    """Processed tiles; row r of the table belongs to row r of the arrays."""

    tiles: pd.DataFrame
    """tile, scene, region, x, y, split, labelled, readable, blank, has_flood, bright_pixels, the scene's
    vv_centre, vv_spread, vh_centre, vh_spread, and fold_<split> columns."""
    vv: Bytes
    """(n, 256, 256), as in the pictures."""
    vh: Bytes
    """(n, 256, 256), as in the pictures."""
    water: Bytes
    """(n, 256, 256), 1 = permanent water; 0 where the layer is missing."""
    flood: Bytes
    """(labelled, 256, 256), 1 = flood; the labelled tiles are the table's first rows."""

    def scale(self, rows: npt.NDArray[np.int64]) -> FloatArray:
        """Median and spread (backscatter_scale.py) of VV and VH of each row's scene, (n, 2, 2)."""
        table = self.tiles[list(_SCALE)].to_numpy(np.float32)
        return table[rows].reshape(-1, 2, 2)


def typical_scale(arrays: TileArrays) -> FloatArray:
    """Median and spread of VV and VH in the labelled scenes, (2, 2): the middle one of all labelled tiles."""
    scale: FloatArray = np.median(arrays.scale(np.flatnonzero(arrays.tiles["labelled"])), axis=0)
    return scale


def open_tile_arrays(folder: Path) -> TileArrays:
    """Open what 1_preprocess wrote; InputError when a file is missing or cut short."""
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
    folder: Path, labelled: Sequence[Tile], predicted: Sequence[Tile], survive: Callable[[str], None]
) -> tuple[pd.DataFrame, list[Path]]:
    """Read all pictures into memory-mapped arrays, bounded in memory.

    A labelled tile with an unreadable picture keeps its row, but is marked and takes no part in training. A
    tile to predict keeps its place in the submission; what cannot be read of it counts as blank.

    Returns
    -------
    The table, without fold columns, and the files written.
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
            blank = is_blank(vv)
            counts = np.stack([counts_of_levels(layer) for layer in (vv, vh)])
            counts[:, [0, 255]] = 0  # mostly what lies beyond the swath's edge
            bright = 0 if blank else bright_flood_pixels(vv, flood)
            return _Filled(wrong, blank, bool(flood.any()), bright, None if blank or wrong else counts)

        filled = []
        levels: dict[str, npt.NDArray[np.int64]] = {}
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            done = pool.map(fill, range(len(tiles)))
            for tile, each in zip(tiles, progress(done, "reading tiles", "tiles", len(tiles)), strict=True):
                if each.levels is not None:
                    levels[tile.key.scene] = levels.get(tile.key.scene, 0) + each.levels
                filled.append(replace(each, levels=None))
                if len(filled) % TILES_BETWEEN_RELEASES == 0:
                    _release(arrays.values())
    faults = [each.wrong for each in filled]
    for wrong in faults:
        for message in wrong:
            survive(message)
    scales = np.array([_scale_of(levels.get(tile.key.scene)) for tile in tiles], np.float32).reshape(-1, 4)
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
            "blank": [each.blank for each in filled],
            "has_flood": [each.has_flood for each in filled],
            "bright_pixels": np.array([each.bright_pixels for each in filled], dtype=np.int64),
            **dict(zip(_SCALE, scales.T, strict=True)),
        }
    )
    return table, [folder / f"{name}.npy" for name in ARRAYS]


def _release(arrays: Iterable[Bytes]) -> None:
    """Give back the memory of what was written to memory-mapped arrays; the files keep it."""
    for array in arrays:
        if isinstance(array.base, mmap.mmap):
            array.base.madvise(mmap.MADV_DONTNEED)


@dataclass(frozen=True)
class _Filled:
    """What was seen of one tile while it was read."""

    wrong: list[str]
    blank: bool
    has_flood: bool
    bright_pixels: int
    levels: npt.NDArray[np.int64] | None
    """(2, 256) counts of the levels of VV and VH."""


def _scale_of(levels: npt.NDArray[np.int64] | None) -> list[float]:
    """Median and spread of VV, then of VH, from (2, 256) counts; a byte's where nothing was counted."""
    if levels is None:
        return [128.0, 90.0] * 2
    return [value for counts in levels for value in centre_and_spread_of_levels(counts)]


def is_blank(vv: Bytes) -> bool:
    """Whether a tile lies beyond the swath's edge: its VV values are only 0 and 255."""
    return bool(((vv == 0) | (vv == 255)).all())


def read_layer(path: Path) -> Bytes:
    """Read one layer, (256, 256) uint8; UnreadablePictureError when it is corrupt or of another size."""
    picture = _read_plain_png(path)
    if picture is None:
        picture = read_rgb(path)
    if picture.shape[:2] != (TILE_SIDE, TILE_SIDE):
        size = f"{picture.shape[1]} x {picture.shape[0]}"
        raise UnreadablePictureError(
            f"{display_path(path)}: {size} pixels, expected {TILE_SIDE} x {TILE_SIDE}"
        )
    # The three channels of the official pictures are equal. A copy: the picture may lie in the buffer.
    return np.ascontiguousarray(picture[:, :, 0])


class _Buffer(threading.local):
    """Where a thread decodes its pictures, each over the last: fresh memory costs a third of the time."""

    def __init__(self) -> None:
        self.picture: Bytes = np.empty((TILE_SIDE, TILE_SIDE, 3), np.uint8)


_buffer = _Buffer()


def _read_plain_png(path: Path) -> Bytes | None:
    """Read an official picture, an RGB PNG of 256 x 256, (256, 256, 3), faster than Pillow does.

    None for anything else: Pillow knows what is wrong with a picture, and odder kinds. The next call in the
    same thread overwrites what this one returned.
    """
    try:
        decoded: Bytes = imagecodecs.spng_decode(path.read_bytes(), out=_buffer.picture)
    except (OSError, ValueError, RuntimeError):
        return None
    return decoded


def _fill_row(arrays: dict[str, Bytes], row: int, tile: Tile, labelled: bool) -> list[str]:
    """Read the layers of one tile into their arrays; returns what could not be read."""
    wrong = []
    for name, layer in ARRAYS.items():
        if name == "flood" and not labelled:
            continue
        if layer not in tile.files:
            if name == "vh":
                wrong.append(f"{tile.split}: {tile.key} has no vh picture; predicted as no flood")
            continue  # a missing water mask stands for no permanent water
        try:
            picture = read_layer(tile.files[layer])
        except UnreadablePictureError as fault:
            consequence = "left out" if labelled else "predicted as no flood"
            wrong.append(f"{fault}; the tile is {consequence}")
            continue
        arrays[name][row] = picture > 127 if name in _MASKS else picture
    return wrong
