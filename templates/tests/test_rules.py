"""Metric by values computed by hand, and the validator against a catalogue of broken submissions."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from common.base.errors import InputError
from competitions.my_competition.rules.metric import f1_score, grouped_f1_interval
from competitions.my_competition.rules.submission import score_submission, submission_faults


@pytest.mark.parametrize(
    ("predicted", "labels", "expected"),
    [
        ([1, 1, 0, 0], [1, 1, 0, 0], 1.0),
        ([1, 1, 1, 0], [1, 0, 0, 1], 2 / 5),  # 1 hit, 2 false alarms, 1 miss: 2 / (2 + 2 + 1)
        ([0, 0, 0, 0], [1, 0, 0, 1], 0.0),
        ([0, 0, 0, 0], [0, 0, 0, 0], 0.0),
    ],
)
def test_f1_by_hand(predicted: list[int], labels: list[int], expected: float) -> None:
    assert f1_score(np.array(predicted), np.array(labels)) == pytest.approx(expected)


def test_f1_of_many_predictions_at_once() -> None:
    labels = np.array([1, 0, 1])
    assert f1_score(np.array([[1, 0, 1], [0, 1, 0]]), labels).tolist() == [1.0, 0.0]


def test_the_interval_resamples_whole_groups() -> None:
    predicted, labels = np.array([1, 1, 0, 0] * 6), np.array([1, 0, 1, 0] * 6)
    one_per_row = grouped_f1_interval(predicted, labels, np.arange(24), seed=1)
    alike = grouped_f1_interval(predicted, labels, np.repeat(np.arange(6), 4), seed=1)
    assert alike == (0.5, 0.5), "all groups are the same"
    assert one_per_row[0] < 0.5 < one_per_row[1]


@pytest.fixture
def lines(sample: Callable[[str], Path]) -> list[str]:
    """The official sample submission, which is valid."""
    return (sample("my_competition") / "sample_submission.csv").read_text().splitlines()


BROKEN: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "empty": (lambda lines: [], "the file is empty"),
    "header": (lambda lines: ["id,label", *lines[1:]], "wrong header"),
    "missing row": (lambda lines: lines[:-1], "1 ids are missing"),
    "unknown id": (lambda lines: [*lines, "row99999,0"], "1 ids are not in the test split"),
    "twice": (lambda lines: [*lines, lines[-1]], "1 ids occur more than once"),
    "order": (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "not in the test split's order"),
    "probability": (lambda lines: [*lines[:-1], lines[-1][:-1] + "0.7"], "1 labels are not 0 or 1"),
    "no label": (lambda lines: [*lines[:-1], lines[-1][:-1]], "1 labels are not 0 or 1"),
    "third cell": (lambda lines: [*lines[:-1], lines[-1] + ",1"], "1 lines do not have 2 cells"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_every_broken_submission_is_refused(
    fault: str, lines: list[str], sample: Callable[[str], Path], tmp_path: Path
) -> None:
    damage, words = BROKEN[fault]
    file = tmp_path / "submission.csv"
    file.write_text("".join(f"{line}\n" for line in damage(lines)))
    faults = submission_faults(file, sample("my_competition"))
    assert any(words in line for line in faults), faults
    if fault != "order":  # the metric does not depend on the order
        with pytest.raises(InputError, match="cannot be scored"):
            score_submission(file, sample("my_competition") / "truth" / "test.csv")


def test_the_official_sample_submission_is_valid(
    lines: list[str], sample: Callable[[str], Path], tmp_path: Path
) -> None:
    file = tmp_path / "submission.csv"
    file.write_text("\n".join(lines) + "\n")
    assert submission_faults(file, sample("my_competition")) == []
    assert score_submission(file, sample("my_competition") / "truth" / "test.csv").value == 0
