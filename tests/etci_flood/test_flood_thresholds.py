import numpy as np
import pytest

from competitions.etci_flood.decision.thresholds import (
    EVEN_CHANCE,
    LEAST_TILES,
    choose_thresholds,
    pooled_iou_with,
    threshold_of,
)
from competitions.etci_flood.rules.metric import level_counts, overlaps_at_or_above


def tiles(number: int, wet: int, dry: int, seed: int) -> np.ndarray:
    """Overlaps of noisy maps whose flood lies about one level and whose land about another."""
    rng = np.random.default_rng(seed)
    flood = np.zeros((number, 16, 16), np.uint8)
    flood[:, :, :6] = 1
    levels = np.where(flood, wet, dry) + rng.normal(0, 15, flood.shape)
    return overlaps_at_or_above(level_counts(levels.clip(0, 255).astype(np.uint8), flood))


def test_a_scene_that_is_known_well_has_its_own_threshold() -> None:
    maps = np.concatenate([tiles(LEAST_TILES, 120, 60, 1), tiles(LEAST_TILES, 200, 130, 2)])
    scenes = np.array(["dark"] * LEAST_TILES + ["bright"] * LEAST_TILES)
    overall, own = choose_thresholds(maps, scenes)
    assert own["dark"] == pytest.approx(90, abs=15)
    assert own["bright"] == pytest.approx(165, abs=15)
    decision = {"threshold": overall, "scene_thresholds": own}
    assert (
        pooled_iou_with(maps, scenes, decision) > pooled_iou_with(maps, scenes, {"threshold": overall}) + 0.05
    )
    assert threshold_of(decision, "dark") == own["dark"]
    assert threshold_of(decision, "unseen") == overall


def test_a_scene_of_few_tiles_takes_the_common_one() -> None:
    maps = np.concatenate([tiles(LEAST_TILES, 120, 60, 1), tiles(LEAST_TILES - 1, 200, 130, 2)])
    scenes = np.array(["dark"] * LEAST_TILES + ["bright"] * (LEAST_TILES - 1))
    _, own = choose_thresholds(maps, scenes)
    assert set(own) == {"dark"}


def test_own_thresholds_never_lower_the_pooled_iou() -> None:
    maps = np.concatenate([tiles(LEAST_TILES, 140, 90, seed) for seed in range(3)])
    scenes = np.repeat(["a", "b", "c"], LEAST_TILES)
    overall, own = choose_thresholds(maps, scenes)
    with_own = pooled_iou_with(maps, scenes, {"threshold": overall, "scene_thresholds": own})
    assert with_own >= pooled_iou_with(maps, scenes, {"threshold": overall})


def test_where_nothing_was_held_out_it_is_one_half() -> None:
    assert choose_thresholds(np.zeros((0, 256, 2), np.int64), np.array([], str)) == (EVEN_CHANCE, {})
