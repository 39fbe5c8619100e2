import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from competitions.etci_flood.bright_floods import is_bright_flood
from competitions.etci_flood.flood_iou import overlaps, pooled_iou
from competitions.etci_flood.linear_rule import WEIGHTS, LinearRule, best_linear_rule, joint_counts

LEVELS = arrays(np.uint8, (2, 6, 6))
MASKS = arrays(np.uint8, (6, 6), elements=st.integers(0, 1))


@settings(max_examples=15, deadline=None)
@given(LEVELS, MASKS, st.sampled_from(WEIGHTS), st.integers(0, 255), st.booleans())
def test_counts_say_what_the_mask_says(
    levels: np.ndarray, flood: np.ndarray, weight: float, threshold: int, zero: bool
) -> None:
    levels[0, :2] = 0
    rule = LinearRule(weight, threshold, zero)
    (counts,) = joint_counts(levels[:1], levels[1:], flood[None])
    (expected,) = overlaps([rule.mask(*levels)], [flood])
    assert rule.overlap(counts).tolist() == expected.tolist()


@settings(max_examples=8, deadline=None)
@given(LEVELS, MASKS)
def test_no_rule_is_better_than_the_best(levels: np.ndarray, flood: np.ndarray) -> None:
    (counts,) = joint_counts(levels[:1], levels[1:], flood[None])
    best = pooled_iou(best_linear_rule(counts).overlap(counts)[None])
    for weight in WEIGHTS[::4]:
        for threshold in range(0, 256, 15):
            assert pooled_iou(LinearRule(weight, threshold).overlap(counts)[None]) <= best


def test_a_rule_names_itself() -> None:
    assert str(LinearRule(0.7, 90)) == "0.7 VV + 0.3 VH below 90"
    assert str(LinearRule(1.2, 90, False)) == "1.2 VV + -0.2 VH below 90, VV not 0"


@pytest.mark.parametrize(
    ("wet", "share", "bright"),
    [(40, 0.5, False), (150, 0.5, True), (131, 0.5, True), (129, 0.5, False), (150, 0.01, False)],
)
def test_a_flood_as_bright_as_its_dry_land_is_found(wet: int, share: float, bright: bool) -> None:
    flood = np.zeros((100, 100), np.uint8)
    flood[: round(100 * share)] = 1
    assert is_bright_flood(np.where(flood, wet, 150).astype(np.uint8), flood) is bright


def test_a_tile_without_dry_land_is_believed() -> None:
    assert not is_bright_flood(np.full((8, 8), 200, np.uint8), np.ones((8, 8), np.uint8))
