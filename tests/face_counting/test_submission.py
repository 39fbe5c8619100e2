from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.base.errors import InputError
from competitions.face_counting.rules.baselines import baseline_scores
from competitions.face_counting.rules.metric import rmse, rmse_interval
from competitions.face_counting.rules.submission import (
    score_submission,
    submission_faults,
    write_submission,
)

NAMES = ["1.jpg", "2.jpg", "3.jpg"]
VALID = "Name,HeadCount\n1.jpg,2\n2.jpg,0\n3.jpg,3.25\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "test.csv").write_text("Name\n" + "\n".join(NAMES) + "\n")
    return tmp_path


def test_rmse_by_hand() -> None:
    # Errors 1, 0, -3: mean of squares 10 / 3.
    assert rmse(np.array([3.0, 2.0, 1.0]), np.array([2.0, 2.0, 4.0])) == pytest.approx(np.sqrt(10 / 3))


def test_the_interval_holds_the_rmse_and_shrinks_to_it() -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(1, 9, size=400).astype(float)
    counts = truth + generator.normal(size=400)
    low, high = rmse_interval(counts, truth)
    assert low < rmse(counts, truth) < high
    assert rmse_interval(truth + 2, truth) == (2.0, 2.0)


def test_a_valid_submission_has_no_faults(folder: Path) -> None:
    file = folder / "submission.csv"
    file.write_text(VALID)
    assert submission_faults(file, folder) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["empty"]),
        ("Name,Count\n1.jpg,2\n2.jpg,0\n3.jpg,3\n", ["wrong header"]),
        ("Name,HeadCount\n1.jpg,2\n3.jpg,3\n", ["1 ids are missing: 2.jpg"]),
        (VALID + "4.jpg,1\n", ["not in the test split: 4.jpg"]),
        (VALID + "3.jpg,1\n", ["more than once: 3.jpg"]),
        ("Name,HeadCount\n2.jpg,0\n1.jpg,2\n3.jpg,3\n", ["order", "row 1 is 2.jpg"]),
        (VALID.replace("3.25", "nan"), ["1 head counts are not finite: 3.jpg"]),
        (VALID.replace("3.25", "inf"), ["1 head counts are not finite: 3.jpg"]),
        (VALID.replace("3.25", "-1"), ["1 head counts are negative: 3.jpg"]),
        (VALID.replace("3.25", "many"), ["1 head counts are not a number: 3.jpg"]),
        (VALID.replace("3.25", ""), ["not a number"]),
        (VALID.replace("3.25", "3,25"), ["do not have 2 cells", "missing: 3.jpg"]),
        ("Name,HeadCount\n", ["no rows"]),
        (
            "name,HeadCount\n1.jpg,-2\n1.jpg,x\n9.jpg,inf\n",
            ["wrong header", "missing", "9.jpg", "more than once", "negative", "not a number", "not finite"],
        ),
    ],
)
def test_every_fault_is_named(folder: Path, text: str, words: list[str]) -> None:
    file = folder / "submission.csv"
    file.write_text(text)
    faults = " | ".join(submission_faults(file, folder))
    for word in words:
        assert word in faults, faults


@given(st.lists(st.floats(0, 1e6), min_size=3, max_size=3))
def test_whatever_is_written_is_valid(tmp_path_factory: pytest.TempPathFactory, counts: list[float]) -> None:
    folder = tmp_path_factory.mktemp("written")
    (folder / "test.csv").write_text("Name\n" + "\n".join(NAMES) + "\n")
    write_submission(folder / "submission.csv", NAMES, np.array(counts))
    assert submission_faults(folder / "submission.csv", folder) == []
    read = pd.read_csv(folder / "submission.csv")["HeadCount"]
    np.testing.assert_allclose(read, counts, atol=1e-4)


def test_score_by_hand(folder: Path) -> None:
    submission, truth = folder / "submission.csv", folder / "truth.csv"
    submission.write_text(VALID)
    truth.write_text("Name,HeadCount\n3.jpg,3\n1.jpg,1\n2.jpg,0\n")
    score = score_submission(submission, truth)
    assert score.value == pytest.approx(np.sqrt((0.25**2 + 1) / 3))
    assert score.details["mean_absolute_error"] == pytest.approx(1.25 / 3)
    assert score.details["within_half_a_face"] == pytest.approx(2 / 3)
    assert score.details["rmse_low"] <= score.value <= score.details["rmse_high"]


def test_a_submission_of_other_pictures_is_not_scored(folder: Path) -> None:
    submission, truth = folder / "submission.csv", folder / "truth.csv"
    submission.write_text(VALID)
    truth.write_text("Name,HeadCount\n8.jpg,3\n")
    with pytest.raises(InputError, match=r"cannot be scored.*8\.jpg"):
        score_submission(submission, truth)


def test_baselines_by_hand(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("Name,HeadCount\na.jpg,1\nb.jpg,1\nc.jpg,4\n")
    (tmp_path / "truth.csv").write_text("Name,HeadCount\nd.jpg,2\ne.jpg,4\n")
    scores = baseline_scores(tmp_path, tmp_path / "truth.csv")
    assert scores["mean count"] == pytest.approx(np.sqrt(2))
    assert scores["median count"] == pytest.approx(np.sqrt(5))
