import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from competitions.face_counting.decision import counting
from competitions.face_counting.decision.counting import Strategy
from competitions.face_counting.decision.out_of_fold import pool_faces, tune
from competitions.face_counting.detection.wbf import DetectedFaces, faces_from_table, fuse_folds
from competitions.face_counting.experiment import CountingSettings

SETTINGS = CountingSettings()
THRESHOLD, EXPECTED = Strategy("first_view", "threshold"), Strategy("first_view", "expected_count")


def _boxes(rows: Sequence[tuple[str, float, float, float, float, float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["Name", "xmin", "ymin", "xmax", "ymax", "score"]).assign(view=0)


def _noisy_pictures(pictures: int, seed: int) -> tuple[DetectedFaces, np.ndarray]:
    """True faces are found twice (IoU 0.82) with high scores; one false box has a low score."""
    generator = np.random.default_rng(seed)
    heads = generator.integers(1, 9, size=pictures)
    rows = []
    for picture, faces in enumerate(heads):
        for face in range(faces):
            score = generator.uniform(0.5, 0.95)
            rows.append((f"{picture}", 100 * face, 0, 100 * face + 50, 50, score))
            rows.append((f"{picture}", 100 * face + 5, 0, 100 * face + 55, 50, score - 0.05))
        rows.append((f"{picture}", 0, 200, 50, 250, generator.uniform(0.05, 0.3)))
    found = faces_from_table(_boxes(rows), [f"{picture}" for picture in range(pictures)], 1)
    return found, heads.astype(np.float64)


def test_boxes_of_a_picture_suppress_each_other_and_no_others() -> None:
    boxes = _boxes(
        [
            ("a", 0, 0, 10, 10, 0.9),
            ("a", 0, 0, 10, 8, 0.8),  # IoU 0.8 with the first
            ("c", 0, 0, 10, 10, 0.7),
            ("unknown", 0, 0, 10, 10, 0.9),
        ]
    )
    found = faces_from_table(boxes, ["a", "b", "c"], 1)
    np.testing.assert_array_equal(found.counts_above([0.0]), [[2, 0, 1]])
    np.testing.assert_array_equal(found.nms(0.5).counts_above([0.0, 0.75]), [[1, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(found.nms(0.85).counts_above([0.0]), [[2, 0, 1]])


def test_thresholds_are_those_of_least_rmse() -> None:
    found, heads = _noisy_pictures(40, seed=0)
    grid = counting.count_grid(found, "first_view", SETTINGS)
    rule = counting.fit_rule(THRESHOLD, found, grid, heads, SETTINGS)
    assert 0.3 <= rule.thresholds[0] <= 0.5
    assert rule.iou < 0.82
    np.testing.assert_array_equal(rule.count(found), heads)
    assert counting.rmse_grid(grid, heads).min() == 0
    assert rule.count_threshold == rule.thresholds[0]


def test_expected_count_corrects_a_detector_that_misses_every_second_face() -> None:
    heads = np.arange(2, 42, 2, dtype=np.float64)
    rows = [
        (f"{picture}", 100 * face, 0, 100 * face + 50, 50, 0.9)
        for picture, faces in enumerate(heads)
        for face in range(int(faces) // 2)
    ]
    found = faces_from_table(_boxes(rows), [f"{picture}" for picture in range(len(heads))], 1)
    grid = counting.count_grid(found, "first_view", SETTINGS)
    rule = counting.fit_rule(EXPECTED, found, grid, heads, SETTINGS)
    np.testing.assert_allclose(rule.count(found), heads, atol=1e-6)
    assert sum(rule.increments) == pytest.approx(2)
    assert all(step >= 0 for step in rule.increments)
    only_boxes = counting.fit_rule(THRESHOLD, found, grid, heads, SETTINGS)
    assert only_boxes.count(found).max() == 20


def test_no_picture_is_counted_by_a_rule_fitted_on_it() -> None:
    found, heads = _noisy_pictures(30, seed=1)
    grid = counting.count_grid(found, "first_view", SETTINGS)
    fold = np.arange(30) % 3
    for strategy in counting.strategies(1):
        before = counting.cross_fitted_counts(strategy, found, grid, heads, fold, SETTINGS)
        changed = heads + 100 * (fold == 1)
        after = counting.cross_fitted_counts(strategy, found, grid, changed, fold, SETTINGS)
        np.testing.assert_array_equal(before[fold == 1], after[fold == 1])
        assert (before[fold != 1] != after[fold != 1]).any()


def test_a_decision_can_be_read_back_from_the_run_record() -> None:
    found, heads = _noisy_pictures(20, seed=2)
    grid = counting.count_grid(found, "first_view", SETTINGS)
    for strategy in counting.strategies(1):
        rule = counting.fit_rule(strategy, found, grid, heads, SETTINGS)
        decision = json.loads(json.dumps(counting.as_decision(rule, 4.5, 1)))
        assert (decision["mean_count"], decision["views"]) == (4.5, 1)
        assert counting.rule_from_decision(decision) == rule
        np.testing.assert_array_equal(counting.rule_from_decision(decision).count(found), rule.count(found))


def test_count_regression_learns_what_scores_do_not_show() -> None:
    # Small faces next to large ones are never labelled, as in the official labels.
    generator = np.random.default_rng(4)
    rows, heads = [], []
    for picture in range(300):
        large, small = (int(number) for number in generator.integers(1, 6, size=2))
        rows += [(f"{picture}", 100 * face, 0, 100 * face + 80, 80, 0.9) for face in range(large)]
        rows += [(f"{picture}", 30 * face, 200, 30 * face + 12, 212, 0.9) for face in range(small)]
        heads.append(large)
    found = faces_from_table(_boxes(rows), [f"{picture}" for picture in range(300)], 1)
    grid = counting.count_grid(found, "first_view", SETTINGS)
    fold = np.arange(300) % 3
    truth, errors = np.array(heads, float), {}
    for strategy in counting.strategies(1):
        counts = counting.cross_fitted_counts(strategy, found, grid, truth, fold, SETTINGS)
        errors[strategy.rule] = np.mean((counts - truth) ** 2)
    assert errors["count_regression"] < 0.25 * errors["expected_count"]


def test_views_are_merged() -> None:
    rows = [("a", 0, 0, 10, 10, 0.9), ("a", 1, 0, 11, 10, 0.6), ("a", 50, 50, 60, 60, 0.8)]
    boxes = _boxes(rows).assign(view=[0, 1, 1])
    found = faces_from_table(boxes, ["a", "b"], 2)
    np.testing.assert_array_equal(counting.merge(found, "first_view", 0.5).counts_above([0.0]), [[1, 0]])
    np.testing.assert_allclose(counting.merge(found, "nms", 0.5).scores, [0.9, 0.8], rtol=1e-6)
    fused = counting.merge(found, "wbf", 0.5)
    # Means weighted by the scores: 1 x 0.6 / 1.5; a view without a box counts as 0.
    np.testing.assert_allclose(fused.boxes, np.array([[0.4, 0, 10.4, 10], [50, 50, 60, 60]]), rtol=1e-6)
    np.testing.assert_allclose(fused.scores, [0.75, 0.4], rtol=1e-6)
    assert (fused.views, fused.pictures, fused.picture.tolist()) == (1, 2, [0, 0])


def test_folds_are_combined_by_count_or_by_box() -> None:
    boxes = _boxes([("a", 0, 0, 10, 10, 0.9), ("a", 0, 0, 10, 10, 0.7), ("b", 5, 5, 20, 20, 0.8)])
    first = faces_from_table(boxes.assign(view=[0, 1, 1]), ["a", "b"], 2)
    second = faces_from_table(boxes[:1], ["a", "b"], 2)
    fused = fuse_folds([first, second], 0.5)
    assert fused.views == 2
    np.testing.assert_array_equal(fused.picture, [0, 0, 1])
    np.testing.assert_array_equal(fused.view, [0, 1, 1])
    np.testing.assert_allclose(fused.scores, [0.9, 0.35, 0.4], rtol=1e-6)
    rule = counting.CountingRule(Strategy("nms", "threshold"), 0.5, [0.5], [1.0], 0.0)
    by_count = counting.count_by_folds(rule, [first, second], CountingSettings())
    np.testing.assert_array_equal(by_count, [1.0, 0.5])
    by_box = counting.count_by_folds(rule, [first, second], CountingSettings(fold_ensemble="wbf"))
    np.testing.assert_array_equal(by_box, [1.0, 0.0])
    once = fuse_folds([first], 0.9)
    np.testing.assert_array_equal(once.scores, first.scores)


@given(st.integers(0, 10_000), st.sampled_from([0.2, 0.5, 0.8]))
@settings(max_examples=40, deadline=None)
def test_fused_boxes_lie_inside_their_cluster(seed: int, iou: float) -> None:
    generator = np.random.default_rng(seed)
    number, views = int(generator.integers(1, 30)), int(generator.integers(1, 4))
    corner = generator.uniform(0, 60, size=(number, 2))
    table = pd.DataFrame(
        np.concatenate((corner, corner + generator.uniform(5, 40, size=(number, 2))), axis=1),
        columns=["xmin", "ymin", "xmax", "ymax"],
    ).assign(
        Name=generator.choice(["a", "b", "c"], size=number),
        score=generator.uniform(0.01, 1, size=number),
        view=generator.integers(0, views, size=number),
    )
    found = faces_from_table(table, ["a", "b", "c", "d"], views)
    fused, left = found.wbf(iou), found.nms(iou)
    np.testing.assert_array_equal(fused.counts_above([0.0]), left.counts_above([0.0]))
    assert (fused.scores <= found.scores.max() + 1e-6).all()
    for picture in np.unique(fused.picture):
        own = found.boxes[found.picture == picture]
        inside = fused.boxes[fused.picture == picture]
        assert (inside >= own.min(axis=0) - 1e-3).all()
        assert (inside <= own.max(axis=0) + 1e-3).all()
    if views == 1:
        np.testing.assert_allclose(np.sort(fused.scores), np.sort(left.scores), rtol=1e-5)
    mask = generator.random(4) < 0.6
    some = found.of_pictures(mask)
    np.testing.assert_array_equal(some.counts_above([0.0])[0], found.counts_above([0.0])[0][mask])


def test_pictures_without_any_box_count_out_of_fold(tmp_path: Path) -> None:
    for fold in range(2):
        (tmp_path / f"fold{fold}").mkdir()
        held_out = pd.DataFrame(
            {"Name": [f"{fold}{row}" for row in range(6)], "head_count": [1, 2, 3, 0, 2, 1]}
        )
        held_out.to_parquet(tmp_path / f"fold{fold}" / "held_out.parquet")
        rows = [
            (name, 100.0 * face, 0.0, 100.0 * face + 50, 50.0, 0.8)
            for name, heads in held_out.itertuples(index=False)
            for face in range(heads)
        ]
        _boxes(rows).to_parquet(tmp_path / f"fold{fold}" / "oof.parquet")
    pooled = pool_faces([tmp_path / "fold0", tmp_path / "fold1"], 1)
    assert len(pooled.pictures) == pooled.found.pictures == 12
    result = tune(pooled, SETTINGS)
    np.testing.assert_allclose(result.counts, pooled.pictures["head_count"], atol=1e-6)
    assert result.metrics["oof_rmse"] == pytest.approx(0, abs=1e-6)
    assert result.metrics["baseline: mean count"] > 0.9
