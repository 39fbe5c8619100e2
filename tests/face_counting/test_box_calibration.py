import numpy as np
import pandas as pd
import pytest

from competitions.face_counting.decision import counting
from competitions.face_counting.decision.box_calibration import (
    candidates_from,
    cross_fitted_probabilities,
    expected_counts,
    fit_calibration,
    match_labels,
)
from competitions.face_counting.decision.out_of_fold import PooledFaces, tune
from competitions.face_counting.detection.wbf import DetectedFaces, faces_from_table
from competitions.face_counting.experiment import CountingSettings

Labels = list[np.ndarray]


def _found(rows: list[tuple[str, int, float, float, float, float, float]], pictures: int) -> DetectedFaces:
    table = pd.DataFrame(rows, columns=["Name", "view", "xmin", "ymin", "xmax", "ymax", "score"])
    return faces_from_table(table, [f"{picture}" for picture in range(pictures)], 2)


def _habits(pictures: int, seed: int) -> tuple[DetectedFaces, Labels]:
    """Large faces are labelled, small ones are not, whatever their score; heads of the second view are."""
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


def test_labels_match_the_box_of_highest_score_and_each_once() -> None:
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
    assert match_labels(found, labels).tolist() == [False, True, False, False]


def test_habits_of_the_labels_are_learnt_per_box() -> None:
    found, labels = _habits(60, seed=1)
    candidates = candidates_from(found)
    labelled = match_labels(candidates.boxes, labels)
    fitted = fit_calibration(candidates, labelled)
    other, other_labels = _habits(60, seed=2)
    unseen = candidates_from(other)
    probabilities = fitted.probabilities(unseen)
    assert ((probabilities > 0.5) == match_labels(unseen.boxes, other_labels)).mean() > 0.98
    expected = expected_counts(unseen, probabilities)[:, 0]
    assert np.abs(expected - [len(own) for own in other_labels]).mean() < 0.3


def test_no_box_is_predicted_by_a_model_fitted_on_its_picture() -> None:
    found, labels = _habits(40, seed=3)
    candidates = candidates_from(found)
    labelled = match_labels(candidates.boxes, labels)
    before = cross_fitted_probabilities(candidates, labelled)
    own = candidates.boxes.picture % 4 == 1
    after = cross_fitted_probabilities(candidates, np.where(own, ~labelled, labelled))
    np.testing.assert_array_equal(before[own], after[own])
    assert (before[~own] != after[~own]).any()


def test_pictures_without_boxes_or_labels() -> None:
    found, labels = _habits(30, seed=4)
    fitted = fit_calibration(candidates_from(found), match_labels(candidates_from(found).boxes, labels))
    nothing = candidates_from(_found([], 3))
    assert expected_counts(nothing, fitted.probabilities(nothing)).tolist() == [[0.0] * 3] * 3
    prior = fit_calibration(nothing, np.zeros(0, dtype=bool))
    assert (prior.booster, prior.probabilities(nothing).tolist()) == ("", [])
    assert cross_fitted_probabilities(nothing, np.zeros(0, dtype=bool)).tolist() == []
    assert match_labels(nothing.boxes, [np.zeros((0, 4))] * 3).tolist() == []


def test_the_strategy_of_lowest_oof_rmse_is_selected() -> None:
    found, labels = _habits(60, seed=5)
    heads = np.array([len(own) for own in labels])
    pictures = pd.DataFrame(
        {"fold": np.arange(60) % 2, "Name": [f"{row}" for row in range(60)], "head_count": heads}
    )
    tuned = tune(PooledFaces(pictures, found, labels), CountingSettings())
    assert tuned.metrics["wbf_calibrated_regression_rmse"] == pytest.approx(tuned.metrics["oof_rmse"])
    rule = counting.rule_from_decision(tuned.decision)
    assert rule.strategy.rule == "calibrated_regression"
    assert np.abs(rule.count(found) - heads).mean() < 0.5
