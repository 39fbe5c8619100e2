"""Out-of-fold maps of all folds pooled: the threshold, and honest figures beside naive maps.

Only what is counted here decides anything. Thresholds are chosen and measured on the same pooled maps; being
a few numbers against millions of pixels, they flatter the figure by very little. The naive rules on VV and
VH are given the same favour.
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
from common.learn.bootstrap import bootstrap_interval
from competitions.etci_flood.data.tiles import TileArrays
from competitions.etci_flood.decision.linear_rule import best_linear_rule, joint_counts
from competitions.etci_flood.decision.thresholds import choose_thresholds, overlaps_with
from competitions.etci_flood.decision.vv_threshold import best_dark_rule
from competitions.etci_flood.rules.metric import (
    LEVELS,
    Counts,
    level_counts,
    mean_tile_iou,
    overlaps,
    overlaps_at_or_above,
    pooled_iou,
)

SCENE_COLUMNS = [
    "scene",
    "tiles",
    "iou",
    "vv_threshold",
    "linear_rule",
    "water_mask",
    "bright_tiles",
    "iou_without_bright",
    "iou_possible",
]


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
    linear_rule: dict[str, Counts]
    """Scene -> (2,) overlap of the linear rule on VV and VH that is best on these very tiles."""
    bright: npt.NDArray[np.int64]
    """(n,) pixels of labelled floods that are as bright as dry land (bright_floods.py)."""


@dataclass(frozen=True)
class PooledFigures:
    """What the pooled maps say."""

    decision: dict[str, Any]
    """threshold: a pixel is flood when its level (probability x 255) is at least this. scene_thresholds: the
    same for scenes that have their own."""
    metrics: dict[str, float]
    scenes: pd.DataFrame
    """scene, tiles, iou, vv_threshold, linear_rule, water_mask, bright_tiles, iou_without_bright,
    iou_possible"""
    thresholds: pd.DataFrame
    """threshold, iou on labels that can be believed, one threshold for all scenes"""


def count_out_of_fold(arrays: TileArrays, fold_folders: Sequence[Path]) -> OutOfFold:
    """Count the held-out maps of all folds, and the naive maps on the same tiles."""
    rows, maps = [], []
    for folder in fold_folders:
        held_out = pd.read_parquet(folder / "oof_tiles.parquet")["row"].to_numpy()
        levels = np.load(folder / "oof.npy", mmap_mode="r")
        if len(levels) != len(held_out):
            raise InputError(
                f"{display_path(folder)}: {len(levels)} maps of {len(held_out)} tiles; train the fold again"
            )
        if not len(held_out):
            continue
        rows.append(held_out)
        maps.append(overlaps_at_or_above(level_counts(levels, _tile_by_tile(arrays.flood, held_out))))
    if not rows:
        nothing = np.zeros((0, 2), np.int64)
        maps_of_none = np.zeros((0, LEVELS, 2), np.int64)
        return OutOfFold(np.array([], str), maps_of_none, nothing, nothing, {}, np.zeros(0, np.int64))
    order = np.concatenate(rows)
    water = overlaps(_tile_by_tile(arrays.water, order), _tile_by_tile(arrays.flood, order))
    dark = level_counts(_tile_by_tile(arrays.vv, order), _tile_by_tile(arrays.flood, order))
    scenes = arrays.tiles["scene"].to_numpy().astype(str)[order]
    return OutOfFold(
        scenes,
        np.concatenate(maps),
        water,
        best_dark_rule(dark).overlaps(dark),
        _linear_rule(arrays, order, scenes),
        arrays.tiles["bright_pixels"].to_numpy(np.int64)[order],
    )


def pooled_figures(counted: OutOfFold, seed: int) -> PooledFigures:
    """Choose the thresholds with the highest pooled IoU on labels that can be believed, and measure all maps.

    Metrics are empty where nothing was held out: a figure on training tiles would say nothing.
    """
    believed = counted.bright == 0
    overall, own = choose_thresholds(counted.maps[believed], counted.scenes[believed])
    decision: dict[str, Any] = {"threshold": overall, **({"scene_thresholds": own} if own else {})}
    if not len(counted.scenes):
        nothing = pd.DataFrame(columns=SCENE_COLUMNS), pd.DataFrame(columns=["threshold", "iou"])
        return PooledFigures(decision, {}, *nothing)
    ours = overlaps_with(counted.maps, counted.scenes, decision)
    low, high = bootstrap_interval(ours.astype(np.float64), pooled_iou, seed)
    metrics = {
        "oof_iou": float(pooled_iou(ours)),
        "oof_iou_low": low,
        "oof_iou_high": high,
        "oof_mean_tile_iou": mean_tile_iou(ours),
        "naive: best VV threshold": float(pooled_iou(counted.vv_threshold)),
        "naive: best linear rule on VV and VH": float(
            pooled_iou(np.array(list(counted.linear_rule.values())))
        ),
        "naive: permanent water": float(pooled_iou(counted.water_mask)),
    }
    if not believed.all():
        metrics["oof_bright_flood_tiles"] = float((~believed).sum())
        metrics["oof_iou_possible"] = possible_iou(counted.maps, counted.bright)
        metrics["oof_iou_without_bright"] = float(pooled_iou(ours[believed]))
    curve = pooled_iou(counted.maps[believed].swapaxes(0, 1))
    thresholds = pd.DataFrame({"threshold": np.arange(LEVELS) / (LEVELS - 1), "iou": curve})
    return PooledFigures(decision, metrics, _by_scene(counted, ours), thresholds)


def possible_iou(maps: Counts, bright: npt.NDArray[np.int64]) -> float:
    """The highest IoU of a map of water: right everywhere, but dry where a labelled flood is bright as land.

    Parameters
    ----------
    maps : (n, 256, 2) overlaps at each threshold; at threshold 0 everything is called, so the intersection is
        the labelled flood.
    bright : (n,) pixels of labelled flood that are as bright as dry land.
    """
    flood = maps[:, 0, 0].sum()
    return float(1 - bright.sum() / flood) if flood else 1.0


def scene_lines(scenes: pd.DataFrame) -> list[str]:
    """The table of scenes for people, one line a scene."""
    lines = []
    for row in scenes.to_dict("records"):
        naive = ", ".join(
            f"{name.replace('_', ' ')} {row[name]:.3f}"
            for name in ("vv_threshold", "linear_rule", "water_mask")
        )
        line = f"{row['scene']}: IoU {row['iou']:.3f} ({naive}; {row['tiles']} tiles"
        if row["bright_tiles"]:
            line += (
                f", of which {row['bright_tiles']} with floods as bright as land: "
                f"without them {row['iou_without_bright']:.3f}, possible with them {row['iou_possible']:.3f}"
            )
        lines.append(line + ")")
    return lines


def _linear_rule(
    arrays: TileArrays, order: npt.NDArray[np.int64], scenes: npt.NDArray[np.str_]
) -> dict[str, Counts]:
    """Overlap of the best linear rule in each scene."""
    layers = (_tile_by_tile(array, order) for array in (arrays.vv, arrays.vh, arrays.flood))
    by_scene: dict[str, Counts] = {}
    for scene, counts in zip(scenes, joint_counts(*layers), strict=True):
        by_scene[str(scene)] = by_scene.get(str(scene), 0) + counts
    rule = best_linear_rule(np.sum(list(by_scene.values()), axis=0))
    return {scene: rule.overlap(counts) for scene, counts in by_scene.items()}


def _tile_by_tile(
    array: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64]
) -> Iterator[npt.NDArray[np.uint8]]:
    """Rows of a memory-mapped array one at a time: all at once might not fit into memory."""
    return (array[row] for row in rows)


def _by_scene(counted: OutOfFold, ours: Counts) -> pd.DataFrame:
    rows = []
    for scene in np.unique(counted.scenes):
        of = counted.scenes == scene
        believed = of & (counted.bright == 0)
        rows.append(
            {
                "scene": scene,
                "tiles": int(of.sum()),
                "iou": float(pooled_iou(ours[of])),
                "vv_threshold": float(pooled_iou(counted.vv_threshold[of])),
                "linear_rule": float(pooled_iou(counted.linear_rule[scene][None])),
                "water_mask": float(pooled_iou(counted.water_mask[of])),
                "bright_tiles": int(of.sum() - believed.sum()),
                "iou_without_bright": float(pooled_iou(ours[believed])),
                "iou_possible": possible_iou(counted.maps[of], counted.bright[of]),
            }
        )
    return pd.DataFrame(rows, columns=SCENE_COLUMNS)
