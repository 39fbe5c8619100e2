"""Several models' maps as one: their weighted mean, the weights from out-of-fold maps."""

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.base.errors import InputError
from common.base.paths import display_path
from competitions.etci_flood.rules.metric import LEVELS, overlaps_at_or_above

Bytes = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]

TENTHS = 10
"""Shares are tried in steps of a tenth: finer ones would fit the noise."""
STEP = 4
"""Every fourth pixel of every fourth line is looked at: neighbours tell the same."""
MOST_TILES = 4000
"""Tiles, evenly spread, that the shares are chosen on."""


def held_out_maps(fold_folders: Sequence[Path]) -> tuple[Rows, list[Bytes]]:
    """Held-out rows of a fold and the maps that each of several experiments has of them.

    Raises
    ------
    InputError : the experiments hold out different tiles.
    """
    rows = [pd.read_parquet(folder / "oof_tiles.parquet")["row"].to_numpy() for folder in fold_folders]
    for folder, others in zip(fold_folders, rows, strict=True):
        if not np.array_equal(others, rows[0]):
            raise InputError(
                f"{display_path(folder)}: holds out other tiles than {display_path(fold_folders[0])}; "
                f"experiments that are mixed need the same split, parts and folds"
            )
    return rows[0], [np.load(folder / "oof.npy", mmap_mode="r") for folder in fold_folders]


def mixed_maps(maps: Sequence[Bytes], shares: Sequence[float], batch: int = 8) -> Iterator[Bytes]:
    """Yield the weighted mean of (n, 256, 256) maps in batches of tiles."""
    for start in range(0, len(maps[0]), batch):
        some = np.stack([each[start : start + batch] for each in maps]).astype(np.float32)
        yield np.rint(np.tensordot(np.array(shares, np.float32), some, axes=1)).astype(np.uint8)


def best_shares(maps: Sequence[tuple[Rows, list[Bytes]]], flood: Bytes, models: int) -> list[float]:
    """Shares of the models, in tenths, whose mean has the highest IoU at its own best threshold.

    Parameters
    ----------
    maps : rows and maps of some folds, as `held_out_maps` gives them.
    flood : masks, (labelled, 256, 256).
    models : how many there are; equal shares where nothing was held out.
    """
    levels, truth = _some_pixels(maps, flood)
    equal = [1 / models] * models
    if not len(truth):
        return equal
    best, best_iou = equal, -1.0
    for first in product(range(TENTHS + 1), repeat=models - 1):
        if sum(first) > TENTHS:
            continue
        shares = [share / TENTHS for share in (*first, TENTHS - sum(first))]
        mixed = np.rint(np.tensordot(np.array(shares, np.float32), levels, axes=1)).astype(np.int64)
        counts = np.bincount(truth * LEVELS + mixed, minlength=2 * LEVELS).reshape(2, LEVELS)
        intersection, union = overlaps_at_or_above(counts).T
        iou = float((intersection / np.maximum(union, 1)).max())
        if iou > best_iou:
            best, best_iou = shares, iou
    return best


def _some_pixels(
    maps: Sequence[tuple[Rows, list[Bytes]]], flood: Bytes
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """(models, pixels) levels and (pixels,) truth, thinned."""
    every = max(1, -(-sum(len(rows) for rows, _ in maps) // MOST_TILES))
    seen, truth = [], []
    for rows, of_models in maps:
        for place in range(0, len(rows), every):
            seen.append([each[place][::STEP, ::STEP].ravel() for each in of_models])
            truth.append(flood[rows[place]][::STEP, ::STEP].ravel())
    if not truth:
        return np.zeros((0, 0), np.float32), np.zeros(0, np.int64)
    levels = np.concatenate([np.stack(tile) for tile in seen], axis=1).astype(np.float32)
    return levels, (np.concatenate(truth) > 0).astype(np.int64)
