import numpy as np
import pandas as pd
import pytest

from competitions.face_counting.decision import counting
from competitions.face_counting.decision.box_calibration import (
    are_labelled,
    candidates_of,
    fit_calibration,
    sums,
    without_own_part,
)
from competitions.face_counting.decision.out_of_fold import PooledFaces, decide
from competitions.face_counting.detection.wbf import FoundFaces, found_faces
from competitions.face_counting.experiment import CountingSettings

Labels = list[np.ndarray]


def _found(rows: list[tuple[str, int, float, float, float, float, float]], pictures: int) -> FoundFaces:
    table = pd.DataFrame(rows, columns=["Name", "view", "xmin", "ymin", "xmax", "ymax", "score"])
    return found_faces(table, [f"{picture}" for picture in range(pictures)], 2)


def _habits(pictures: int, seed: int) -> tuple[FoundFaces, Labels]:
    """Large faces are labelled, small ones are not, whatever their score; heads of the second look are."""
    generator = np.random.default_rng(seed)
    rows, labels = [], []
    for picture in range(pictures):
        large, small, heads = (int(number) for number in generator.integers(1, 5, size=3))
        own = []
        for face in range(large):
            box = (100.0 * face, 0.0, 100.0 * face + 60, 60.0)
            rows.append((f"{picture}", 0, *box, generator.uniform(0.3, 0.9)))
            own.append(box)
        for face in range(small):
            box = (40.0 * face, 100.0, 40.0 * face + 15, 115.0)
            rows.append((f"{picture}", 0, *box, generator.uniform(0.3, 0.9)))
        for face in range(heads):
            box = (100.0 * face, 200.0, 100.0 * face + 60, 260.0)
            rows.append((f"{picture}", 1, *box, generator.uniform(0.3, 0.9)))
            own.append(box)
        labels.append(np.array(own))
    return _found(rows, pictures), labels


def test_labels_choose_the_surest_box_and_each_once() -> None:
    found = _found(
        [
            ("0", 0, 0, 0, 10, 10, 0.6),
            ("0", 0, 4, 0, 14, 10, 0.9),  # IoU 0.43 with the one before
            ("0", 0, 50, 50, 60, 60, 0.8),
            ("1", 1, 0, 0, 10, 10, 0.9),
        ],
        2,
    )
    labels = [np.array([[2.0, 0, 12, 10], [90, 90, 99, 99]]), np.zeros((0, 4))]
    assert are_labelled(found, labels).tolist() == [False, True, False, False]


def test_habits_of_the_labels_are_learnt_box_by_box() -> None:
    found, labels = _habits(60, seed=1)
    candidates = candidates_of(found)
    labelled = are_labelled(candidates.boxes, labels)
    fitted = fit_calibration(candidates, labelled)
    other, other_labels = _habits(60, seed=2)
    unseen = candidates_of(other)
    probabilities = fitted.probabilities(unseen)
    assert ((probabilities > 0.5) == are_labelled(unseen.boxes, other_labels)).mean() > 0.98
    expected = sums(unseen, probabilities)[:, 0]
    assert np.abs(expected - [len(own) for own in other_labels]).mean() < 0.3


def test_no_box_is_judged_by_trees_that_saw_its_picture() -> None:
    found, labels = _habits(40, seed=3)
    candidates = candidates_of(found)
    labelled = are_labelled(candidates.boxes, labels)
    before = without_own_part(candidates, labelled)
    own = candidates.boxes.picture % 4 == 1
    after = without_own_part(candidates, np.where(own, ~labelled, labelled))
    np.testing.assert_array_equal(before[own], after[own])
    assert (before[~own] != after[~own]).any()


def test_pictures_without_boxes_or_labels() -> None:
    found, labels = _habits(30, seed=4)
    fitted = fit_calibration(candidates_of(found), are_labelled(candidates_of(found).boxes, labels))
    nothing = candidates_of(_found([], 3))
    assert sums(nothing, fitted.probabilities(nothing)).tolist() == [[0.0] * 3] * 3
    untold = fit_calibration(nothing, np.zeros(0, dtype=bool))
    assert (untold.trees, untold.probabilities(nothing).tolist()) == ("", [])
    assert without_own_part(nothing, np.zeros(0, dtype=bool)).tolist() == []
    assert are_labelled(nothing.boxes, [np.zeros((0, 4))] * 3).tolist() == []


def test_the_best_way_out_of_fold_is_taken() -> None:
    found, labels = _habits(60, seed=5)
    heads = np.array([len(own) for own in labels])
    pictures = pd.DataFrame(
        {"fold": np.arange(60) % 2, "Name": [f"{row}" for row in range(60)], "head_count": heads}
    )
    outcome = decide(PooledFaces(pictures, found, labels), CountingSettings())
    assert outcome.metrics["weighted_fusion_calibrated_boxes_rmse"] == pytest.approx(
        outcome.metrics["oof_rmse"]
    )
    rule = counting.rule_of(outcome.decision)
    assert rule.way.rule == "calibrated_boxes"
    assert np.abs(rule.count(found) - heads).mean() < 0.5
