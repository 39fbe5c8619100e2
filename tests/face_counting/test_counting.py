import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from competitions.face_counting.decision import counting
from competitions.face_counting.decision.counting import Way
from competitions.face_counting.decision.out_of_fold import decide, pooled_faces
from competitions.face_counting.detection.wbf import FoundFaces, found_faces, fused_folds
from competitions.face_counting.experiment import CountingSettings

SETTINGS = CountingSettings()
BOXES_ABOVE, EXPECTED = Way("first_look", "boxes_above"), Way("first_look", "expected_count")


def _boxes(rows: Sequence[tuple[str, float, float, float, float, float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["Name", "xmin", "ymin", "xmax", "ymax", "score"]).assign(view=0)


def _noisy_pictures(pictures: int, seed: int) -> tuple[FoundFaces, np.ndarray]:
    """True faces are found twice (IoU 0.82) with high scores; one false box with a low score lies beside."""
    generator = np.random.default_rng(seed)
    heads = generator.integers(1, 9, size=pictures)
    rows = []
    for picture, faces in enumerate(heads):
        for face in range(faces):
            score = generator.uniform(0.5, 0.95)
            rows.append((f"{picture}", 100 * face, 0, 100 * face + 50, 50, score))
            rows.append((f"{picture}", 100 * face + 5, 0, 100 * face + 55, 50, score - 0.05))
        rows.append((f"{picture}", 0, 200, 50, 250, generator.uniform(0.05, 0.3)))
    found = found_faces(_boxes(rows), [f"{picture}" for picture in range(pictures)], 1)
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
    found = found_faces(boxes, ["a", "b", "c"], 1)
    np.testing.assert_array_equal(found.above([0.0]), [[2, 0, 1]])
    np.testing.assert_array_equal(found.suppressed(0.5).above([0.0, 0.75]), [[1, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(found.suppressed(0.85).above([0.0]), [[2, 0, 1]])


def test_thresholds_are_those_of_least_rmse() -> None:
    found, heads = _noisy_pictures(40, seed=0)
    above = counting.boxes_above(found, "first_look", SETTINGS)
    rule = counting.fit_rule(BOXES_ABOVE, found, above, heads, SETTINGS)
    assert 0.3 <= rule.confidences[0] <= 0.5
    assert rule.overlap < 0.82
    np.testing.assert_array_equal(rule.count(found), heads)
    assert counting.rmse_map(above, heads).min() == 0
    assert rule.half_a_face == rule.confidences[0]


def test_expected_count_mends_a_detector_that_misses_every_second_face() -> None:
    heads = np.arange(2, 42, 2, dtype=np.float64)
    rows = [
        (f"{picture}", 100 * face, 0, 100 * face + 50, 50, 0.9)
        for picture, faces in enumerate(heads)
        for face in range(int(faces) // 2)
    ]
    found = found_faces(_boxes(rows), [f"{picture}" for picture in range(len(heads))], 1)
    above = counting.boxes_above(found, "first_look", SETTINGS)
    rule = counting.fit_rule(EXPECTED, found, above, heads, SETTINGS)
    np.testing.assert_allclose(rule.count(found), heads, atol=1e-6)
    assert sum(rule.worths) == pytest.approx(2)
    assert all(worth >= 0 for worth in rule.worths)
    only_boxes = counting.fit_rule(BOXES_ABOVE, found, above, heads, SETTINGS)
    assert only_boxes.count(found).max() == 20


def test_a_rule_never_sees_the_counts_that_it_is_judged_by() -> None:
    found, heads = _noisy_pictures(30, seed=1)
    above = counting.boxes_above(found, "first_look", SETTINGS)
    fold = np.arange(30) % 3
    for way in counting.ways(1):
        before = counting.counts_without_own_fold(way, found, above, heads, fold, SETTINGS)
        changed = heads + 100 * (fold == 1)
        after = counting.counts_without_own_fold(way, found, above, changed, fold, SETTINGS)
        np.testing.assert_array_equal(before[fold == 1], after[fold == 1])
        assert (before[fold != 1] != after[fold != 1]).any()


def test_a_decision_survives_the_run_record() -> None:
    found, heads = _noisy_pictures(20, seed=2)
    above = counting.boxes_above(found, "first_look", SETTINGS)
    for way in counting.ways(1):
        rule = counting.fit_rule(way, found, above, heads, SETTINGS)
        decision = json.loads(json.dumps(counting.as_decision(rule, 4.5, 1)))
        assert (decision["mean_count"], decision["looks"]) == (4.5, 1)
        assert counting.rule_of(decision) == rule
        np.testing.assert_array_equal(counting.rule_of(decision).count(found), rule.count(found))


def test_box_statistics_see_what_worths_do_not() -> None:
    # Small faces beside large ones are never labelled, as in the official labels.
    generator = np.random.default_rng(4)
    rows, heads = [], []
    for picture in range(300):
        large, small = (int(number) for number in generator.integers(1, 6, size=2))
        rows += [(f"{picture}", 100 * face, 0, 100 * face + 80, 80, 0.9) for face in range(large)]
        rows += [(f"{picture}", 30 * face, 200, 30 * face + 12, 212, 0.9) for face in range(small)]
        heads.append(large)
    found = found_faces(_boxes(rows), [f"{picture}" for picture in range(300)], 1)
    above = counting.boxes_above(found, "first_look", SETTINGS)
    fold = np.arange(300) % 3
    truth, errors = np.array(heads, float), {}
    for way in counting.ways(1):
        counts = counting.counts_without_own_fold(way, found, above, truth, fold, SETTINGS)
        errors[way.rule] = np.mean((counts - truth) ** 2)
    assert errors["box_statistics"] < 0.25 * errors["expected_count"]


def test_looks_are_put_together() -> None:
    rows = [("a", 0, 0, 10, 10, 0.9), ("a", 1, 0, 11, 10, 0.6), ("a", 50, 50, 60, 60, 0.8)]
    boxes = _boxes(rows).assign(view=[0, 1, 1])
    found = found_faces(boxes, ["a", "b"], 2)
    np.testing.assert_array_equal(counting.fuse(found, "first_look", 0.5).above([0.0]), [[1, 0]])
    np.testing.assert_allclose(counting.fuse(found, "suppression", 0.5).scores, [0.9, 0.8], rtol=1e-6)
    fused = counting.fuse(found, "weighted_fusion", 0.5)
    # Means weighted by the scores: 1 x 0.6 / 1.5; a look that saw nothing counts as nought.
    np.testing.assert_allclose(fused.boxes, np.array([[0.4, 0, 10.4, 10], [50, 50, 60, 60]]), rtol=1e-6)
    np.testing.assert_allclose(fused.scores, [0.75, 0.4], rtol=1e-6)
    assert (fused.looks, fused.pictures, fused.picture.tolist()) == (1, 2, [0, 0])


def test_folds_agree_by_count_or_by_box() -> None:
    looks = _boxes([("a", 0, 0, 10, 10, 0.9), ("a", 0, 0, 10, 10, 0.7), ("b", 5, 5, 20, 20, 0.8)])
    first = found_faces(looks.assign(view=[0, 1, 1]), ["a", "b"], 2)
    second = found_faces(looks[:1], ["a", "b"], 2)
    fused = fused_folds([first, second], 0.5)
    assert fused.looks == 2
    np.testing.assert_array_equal(fused.picture, [0, 0, 1])
    np.testing.assert_array_equal(fused.look, [0, 1, 1])
    np.testing.assert_allclose(fused.scores, [0.9, 0.35, 0.4], rtol=1e-6)
    rule = counting.CountingRule(Way("suppression", "boxes_above"), 0.5, [0.5], [1.0], 0.0)
    by_count = counting.count_by_folds(rule, [first, second], CountingSettings())
    np.testing.assert_array_equal(by_count, [1.0, 0.5])
    by_box = counting.count_by_folds(rule, [first, second], CountingSettings(folds="fused_boxes"))
    np.testing.assert_array_equal(by_box, [1.0, 0.0])
    once = fused_folds([first], 0.9)
    np.testing.assert_array_equal(once.scores, first.scores)


@given(st.integers(0, 10_000), st.sampled_from([0.2, 0.5, 0.8]))
@settings(max_examples=40, deadline=None)
def test_fusion_keeps_to_its_boxes(seed: int, overlap: float) -> None:
    generator = np.random.default_rng(seed)
    number, looks = int(generator.integers(1, 30)), int(generator.integers(1, 4))
    corner = generator.uniform(0, 60, size=(number, 2))
    table = pd.DataFrame(
        np.concatenate((corner, corner + generator.uniform(5, 40, size=(number, 2))), axis=1),
        columns=["xmin", "ymin", "xmax", "ymax"],
    ).assign(
        Name=generator.choice(["a", "b", "c"], size=number),
        score=generator.uniform(0.01, 1, size=number),
        view=generator.integers(0, looks, size=number),
    )
    found = found_faces(table, ["a", "b", "c", "d"], looks)
    fused, left = found.fused(overlap), found.suppressed(overlap)
    np.testing.assert_array_equal(fused.above([0.0]), left.above([0.0]))
    assert (fused.scores <= found.scores.max() + 1e-6).all()
    for picture in np.unique(fused.picture):
        own = found.boxes[found.picture == picture]
        inside = fused.boxes[fused.picture == picture]
        assert (inside >= own.min(axis=0) - 1e-3).all()
        assert (inside <= own.max(axis=0) + 1e-3).all()
    if looks == 1:
        np.testing.assert_allclose(np.sort(fused.scores), np.sort(left.scores), rtol=1e-5)
    mask = generator.random(4) < 0.6
    some = found.of_pictures(mask)
    np.testing.assert_array_equal(some.above([0.0])[0], found.above([0.0])[0][mask])


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
    pooled = pooled_faces([tmp_path / "fold0", tmp_path / "fold1"], 1)
    assert len(pooled.pictures) == pooled.found.pictures == 12
    result = decide(pooled, SETTINGS)
    np.testing.assert_allclose(result.counts, pooled.pictures["head_count"], atol=1e-6)
    assert result.metrics["oof_rmse"] == pytest.approx(0, abs=1e-6)
    assert result.metrics["naive: mean count"] > 0.9
