"""Pooled out-of-fold (OOF) maps of all folds: thresholds, metrics, and baselines on the same tiles.

Thresholds are tuned and measured on the same pooled maps. They are a few numbers against millions of pixels,
so the optimistic bias is very small. The baseline rules on VV and VH are tuned on the same tiles and have the
same bias.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.base.errors import InputError
from common.base.paths import display_path
from common.learn.arrays import Int64, UInt8
from common.learn.bootstrap import bootstrap_interval
from competitions.etci_flood.data.tiles import TileArrays
from competitions.etci_flood.decision.linear_rule import best_linear_rule, joint_counts
from competitions.etci_flood.decision.thresholds import overlaps_with, tune_thresholds
from competitions.etci_flood.decision.vv_threshold import best_vv_threshold
from competitions.etci_flood.rules.metric import (
    N_VALUES,
    mean_tile_iou,
    overlaps,
    overlaps_at_or_above,
    pooled_iou,
    value_counts,
)

SCENE_COLUMNS = [
    "scene",
    "tiles",
    "iou",
    "vv_threshold",
    "linear_rule",
    "water_mask",
    "noisy_tiles",
    "iou_clean",
    "iou_upper_bound",
]


@dataclass(frozen=True)
class OofCounts:
    """Counts on held-out tiles, one entry per tile."""

    scenes: npt.NDArray[np.str_]
    maps: Int64
    """(n, 256, 2) overlaps of the model's maps at each threshold."""
    water_mask: Int64
    """(n, 2) overlaps of permanent water."""
    vv_threshold: Int64
    """(n, 2) overlaps of the VV threshold that is best on these tiles."""
    linear_rule: dict[str, Int64]
    """Scene -> (2,) overlap of the linear rule on VV and VH that is best on these tiles."""
    noisy: Int64
    """(n,) flood pixels that are suspected label noise (data/label_noise.py)."""


@dataclass(frozen=True)
class PooledOof:
    """Thresholds, metrics and tables from the pooled maps."""

    decision: dict[str, Any]
    """threshold: a pixel is flood when its probability x 255 is at least this. scene_thresholds: the same for
    scenes that have their own."""
    metrics: dict[str, float]
    scenes: pd.DataFrame
    """The columns SCENE_COLUMNS, one row per scene."""
    thresholds: pd.DataFrame
    """threshold and iou, noisy-label tiles left out, one threshold for all scenes"""


def count_out_of_fold(arrays: TileArrays, fold_folders: Sequence[Path]) -> OofCounts:
    """Count the held-out maps of all folds, and the baselines on the same tiles."""
    rows, maps = [], []
    for folder in fold_folders:
        held_out = pd.read_parquet(folder / "oof_tiles.parquet")["row"].to_numpy()
        of_fold = np.load(folder / "oof.npy", mmap_mode="r")
        if len(of_fold) != len(held_out):
            raise InputError(
                f"{display_path(folder)}: {len(of_fold)} maps of {len(held_out)} tiles; train the fold again"
            )
        if not len(held_out):
            continue
        rows.append(held_out)
        maps.append(overlaps_at_or_above(value_counts(of_fold, _tile_by_tile(arrays.flood, held_out))))
    if not rows:
        nothing = np.zeros((0, 2), np.int64)
        no_maps = np.zeros((0, N_VALUES, 2), np.int64)
        return OofCounts(np.array([], str), no_maps, nothing, nothing, {}, np.zeros(0, np.int64))
    order = np.concatenate(rows)
    water = overlaps(_tile_by_tile(arrays.water, order), _tile_by_tile(arrays.flood, order))
    vv = value_counts(_tile_by_tile(arrays.vv, order), _tile_by_tile(arrays.flood, order))
    scenes = arrays.tiles["scene"].to_numpy().astype(str)[order]
    return OofCounts(
        scenes,
        np.concatenate(maps),
        water,
        best_vv_threshold(vv).overlaps(vv),
        _linear_rule(arrays, order, scenes),
        arrays.tiles["noisy_pixels"].to_numpy(np.int64)[order],
    )


