import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from competitions.etci_flood.decision.linear_rule import WEIGHTS, LinearRule, best_linear_rule, joint_counts
from competitions.etci_flood.rules.metric import overlaps, pooled_iou

LAYERS = arrays(np.uint8, (2, 6, 6))
MASKS = arrays(np.uint8, (6, 6), elements=st.integers(0, 1))


@settings(max_examples=15, deadline=None)
@given(LAYERS, MASKS, st.sampled_from(WEIGHTS), st.integers(0, 255), st.booleans())
def test_histograms_give_the_overlap_of_the_mask(
    layers: np.ndarray, flood: np.ndarray, weight: float, threshold: int, zero: bool
) -> None:
    layers[0, :2] = 0
    rule = LinearRule(weight, threshold, zero)
    (counts,) = joint_counts(layers[:1], layers[1:], flood[None])
    (expected,) = overlaps([rule.mask(*layers)], [flood])
    assert rule.overlap(counts).tolist() == expected.tolist()


@settings(max_examples=8, deadline=None)
@given(LAYERS, MASKS)
def test_no_rule_is_better_than_the_best(layers: np.ndarray, flood: np.ndarray) -> None:
    (counts,) = joint_counts(layers[:1], layers[1:], flood[None])
    best = pooled_iou(best_linear_rule(counts).overlap(counts)[None])
    for weight in WEIGHTS[::4]:
        for threshold in range(0, 256, 15):
            assert pooled_iou(LinearRule(weight, threshold).overlap(counts)[None]) <= best


def test_a_rule_names_itself() -> None:
    assert str(LinearRule(0.7, 90)) == "0.7 VV + 0.3 VH below 90"
    assert str(LinearRule(1.2, 90, False)) == "1.2 VV + -0.2 VH below 90, VV not 0"
