"""Weights of an ensemble: those with the highest OOF IoU."""

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from common.base.errors import InputError
from common.base.paths import display_path
from common.learn.arrays import Float32, Int64, UInt8
from competitions.etci_flood.rules.metric import N_VALUES, overlaps_at_or_above

WEIGHT_STEPS = 10
"""Weights are tried in steps of a tenth; finer ones would fit noise."""
PIXEL_STRIDE = 4
"""Every fourth pixel of every fourth line is used; adjacent pixels are highly correlated."""
MAX_TILES = 4000
"""Tiles, evenly spread, that the weights are tuned on."""

OofMaps = tuple[Int64, list[UInt8]]
"""Held-out rows of a fold (n,), and of each model the probability maps (n, 256, 256)."""


def read_oof_maps(fold_folders: Sequence[Path]) -> OofMaps:
    """Held-out rows of a fold, and the maps that each of several experiments has of them.

    Raises
    ------
    InputError : the experiments hold out different tiles.
    """
    rows = [pd.read_parquet(folder / "oof_tiles.parquet")["row"].to_numpy() for folder in fold_folders]
    for folder, others in zip(fold_folders, rows, strict=True):
        if not np.array_equal(others, rows[0]):
            raise InputError(
                f"{display_path(folder)}: holds out other tiles than {display_path(fold_folders[0])}; "
                f"members of an ensemble need the same split, n_splits and folds"
            )
    return rows[0], [np.load(folder / "oof.npy", mmap_mode="r") for folder in fold_folders]


def blend_maps(maps: Sequence[UInt8], weights: Sequence[float], batch_size: int = 8) -> Iterator[UInt8]:
    """Yield the weighted mean of (n, 256, 256) maps in batches of tiles."""
    for start in range(0, len(maps[0]), batch_size):
        # (models, batch, 256, 256)
        batch = np.stack([each[start : start + batch_size] for each in maps]).astype(np.float32)
        yield np.rint(np.tensordot(np.array(weights, np.float32), batch, axes=1)).astype(np.uint8)


def tune_weights(folds: Sequence[OofMaps], flood: UInt8, models: int) -> list[float]:
    """Weights in tenths whose mean map has the highest IoU at its own best threshold.

    Parameters
    ----------
    folds : rows and maps of some folds, from `read_oof_maps`.
    flood : masks, (labelled, 256, 256).
    models : number of models; they get equal weights where nothing was held out.
    """
    values, truth = _sampled_pixels(folds, flood)
    equal = [1 / models] * models
    if not len(truth):
        return equal
    best, best_iou = equal, -1.0
    for first in product(range(WEIGHT_STEPS + 1), repeat=models - 1):
        if sum(first) > WEIGHT_STEPS:
            continue
        weights = [step / WEIGHT_STEPS for step in (*first, WEIGHT_STEPS - sum(first))]
        blended = np.rint(np.tensordot(np.array(weights, np.float32), values, axes=1)).astype(np.int64)
        # One histogram of the blended values off flood (row 0) and on flood (row 1).
        counts = np.bincount(truth * N_VALUES + blended, minlength=2 * N_VALUES).reshape(2, N_VALUES)
        intersection, union = overlaps_at_or_above(counts).T
        iou = float((intersection / np.maximum(union, 1)).max())
        if iou > best_iou:
            best, best_iou = weights, iou
    return best


def _sampled_pixels(folds: Sequence[OofMaps], flood: UInt8) -> tuple[Float32, Int64]:
    """(models, pixels) map values and (pixels,) truth, on a sparse grid of pixels."""
    every = max(1, -(-sum(len(rows) for rows, _ in folds) // MAX_TILES))
    values, truth = [], []
    for rows, maps in folds:
        for place in range(0, len(rows), every):
            values.append([each[place][::PIXEL_STRIDE, ::PIXEL_STRIDE].ravel() for each in maps])
            truth.append(flood[rows[place]][::PIXEL_STRIDE, ::PIXEL_STRIDE].ravel())
    if not truth:
        return np.zeros((0, 0), np.float32), np.zeros(0, np.int64)
    stacked = np.concatenate([np.stack(tile) for tile in values], axis=1).astype(np.float32)
    return stacked, (np.concatenate(truth) > 0).astype(np.int64)
