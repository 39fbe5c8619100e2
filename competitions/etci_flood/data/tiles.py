"""Tiles as memory-mapped arrays, read once from the image files."""

import mmap
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import imagecodecs
import numpy as np
import pandas as pd
from PIL import Image

from common.base.atomic import atomic_array
from common.base.console import log, progress
from common.base.errors import InputError
from common.base.paths import display_path
from common.files.pictures import UnreadablePictureError, read_rgb
from common.learn.arrays import AnyArray, Float32, Int64, UInt8
from competitions.etci_flood.data.channels import MEAN, STD
from competitions.etci_flood.data.label_noise import histogram, noisy_label_pixels
from competitions.etci_flood.data.layout import TILE_SIDE, Tile
from competitions.etci_flood.data.normalisation import centre_and_spread_of_histogram
from competitions.etci_flood.data.tile_format import (
    HEADER_BYTES,
    TileFormat,
    find_format,
    is_16_bit,
    read_16_bit,
)

ARRAYS = {"vv": "vv", "vh": "vh", "water": "water_body_label", "flood": "flood_label"}
"""Array -> official layer."""
TABLE = "tiles.parquet"
TILES_BETWEEN_RELEASES = 1000
"""Number of tiles after which their memory (260 kB each) is released."""
OFFICIAL = TileFormat()
TRANSPARENT = "has transparent pixels, whose value is not known"
LABEL_LAYERS = ("water_body_label", "flood_label")
_MASKS = ("water", "flood")
_SCALE = ("vv_centre", "vv_spread", "vh_centre", "vh_spread")


@dataclass(frozen=True)
class TileArrays:
    """Processed tiles; row r of the table belongs to row r of the arrays."""

    tiles: pd.DataFrame
    """tile, scene, region, x, y, split, labelled, readable, no_data, has_flood, noisy_pixels (of
    suspected label noise), the scene's vv_centre, vv_spread, vh_centre, vh_spread, fold_<split>."""
    vv: UInt8
    """(n, side, side), as in the images; the side is officially 256."""
    vh: UInt8
    """(n, side, side), as in the images."""
    water: UInt8
    """(n, side, side), 1 = permanent water; 0 where the layer is missing."""
    flood: UInt8
    """(labelled, side, side), 1 = flood; the labelled tiles are the table's first rows."""

    @property
    def side(self) -> int:
        """Pixels along a side of a tile."""
        return int(self.vv.shape[-1])

    def scale(self, rows: Int64) -> Float32:
        """Centre and spread of VV and VH of each row's scene, (n, 2 polarisations, 2)."""
        table = self.tiles[list(_SCALE)].to_numpy(np.float32)
        return table[rows].reshape(-1, 2, 2)


def typical_scale(arrays: TileArrays) -> Float32:
    """Centre and spread of VV and VH of a typical scene, (2, 2): the median over all labelled tiles."""
    scale: Float32 = np.median(arrays.scale(np.flatnonzero(arrays.tiles["labelled"])), axis=0)
    return scale


