"""Probability thresholds: one for all scenes, and per-scene thresholds where many tiles are labelled.

Labelling differs between scenes, for instance in how far a flood extends over its banks. A scene with many
labelled tiles gets its own threshold. All thresholds are tuned jointly on OOF maps for the highest pooled
IoU.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from common.learn.arrays import Int64
from competitions.etci_flood.rules.metric import best_threshold, pooled_iou

MIN_TILES = 50
"""Labelled tiles that a scene needs for its own threshold; fewer would fit noise."""
ROUNDS = 4
"""Rounds of coordinate ascent over the scenes."""
DEFAULT_THRESHOLD = 128
"""Probability 0.5, used where nothing was held out to tune a threshold on."""


def tune_thresholds(maps: Int64, scenes: npt.NDArray[np.str_]) -> tuple[int, dict[str, int]]:
    """Tune the common threshold for the highest pooled IoU, then the thresholds of single scenes.

    Parameters
    ----------
    maps : (n, 256, 2) overlaps at each threshold (`metric.overlaps_at_or_above`).
    scenes : (n,) of the tiles.

    Returns
    -------
    The common threshold (probability x 255), and scene -> its own threshold.
    """
    if not len(maps):
        return DEFAULT_THRESHOLD, {}
    overall = best_threshold(maps)
    names, of, tiles = np.unique(scenes, return_inverse=True, return_counts=True)
    by_scene = np.stack([maps[of == place].sum(axis=0) for place in range(len(names))])
    own = {str(name): place for place, name in enumerate(names) if tiles[place] >= MIN_TILES}
    chosen = np.full(len(names), overall)
    # Coordinate ascent: re-tune one scene at a time while the others keep their thresholds.
    for _ in range(ROUNDS if len(names) > 1 else 0):
        for place in own.values():
            others = [by_scene[other, chosen[other]] for other in range(len(names)) if other != place]
            chosen[place] = best_threshold(by_scene[place][None] + np.sum(others, axis=0)[None, None])
    return overall, {name: int(chosen[place]) for name, place in own.items()}


def threshold_of(decision: Mapping[str, Any], scene: str) -> int:
    """The threshold of a scene; a pixel is flood when its probability x 255 is at least this."""
    return int(decision.get("scene_thresholds", {}).get(scene, decision["threshold"]))


def overlaps_with(maps: Int64, scenes: npt.NDArray[np.str_], decision: Mapping[str, Any]) -> Int64:
    """Intersection and union of each tile, (n, 2), with the threshold of its scene."""
    thresholds = np.array([threshold_of(decision, str(scene)) for scene in scenes], dtype=np.int64)
    overlaps: Int64 = maps[np.arange(len(maps)), thresholds]
    return overlaps


def pooled_iou_with(maps: Int64, scenes: npt.NDArray[np.str_], decision: Mapping[str, Any]) -> float:
    """IoU of pooled tiles with the thresholds of their scenes."""
    return float(pooled_iou(overlaps_with(maps, scenes, decision)))
