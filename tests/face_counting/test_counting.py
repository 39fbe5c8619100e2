from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from competitions.face_counting import counting
from competitions.face_counting.experiment import CountingSettings
from competitions.face_counting.out_of_fold import decide, pooled_faces

SETTINGS = CountingSettings()


def _boxes(rows: Sequence[tuple[str, float, float, float, float, float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["Name", "xmin", "ymin", "xmax", "ymax", "score"])


def _noisy_pictures(pictures: int, seed: int) -> tuple[counting.FoundFaces, np.ndarray]:
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
    found = counting.found_faces(_boxes(rows), [f"{picture}" for picture in range(pictures)])
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
    found = counting.found_faces(boxes, ["a", "b", "c"])
    np.testing.assert_array_equal(found.above([0.0]), [[2, 0, 1]])
    np.testing.assert_array_equal(found.suppressed(0.5).above([0.0, 0.75]), [[1, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(found.suppressed(0.85).above([0.0]), [[2, 0, 1]])


def test_thresholds_are_those_of_least_rmse() -> None:
    found, heads = _noisy_pictures(40, seed=0)
    above = counting.boxes_above(found, SETTINGS)
    rule = counting.fit_rule("boxes_above", above, heads, SETTINGS)
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
    found = counting.found_faces(_boxes(rows), [f"{picture}" for picture in range(len(heads))])
    above = counting.boxes_above(found, SETTINGS)
    rule = counting.fit_rule("expected_count", above, heads, SETTINGS)
    np.testing.assert_allclose(rule.count(found), heads, atol=1e-6)
    assert sum(rule.worths) == pytest.approx(2)
    assert all(worth >= 0 for worth in rule.worths)
    only_boxes = counting.fit_rule("boxes_above", above, heads, SETTINGS)
    assert only_boxes.count(found).max() == 20


def test_a_rule_never_sees_the_counts_that_it_is_judged_by() -> None:
    found, heads = _noisy_pictures(30, seed=1)
    above = counting.boxes_above(found, SETTINGS)
    fold = np.arange(30) % 3
    for way in counting.WAYS:
        before = counting.counts_without_own_fold(way, above, heads, fold, SETTINGS)
        changed = heads + 100 * (fold == 1)
        after = counting.counts_without_own_fold(way, above, changed, fold, SETTINGS)
        np.testing.assert_array_equal(before[fold == 1], after[fold == 1])
        assert (before[fold != 1] != after[fold != 1]).any()


def test_a_decision_survives_the_run_record() -> None:
    found, heads = _noisy_pictures(20, seed=2)
    rule = counting.fit_rule("expected_count", counting.boxes_above(found, SETTINGS), heads, SETTINGS)
    decision = counting.as_decision(rule, 4.5)
    assert decision["mean_count"] == 4.5
    assert counting.rule_of(decision) == rule


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
    pooled = pooled_faces([tmp_path / "fold0", tmp_path / "fold1"])
    assert len(pooled.pictures) == pooled.found.pictures == 12
    result = decide(pooled, SETTINGS)
    np.testing.assert_allclose(result.counts, pooled.pictures["head_count"], atol=1e-6)
    assert result.metrics["oof_rmse"] == pytest.approx(0, abs=1e-6)
    assert result.metrics["oof_rmse_mean_count"] > 0.9