def open_tile_arrays(folder: Path) -> TileArrays:
    """Open the arrays of 1_preprocess; InputError when a file is cut short, or no labelled tile has flood."""
    tiles = pd.read_parquet(folder / TABLE)
    if not tiles.loc[tiles["labelled"], "has_flood"].any():
        raise InputError(
            f"{display_path(folder)}: no labelled tile has flood, so nothing can be learned; check the "
            "labels and run 1_preprocess.py --again"
        )
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
    folder: Path,
    labelled: Sequence[Tile],
    predicted: Sequence[Tile],
    warn: Callable[[str], None],
    understood: Callable[[str], None] = log,
    limit_losses: Callable[[int, int, str], None] = lambda *_: None,
) -> tuple[pd.DataFrame, list[Path]]:
    """Read all images into memory-mapped arrays, in bounded memory.

    `limit_losses` is given the number of unreadable tiles of each kind and of all; it raises for too many.
    A labelled tile with an unreadable image keeps its row, but is marked and not used in training. A tile to
    predict keeps its place in the submission; its unreadable layers are zero.

    Returns
    -------
    The table, without fold columns, and the paths of the written files.

    Raises
    ------
    InputError : tiles are of several sizes, labels are not binary, or no labelled tile has flood.
    """
    tiles = [*labelled, *predicted]
    form, labels = find_format(tiles), _Labels()
    if form.sentence():
        understood(form.sentence())
    with ExitStack() as stack:
        arrays = {
            name: stack.enter_context(
                atomic_array(
                    folder / f"{name}.npy",
                    (len(labelled) if name == "flood" else len(tiles), form.side, form.side),
                    np.uint8,
                )
            )
            for name in ARRAYS
        }

        def fill(row: int) -> _Filled:
            wrong = _fill_row(arrays, row, tiles[row], row < len(labelled), form, labels)
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
        for line in labels.check():
            understood(line)
        faults = [each.wrong for each in filled]
        for wrong in faults:
            for message in wrong:
                warn(message)
        limit_losses(sum(map(bool, faults[: len(labelled)])), len(labelled), "labelled tiles")
        limit_losses(sum(map(bool, faults[len(labelled) :])), len(predicted), "tiles to predict")
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


def read_layer(path: Path, form: TileFormat = OFFICIAL) -> UInt8:
    """Read VV or VH of a tile, (side, side) uint8.

    Raises
    ------
    UnreadablePictureError : the image is corrupt, or of another size or depth than the tiles of `form`.
    """
    image, deep = _read_image(path, form.side)
    highest = int(image.max()) if deep else 255
    if (deep and highest > 2**form.bits - 1) or (not deep and form.bits > 8):
        is_so = f"16 bits, values to {highest}" if deep else "8 bits"
        raise UnreadablePictureError(f"{display_path(path)}: {is_so}; the other tiles use {form.bits} bits")
    # A copy, because the image may be in the shared buffer.
    return np.ascontiguousarray(form.to_uint8(image) if deep else image)


def read_mask(path: Path, form: TileFormat = OFFICIAL) -> tuple[UInt8, int]:
    """Read a label layer of a tile.

    Returns
    -------
    (side, side) uint8, 0 or 1, and the value in the image that became 1; 0 where all of it is 0.

    Raises
    ------
    NonBinaryMaskError : there are other values than 0 and 1, or 0 and 255 (in 16-bit images 65535), or
        colours.
    UnreadablePictureError : the image is corrupt, transparent, or of another size than the tiles of `form`.
    """
    image, deep = _read_image(path, form.side, needs_grey=True)
    found = np.unique(image)
    others = found[found > 0].tolist()
    full = 65535 if deep else 255
    if len(others) > 1 or (others and others[0] not in (1, 255, full)):
        shown = ", ".join(map(str, found[:6].tolist())) + (", ..." if len(found) > 6 else "")
        raise NonBinaryMaskError(f"{display_path(path)}: holds the values {shown}")
    value = others[0] if others else 0
    return (image > 0).astype(np.uint8), 255 if value == full else value


class NonBinaryMaskError(Exception):
    """A label image with more than two values; the message is one line."""


def _read_image(path: Path, side: int, needs_grey: bool = False) -> tuple[AnyArray, bool]:
    """One channel of an image, (side, side) uint8 or uint16, and whether it has 16 bits.

    The three channels of the official images are equal.
    """
    try:
        content = path.read_bytes()
    except OSError:
        content = b""
    deep = is_16_bit(content[:HEADER_BYTES])
    image: AnyArray | None
    if deep:
        try:
            image = read_16_bit(path)
        except ValueError as fault:
            raise UnreadablePictureError(f"{display_path(path)}: unreadable picture ({fault})") from None
    else:
        image = _decode_plain_png(content) if side == TILE_SIDE else None
        if image is None:
            _refuse_transparency(path)
            image = read_rgb(path)
    if image.shape[0] != side or image.shape[1] != side:
        size = f"{image.shape[1]} x {image.shape[0]}"
        raise UnreadablePictureError(f"{display_path(path)}: {size} pixels, expected {side} x {side}")
    if image.ndim == 2:
        return image, deep
    if image.shape[-1] in (2, 4):  # 16-bit images alone; others are RGB by now
        if (image[..., -1] < 65535).any():
            raise UnreadablePictureError(f"{display_path(path)}: {TRANSPARENT}")
        image = image[..., :-1]
    if needs_grey and not (image[..., :1] == image[..., :3]).all():
        raise NonBinaryMaskError(f"{display_path(path)}: is in colour")
    return image[..., 0], deep


