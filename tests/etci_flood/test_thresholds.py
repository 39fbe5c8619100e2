import numpy as np
import pytest

from competitions.etci_flood.decision.thresholds import (
    DEFAULT_THRESHOLD,
    MIN_TILES,
    pooled_iou_with,
    threshold_of,
    tune_thresholds,
)
from competitions.etci_flood.rules.metric import overlaps_at_or_above, value_counts


def tiles(number: int, wet: int, dry: int, seed: int) -> np.ndarray:
    """Overlaps of noisy maps with flood around one value and land around another."""
    rng = np.random.default_rng(seed)
    flood = np.zeros((number, 16, 16), np.uint8)
    flood[:, :, :6] = 1
    levels = np.where(flood, wet, dry) + rng.normal(0, 15, flood.shape)
    return overlaps_at_or_above(value_counts(levels.clip(0, 255).astype(np.uint8), flood))


def test_a_scene_with_many_tiles_has_its_own_threshold() -> None:
    maps = np.concatenate([tiles(MIN_TILES, 120, 60, 1), tiles(MIN_TILES, 200, 130, 2)])
    scenes = np.array(["dark"] * MIN_TILES + ["bright"] * MIN_TILES)
    overall, own = tune_thresholds(maps, scenes)
    assert own["dark"] == pytest.approx(90, abs=15)
    assert own["bright"] == pytest.approx(165, abs=15)
    decision = {"threshold": overall, "scene_thresholds": own}
    assert (
        pooled_iou_with(maps, scenes, decision) > pooled_iou_with(maps, scenes, {"threshold": overall}) + 0.05
    )
    assert threshold_of(decision, "dark") == own["dark"]
    assert threshold_of(decision, "unseen") == overall


def test_a_scene_with_few_tiles_takes_the_common_threshold() -> None:
    maps = np.concatenate([tiles(MIN_TILES, 120, 60, 1), tiles(MIN_TILES - 1, 200, 130, 2)])
    scenes = np.array(["dark"] * MIN_TILES + ["bright"] * (MIN_TILES - 1))
    _, own = tune_thresholds(maps, scenes)
    assert set(own) == {"dark"}


def test_own_thresholds_never_lower_the_pooled_iou() -> None:
    maps = np.concatenate([tiles(MIN_TILES, 140, 90, seed) for seed in range(3)])
    scenes = np.repeat(["a", "b", "c"], MIN_TILES)
    overall, own = tune_thresholds(maps, scenes)
    with_own = pooled_iou_with(maps, scenes, {"threshold": overall, "scene_thresholds": own})
    assert with_own >= pooled_iou_with(maps, scenes, {"threshold": overall})


def test_without_held_out_tiles_the_threshold_is_one_half() -> None:
    assert tune_thresholds(np.zeros((0, 256, 2), np.int64), np.array([], str)) == (DEFAULT_THRESHOLD, {})
