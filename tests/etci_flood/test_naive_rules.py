import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from competitions.etci_flood.data.label_noise import bright_flood_pixels
from competitions.etci_flood.decision.linear_rule import WEIGHTS, LinearRule, best_linear_rule, joint_counts
from competitions.etci_flood.rules.metric import overlaps, pooled_iou

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
    [(40, 0.5, 0), (150, 0.5, 5000), (131, 0.5, 5000), (129, 0.5, 0), (150, 0.01, 0), (150, 1.0, 0)],
)
def test_a_flood_as_bright_as_its_dry_land_is_found(wet: int, share: float, bright: int) -> None:
    flood = np.zeros((100, 100), np.uint8)
    flood[: round(100 * share)] = 1
    vv = np.where(flood, wet, 150).astype(np.uint8)
    assert bright_flood_pixels(vv, flood) == pytest.approx(bright, abs=200)


def test_no_data_is_no_dry_land() -> None:
    flood = np.zeros((100, 100), np.uint8)
    flood[:30] = 1
    vv = np.where(flood, 60, 0).astype(np.uint8)
    vv[90:] = 150
    assert bright_flood_pixels(vv, flood) == 0


def test_a_lake_in_a_rectangle_over_land_does_not_save_the_label() -> None:
    flood = np.zeros((100, 100), np.uint8)
    flood[:50] = 1
    vv = np.full((100, 100), 150, np.uint8)
    vv[:50, :40] = 10
    assert 2500 < bright_flood_pixels(vv, flood) < 3000
    vv[:50, :60] = 10
    assert bright_flood_pixels(vv, flood) == 0