def evaluate_oof(counted: OofCounts, seed: int) -> PooledOof:
    """Tune the thresholds without noisy-label tiles, and measure the maps on all tiles.

    Metrics are empty where nothing was held out, because a score on training tiles is meaningless.
    """
    clean = counted.noisy == 0
    overall, own = tune_thresholds(counted.maps[clean], counted.scenes[clean])
    decision: dict[str, Any] = {"threshold": overall, **({"scene_thresholds": own} if own else {})}
    if not len(counted.scenes):
        nothing = pd.DataFrame(columns=SCENE_COLUMNS), pd.DataFrame(columns=["threshold", "iou"])
        return PooledOof(decision, {}, *nothing)
    ours = overlaps_with(counted.maps, counted.scenes, decision)
    low, high = bootstrap_interval(ours.astype(np.float64), pooled_iou, seed)
    metrics = {
        "oof_iou": float(pooled_iou(ours)),
        "oof_iou_low": low,
        "oof_iou_high": high,
        "oof_mean_tile_iou": mean_tile_iou(ours),
        "baseline: best VV threshold": float(pooled_iou(counted.vv_threshold)),
        "baseline: best linear rule on VV and VH": float(
            pooled_iou(np.array(list(counted.linear_rule.values())))
        ),
        "baseline: permanent water": float(pooled_iou(counted.water_mask)),
    }
    if not clean.all():
        metrics["oof_noisy_label_tiles"] = float((~clean).sum())
        metrics["oof_iou_upper_bound"] = upper_bound_iou(counted.maps, counted.noisy)
        metrics["oof_iou_clean"] = float(pooled_iou(ours[clean]))
    curve = pooled_iou(counted.maps[clean].swapaxes(0, 1))
    thresholds = pd.DataFrame({"threshold": np.arange(N_VALUES) / (N_VALUES - 1), "iou": curve})
    return PooledOof(decision, metrics, _by_scene(counted, ours), thresholds)


def upper_bound_iou(maps: Int64, noisy: Int64) -> float:
    """IoU of an oracle: right everywhere, except that it predicts no flood on suspected label noise.

    Parameters
    ----------
    maps : (n, 256, 2) overlaps at each threshold; at threshold 0 every pixel is predicted as flood, so the
        intersection is the labelled flood.
    noisy : (n,) flood pixels that are suspected label noise.
    """
    flood = maps[:, 0, 0].sum()
    return float(1 - noisy.sum() / flood) if flood else 1.0


def scene_lines(scenes: pd.DataFrame) -> list[str]:
    """The table of scenes as text, one line per scene."""
    lines = []
    for row in scenes.to_dict("records"):
        baselines = ", ".join(
            f"{name.replace('_', ' ')} {row[name]:.3f}"
            for name in ("vv_threshold", "linear_rule", "water_mask")
        )
        line = f"{row['scene']}: IoU {row['iou']:.3f} ({baselines}; {row['tiles']} tiles"
        if row["noisy_tiles"]:
            line += (
                f", {row['noisy_tiles']} with suspected label noise: "
                f"IoU without them {row['iou_clean']:.3f}, upper bound with them {row['iou_upper_bound']:.3f}"
            )
        lines.append(line + ")")
    return lines


def _linear_rule(arrays: TileArrays, order: Int64, scenes: npt.NDArray[np.str_]) -> dict[str, Int64]:
    """Overlap of the best linear rule in each scene."""
    layers = (_tile_by_tile(array, order) for array in (arrays.vv, arrays.vh, arrays.flood))
    by_scene: dict[str, Int64] = {}
    for scene, counts in zip(scenes, joint_counts(*layers), strict=True):
        by_scene[str(scene)] = by_scene.get(str(scene), 0) + counts
    rule = best_linear_rule(np.sum(list(by_scene.values()), axis=0))
    return {scene: rule.overlap(counts) for scene, counts in by_scene.items()}


def _tile_by_tile(array: UInt8, rows: Int64) -> Iterator[UInt8]:
    """Rows of a memory-mapped array one at a time; all at once might not fit into memory."""
    return (array[row] for row in rows)


def _by_scene(counted: OofCounts, ours: Int64) -> pd.DataFrame:
    rows = []
    for scene in np.unique(counted.scenes):
        of = counted.scenes == scene
        clean = of & (counted.noisy == 0)
        rows.append(
            {
                "scene": scene,
                "tiles": int(of.sum()),
                "iou": float(pooled_iou(ours[of])),
                "vv_threshold": float(pooled_iou(counted.vv_threshold[of])),
                "linear_rule": float(pooled_iou(counted.linear_rule[scene][None])),
                "water_mask": float(pooled_iou(counted.water_mask[of])),
                "noisy_tiles": int(of.sum() - clean.sum()),
                "iou_clean": float(pooled_iou(ours[clean])),
                "iou_upper_bound": upper_bound_iou(counted.maps[of], counted.noisy[of]),
            }
        )
    return pd.DataFrame(rows, columns=SCENE_COLUMNS)
