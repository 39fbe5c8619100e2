"""From which probability on a pixel is flood: one threshold, and those of scenes that are known well.

Labels differ between scenes, in how far a flood reaches over its banks for one. Where many tiles of a scene
are labelled and others of it are to be mapped, the scene has a threshold of its own. All are chosen together,
so that the IoU of the pooled tiles is the highest, on out-of-fold maps.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from competitions.etci_flood.rules.metric import Counts, best_threshold, pooled_iou

LEAST_TILES = 50
"""Labelled tiles of a scene that has a threshold of its own; fewer would fit their noise."""
ROUNDS = 4
EVEN_CHANCE = 128
"""The threshold where nothing was held out to choose one on: probability one half."""


def choose_thresholds(maps: Counts, scenes: npt.NDArray[np.str_]) -> tuple[int, dict[str, int]]:
    """The threshold of highest pooled IoU, and better ones of single scenes.

    Parameters
    ----------
    maps : (n, 256, 2) overlaps at each threshold (`flood_iou.overlaps_at_or_above`).
    scenes : (n,) of the tiles.

    Returns
    -------
    The threshold of scenes that have none of their own, and scene -> threshold.
    """
    if not len(maps):
        return EVEN_CHANCE, {}
    overall = best_threshold(maps)
    names, of, tiles = np.unique(scenes, return_inverse=True, return_counts=True)
    by_scene = np.stack([maps[of == place].sum(axis=0) for place in range(len(names))])
    own = {str(name): place for place, name in enumerate(names) if tiles[place] >= LEAST_TILES}
    chosen = np.full(len(names), overall)
    for _ in range(ROUNDS if len(names) > 1 else 0):
        for place in own.values():
            others = [by_scene[other, chosen[other]] for other in range(len(names)) if other != place]
            chosen[place] = best_threshold(by_scene[place][None] + np.sum(others, axis=0)[None, None])
    return overall, {name: int(chosen[place]) for name, place in own.items()}


def threshold_of(decision: Mapping[str, Any], scene: str) -> int:
    """The threshold of a scene, of what stage 2 decided; from this level (probability x 255) on is flood."""
    return int(decision.get("scene_thresholds", {}).get(scene, decision["threshold"]))


def overlaps_with(maps: Counts, scenes: npt.NDArray[np.str_], decision: Mapping[str, Any]) -> Counts:
    """Intersection and union of each tile, (n, 2), with the threshold of its scene."""
    thresholds = np.array([threshold_of(decision, str(scene)) for scene in scenes], dtype=np.int64)
    overlaps: Counts = maps[np.arange(len(maps)), thresholds]
    return overlaps


def pooled_iou_with(maps: Counts, scenes: npt.NDArray[np.str_], decision: Mapping[str, Any]) -> float:
    """IoU of pooled tiles with the thresholds of their scenes."""
    return float(pooled_iou(overlaps_with(maps, scenes, decision)))
