"""Helpers of the report's figures."""

import numpy as np

from competitions.face_counting.decision.counting import CountingRule, Strategy
from competitions.face_counting.detection.wbf import DetectedFaces
from competitions.face_counting.report.figures import faces_in, scatter_title


def test_faces_of_some_pictures_are_those_among_all() -> None:
    generator = np.random.default_rng(1)
    picture = np.sort(generator.integers(0, 20, size=300))
    corners = generator.uniform(0, 60, size=(300, 2))
    boxes = np.concatenate([corners, corners + generator.uniform(20, 40, size=(300, 2))], axis=1)
    found = DetectedFaces(
        picture,
        boxes.astype(np.float32),
        generator.uniform(0, 1, size=300).astype(np.float32),
        generator.integers(0, 3, size=300),
        20,
        3,
    )
    rule = CountingRule(Strategy("wbf", "threshold"), 0.4, [0.2], [1.0], 0.0)
    everywhere, here = rule.faces(found), faces_in(np.array([17, 3]), rule, found)
    assert set(here.picture.tolist()) == {3, 17}
    for number in (3, 17):
        wanted = everywhere.boxes[everywhere.picture == number]
        assert np.array_equal(here.boxes[here.picture == number], wanted)


def test_a_run_without_a_recorded_baseline_has_a_title_without_it() -> None:
    metrics = {"oof_rmse": 0.951, "oof_rmse_low": 0.842, "oof_rmse_high": 1.061}
    assert scatter_title(metrics) == "RMSE 0.951 [0.842, 1.061]"
    assert scatter_title(metrics | {"baseline: mean count": 2.391}).endswith(", mean count 2.391")
