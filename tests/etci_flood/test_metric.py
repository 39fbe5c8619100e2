import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from competitions.etci_flood.decision.vv_threshold import VVThreshold, best_vv_threshold
from competitions.etci_flood.rules.metric import (
    best_threshold,
    mean_tile_iou,
    overlaps,
    overlaps_at_or_above,
    pooled_iou,
    value_counts,
)

TRUTH = np.array([[[1, 1], [0, 0]], [[0, 0], [0, 1]]], np.uint8)
OURS = np.array([[[1, 0], [1, 0]], [[0, 0], [0, 1]]], np.uint8)
small_masks = arrays(np.uint8, (3, 4, 5), elements=st.integers(0, 1))
small_maps = arrays(np.uint8, (3, 4, 5))


def test_by_hand() -> None:
    # Tile 1: TP 1, FP 1, FN 1. Tile 2: TP 1. Pooled 2 / 4, per tile (1/3 + 1) / 2.
    tiles = overlaps(OURS, TRUTH)
    assert tiles.tolist() == [[1, 3], [1, 1]]
    assert pooled_iou(tiles) == 0.5
    assert mean_tile_iou(tiles) == pytest.approx(2 / 3)


def test_no_flood_in_either_mask_counts_as_one() -> None:
    none = np.zeros((2, 4, 4), np.uint8)
    assert pooled_iou(overlaps(none, none)) == 1
    assert mean_tile_iou(overlaps(none, none)) == 1
    assert pooled_iou(overlaps(none + 1, none)) == 0


@given(small_maps, small_masks, st.integers(0, 255))
def test_histograms_give_the_overlaps_of_the_pixels(
    values: np.ndarray, truth: np.ndarray, threshold: int
) -> None:
    counts = value_counts(values, truth)
    above = overlaps((values >= threshold).astype(np.uint8), truth)
    assert np.array_equal(overlaps_at_or_above(counts)[:, threshold], above)
    for zero_is_water in (True, False):
        rule = VVThreshold(threshold, zero_is_water)
        assert np.array_equal(rule.overlaps(counts), overlaps(rule.mask(values), truth))


def test_best_threshold_separates_two_values() -> None:
    values = np.array([[[200, 200], [50, 50]]], np.uint8)
    truth = (values == 200).astype(np.uint8)
    threshold = best_threshold(overlaps_at_or_above(value_counts(values, truth)))
    assert 50 < threshold <= 200


def test_zero_is_the_darkest_water_or_no_data() -> None:
    vv = np.array([[[0, 0], [40, 200]]], np.uint8)
    for flood, zero_is_water in (([[1, 1], [1, 0]], True), ([[0, 0], [1, 0]], False)):
        truth = np.array([flood], np.uint8)
        rule = best_vv_threshold(value_counts(vv, truth))
        assert rule.zero_is_water == zero_is_water
        assert 40 < rule.threshold <= 200
        assert np.array_equal(rule.mask(vv), truth)