def _refuse_transparency(path: Path) -> None:
    """Transparent pixels would become white, which means flood in a label."""
    try:
        with Image.open(path) as picture:
            if "A" not in picture.mode and "transparency" not in picture.info:
                return
            opaque = bool((np.asarray(picture.convert("RGBA"))[..., 3] == 255).all())
    except Exception:  # damage of any kind; `read_rgb` has the message
        return
    if not opaque:
        raise UnreadablePictureError(f"{display_path(path)}: {TRANSPARENT}")


class _Buffer(threading.local):
    """Memory in which a thread decodes one image after another; new memory costs a third of the time."""

    def __init__(self) -> None:
        self.image: UInt8 = np.empty((TILE_SIDE, TILE_SIDE, 3), np.uint8)


_buffer = _Buffer()


def _decode_plain_png(content: bytes) -> UInt8 | None:
    """Decode an official image, an RGB PNG of 256 x 256, (256, 256, 3), faster than Pillow does.

    None for anything else, which Pillow then reads or reports. The next call in the same thread overwrites
    the returned array.
    """
    try:
        decoded: UInt8 = imagecodecs.spng_decode(content, out=_buffer.image)
    except (ValueError, RuntimeError):
        return None
    return decoded


def _fill_row(
    arrays: dict[str, UInt8], row: int, tile: Tile, labelled: bool, form: TileFormat, labels: "_Labels"
) -> list[str]:
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
            if name in _MASKS:
                arrays[name][row], value = read_mask(tile.files[layer], form)
                labels.add(layer, value)
            else:
                arrays[name][row] = read_layer(tile.files[layer], form)
        except NonBinaryMaskError as fault:
            labels.refused.setdefault(layer, []).append(str(fault))
        except UnreadablePictureError as fault:
            consequence = "left out" if labelled else "predicted as no flood"
            wrong.append(f"{fault}; the tile is {consequence}")
    return wrong


class _Labels:
    """Which values the label layers have."""

    def __init__(self) -> None:
        self.tiles: dict[str, Counter[int]] = {layer: Counter() for layer in LABEL_LAYERS}
        """Layer -> value that is set in a tile -> number of such tiles."""
        self.refused: dict[str, list[str]] = {}
        self._lock = threading.Lock()

    def add(self, layer: str, value: int) -> None:
        """Count a tile; 0 is a tile in which nothing is set."""
        with self._lock:
            self.tiles[layer][value] += 1

    def check(self) -> list[str]:
        """What is unlike the official labels, for the user; InputError when labels have no clear meaning."""
        for faults in self.refused.values():
            more = f" ({len(faults)} tiles are so)" if len(faults) > 1 else ""
            raise InputError(f"{min(faults)}; a label image has 0 and 255 (or 0 and 1){more}")
        told = []
        for layer, tiles in self.tiles.items():
            if tiles[1] and tiles[255]:
                raise InputError(
                    f"{layer}: {tiles[1]} tiles hold 0 and 1, {tiles[255]} hold 0 and 255; write all of them "
                    "with the same two values"
                )
            if tiles[1]:
                told.append(f"{layer}: the images hold 0 and 1 ({tiles[1]} tiles with 1), read as 0 and 255")
        if not self.tiles["flood_label"][1] and not self.tiles["flood_label"][255]:
            raise InputError(
                f"flood_label: none of {self.tiles['flood_label'][0]} labelled tiles has flood, so nothing "
                "can be learned; are these the right labels?"
            )
        return told
