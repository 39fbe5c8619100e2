"""The validator against a catalogue of broken submissions."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.base.errors import InputError
from competitions.shopee_matching.rules.baselines import baseline_scores
from competitions.shopee_matching.rules.submission import (
    score_submission,
    submission_faults,
    write_submission,
)

Rows = list[list[str]]
IDS = [f"test_{number}" for number in range(60)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    lines = [f"{name},{name}.jpg,{number:016x},title" for number, name in enumerate(IDS)]
    (tmp_path / "test.csv").write_text("posting_id,image,image_phash,title\n" + "\n".join(lines) + "\n")
    return tmp_path


def only_oneself() -> Rows:
    return [["posting_id", "matches"], *([name, name] for name in IDS)]


def write(path: Path, rows: Rows) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_only_oneself_is_valid(data: Path) -> None:
    assert submission_faults(write(data / "s.csv", only_oneself()), data) == []


def without_row(rows: Rows) -> None:
    del rows[5]


def extra_row(rows: Rows) -> None:
    rows.append(["test_999", "test_999"])


def duplicate_row(rows: Rows) -> None:
    rows.insert(3, rows[3])


def swapped_rows(rows: Rows) -> None:
    rows[1], rows[2] = rows[2], rows[1]


def unknown_match(rows: Rows) -> None:
    rows[1][1] += " train_1"


def itself_missing(rows: Rows) -> None:
    rows[1][1] = IDS[4]


def empty_matches(rows: Rows) -> None:
    rows[1][1] = ""


def repeated_match(rows: Rows) -> None:
    rows[1][1] += f" {IDS[3]} {IDS[3]}"


def too_many(rows: Rows) -> None:
    rows[1][1] = " ".join(IDS[:52])


def commas(rows: Rows) -> None:
    rows[1][1] = f"{IDS[0]},{IDS[1]}"


def double_space(rows: Rows) -> None:
    rows[1][1] = f"{IDS[0]}  {IDS[1]}"


def wrong_header(rows: Rows) -> None:
    rows[0] = ["id", "matches"]


def third_column(rows: Rows) -> None:
    rows[2].append("x")


def no_rows(rows: Rows) -> None:
    del rows[1:]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (without_row, "missing: test_4"),
        (extra_row, "not in the test split: test_999"),
        (duplicate_row, "more than once: test_2"),
        (swapped_rows, "order"),
        (unknown_match, "train_1"),
        (itself_missing, "lack the row's own posting_id: test_0"),
        (empty_matches, "lack the row's own posting_id: test_0"),
        (repeated_match, "twice: test_0"),
        (too_many, "more than 51 names: test_0 (52)"),
        (commas, "not in the test split: test_0,test_1"),
        (double_space, "single spaces"),
        (wrong_header, "wrong header"),
        (third_column, "line 3"),
        (no_rows, "no rows"),
    ],
)
def test_each_fault_is_named(data: Path, damage: Callable[[Rows], None], words: str) -> None:
    rows = only_oneself()
    damage(rows)
    faults = submission_faults(write(data / "s.csv", rows), data)
    assert any(words in fault for fault in faults), faults


def test_all_faults_are_listed_at_once(data: Path) -> None:
    rows = only_oneself()
    for damage in (unknown_match, extra_row, wrong_header):
        damage(rows)
    assert len(submission_faults(write(data / "s.csv", rows), data)) == 3


def test_empty_and_binary_files_are_faults(data: Path) -> None:
    (data / "s.csv").write_bytes(b"")
    assert submission_faults(data / "s.csv", data) == ["the file is empty"]
    (data / "s.csv").write_bytes(b"\xff\xfe\x00\x81")
    assert "UTF-8" in submission_faults(data / "s.csv", data)[0]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sets(
        st.tuples(st.integers(0, 59), st.integers(0, 59)).filter(lambda pair: pair[0] != pair[1]), max_size=40
    )
)
def test_whatever_is_written_validates_and_a_listing_is_its_own_match(
    data: Path, pairs: set[tuple[int, int]]
) -> None:
    query, match = np.array(sorted(pairs), dtype=np.int32).reshape(-1, 2).T
    write_submission(data / "s.csv", IDS, query, match)
    assert submission_faults(data / "s.csv", data) == []


def test_score_by_hand(data: Path) -> None:
    (data / "truth.csv").write_text("posting_id,label_group\na,1\nb,1\nc,2\n")
    (data / "s.csv").write_text("posting_id,matches\nb,b\na,a b\nc,c a\n")
    score = score_submission(data / "s.csv", data / "truth.csv")
    assert score.value == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)
    assert score.details["gallery_size"] == 3


def test_a_row_that_does_not_list_itself_loses_by_it(data: Path) -> None:
    """Lists count as they are: T = {a, b}, {a, b}, {c}; half of the pair a, b is missing, and c is empty."""
    (data / "truth.csv").write_text("posting_id,label_group\na,1\nb,1\nc,2\n")
    (data / "s.csv").write_text("posting_id,matches\na,b\nb,b a\nc,\n")
    score = score_submission(data / "s.csv", data / "truth.csv")
    assert score.value == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert score.details["matches_per_listing"] == pytest.approx(1)
    for name, text in (("a", "a a b"), ("b", "b b")):
        rows = {"a": "a", "b": "b", "c": "c"} | {name: text}
        lines = "".join(f"{one},{other}\n" for one, other in rows.items())
        (data / "s.csv").write_text("posting_id,matches\n" + lines)
        with pytest.raises(InputError, match=f"row {name} names a listing twice"):
            score_submission(data / "s.csv", data / "truth.csv")


@pytest.mark.parametrize("lines", ["a,1\na,1\nb,2\n", "a,1.5\nb,2\n", f"a,{2**63}\nb,2\n", "a,1_0\nb,2\n"])
def test_a_truth_that_is_none_scores_nothing(data: Path, lines: str) -> None:
    (data / "truth.csv").write_text("posting_id,label_group\n" + lines)
    (data / "s.csv").write_text("posting_id,matches\na,a\nb,b\n")
    with pytest.raises(InputError, match=r"truth\.csv"):
        score_submission(data / "s.csv", data / "truth.csv")


@pytest.mark.parametrize("row", ["d,d", "a,a", "c,c zz"])
def test_foreign_submission_is_not_scored(data: Path, row: str) -> None:
    (data / "truth.csv").write_text("posting_id,label_group\na,1\nb,1\nc,2\n")
    (data / "s.csv").write_text(f"posting_id,matches\na,a\nb,b\n{row}\n")
    with pytest.raises(InputError):
        score_submission(data / "s.csv", data / "truth.csv")


def test_baselines_on_the_sample(catalogue: Path) -> None:
    scores = baseline_scores(catalogue, catalogue / "truth" / "test.csv")
    assert 0.2 < scores["only oneself"] <= scores["equal picture hash"] < 1
