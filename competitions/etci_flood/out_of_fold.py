"""Out-of-fold maps of all folds pooled: the threshold, and honest figures beside naive maps.

Only what is counted here decides anything. The threshold is chosen and measured on the same pooled maps;
being one number against millions of pixels, it flatters the figure by very little. The naive VV threshold is
given the same favour.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.bootstrap import bootstrap_interval
from common.errors import InputError
from common.paths import shown
from competitions.etci_flood.dark_water import best_dark_rule
from competitions.etci_flood.flood_iou import (
    LEVELS,
    Counts,
    best_threshold,
    level_counts,
    mean_tile_iou,
    overlaps,
    overlaps_at_or_above,
    pooled_iou,
)
from competitions.etci_flood.tile_arrays import TileArrays

EVEN_CHANCE = 128
"""The threshold where nothing was held out to choose one on: probability one half."""


@dataclass(frozen=True)
class OutOfFold:
    """What was counted on held-out tiles, one entry a tile."""

    scenes: npt.NDArray[np.str_]
    maps: Counts
    """(n, 256, 2) overlaps of the maps at each threshold."""
    water_mask: Counts
    """(n, 2) overlaps of the permanent water."""
    vv_threshold: Counts
    """(n, 2) overlaps of dark VV, by the threshold that is best on these very tiles."""


@dataclass(frozen=True)
class PooledFigures:
    """What the pooled maps say."""

    threshold: int
    """A pixel is flood when its level (probability x 255) is at least this."""
    metrics: dict[str, float]
    scenes: pd.DataFrame
    """scene, tiles, iou, vv_threshold, water_mask"""
    thresholds: pd.DataFrame
    """threshold, iou"""


def count_out_of_fold(arrays: TileArrays, fold_folders: Sequence[Path]) -> OutOfFold:
    """Count the held-out maps of all folds, and the naive maps on the same tiles."""
    rows, maps = [], []
    for folder in fold_folders:
        held_out = pd.read_parquet(folder / "oof_tiles.parquet")["row"].to_numpy()
        levels = np.load(folder / "oof.npy", mmap_mode="r")
        if len(levels) != len(held_out):
            raise InputError(
                f"{shown(folder)}: {len(levels)} maps of {len(held_out)} tiles; train the fold again"
            )
        if not len(held_out):
            continue
        rows.append(held_out)
        maps.append(overlaps_at_or_above(level_counts(levels, _tile_by_tile(arrays.flood, held_out))))
    if not rows:
        nothing = np.zeros((0, 2), np.int64)
        return OutOfFold(np.array([], str), np.zeros((0, LEVELS, 2), np.int64), nothing, nothing)
    order = np.concatenate(rows)
    water = overlaps(_tile_by_tile(arrays.water, order), _tile_by_tile(arrays.flood, order))
    dark = level_counts(_tile_by_tile(arrays.vv, order), _tile_by_tile(arrays.flood, order))
    scenes = arrays.tiles["scene"].to_numpy().astype(str)[order]
    return OutOfFold(scenes, np.concatenate(maps), water, best_dark_rule(dark).overlaps(dark))


def pooled_figures(counted: OutOfFold, seed: int) -> PooledFigures:
    """Choose the threshold with the highest pooled IoU and measure the maps with it.

    Metrics are empty where nothing was held out: a figure on training tiles would say nothing.
    """
    if not len(counted.scenes):
        scenes = pd.DataFrame(columns=["scene", "tiles", "iou", "vv_threshold", "water_mask"])
        return PooledFigures(EVEN_CHANCE, {}, scenes, pd.DataFrame(columns=["threshold", "iou"]))
    threshold = best_threshold(counted.maps)
    ours = counted.maps[:, threshold]
    low, high = bootstrap_interval(ours.astype(np.float64), pooled_iou, seed)
    metrics = {
        "oof_iou": float(pooled_iou(ours)),
        "oof_iou_low": low,
        "oof_iou_high": high,
        "oof_mean_tile_iou": mean_tile_iou(ours),
        "oof_vv_threshold_iou": float(pooled_iou(counted.vv_threshold)),
        "oof_water_mask_iou": float(pooled_iou(counted.water_mask)),
    }
    curve = pooled_iou(counted.maps.swapaxes(0, 1))
    thresholds = pd.DataFrame({"threshold": np.arange(LEVELS) / (LEVELS - 1), "iou": curve})
    return PooledFigures(threshold, metrics, _by_scene(counted, ours), thresholds)


def _tile_by_tile(
    array: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64]
) -> Iterator[npt.NDArray[np.uint8]]:
    """Rows of a memory-mapped array one at a time: all at once might not fit into memory."""
    return (array[row] for row in rows)


def _by_scene(counted: OutOfFold, ours: Counts) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "scene": scene,
            "tiles": int((of := counted.scenes == scene).sum()),
            "iou": float(pooled_iou(ours[of])),
            "vv_threshold": float(pooled_iou(counted.vv_threshold[of])),
            "water_mask": float(pooled_iou(counted.water_mask[of])),
        }
        for scene in np.unique(counted.scenes)
    )
