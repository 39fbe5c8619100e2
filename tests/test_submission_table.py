"""Checks that every CSV submission shares."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.base.errors import InputError
from common.files.submission_table import id_faults, parse_integer, parse_number, read_submission_table

HEADER = ("Name", "HeadCount")


def test_all_faults_of_the_table_are_found(tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    path.write_text("name,count\na,1\nb\nc,2,3\n")
    rows, faults = read_submission_table(path, HEADER)
    assert rows == [["a", "1"]]
    assert len(faults) == 2
    assert "wrong header" in faults[0]
    assert "line 3, line 4" in faults[1]


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"\xff\xfe\x00", "not UTF-8"), (b'Name,HeadCount\n"a', "not valid CSV")],
)
def test_no_table_at_all(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "submission.csv"
    path.write_bytes(content)
    rows, faults = read_submission_table(path, HEADER)
    assert rows == []
    assert words in faults[0]


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such submission file"):
        read_submission_table(tmp_path / "none.csv", HEADER)


def test_missing_extra_and_duplicated_are_listed_together() -> None:
    faults = id_faults(["b", "b", "x"], ["a", "b"])
    assert [fault.split(":")[0] for fault in faults] == [
        "1 ids are missing",
        "1 ids are not in the test split",
        "1 ids occur more than once",
    ]


@given(st.lists(st.text(min_size=1), unique=True, min_size=2), st.randoms())
def test_any_other_order_is_a_fault_and_the_right_one_is_none(ids: list[str], random: object) -> None:
    shuffled = list(ids)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert id_faults(ids, ids) == []
    faults = id_faults(shuffled, ids)
    assert bool(faults) == (shuffled != ids)
    assert id_faults(shuffled, ids, ordered=False) == []


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("1", 1.0),
        (" 0.5 ", 0.5),
        ("-2e-3", -0.002),
        (".5", 0.5),
        ("3.", 3.0),
        ("+7", 7.0),
        ("inf", float("inf")),
    ],
)
def test_numbers_are_read_as_a_table_reader_does(cell: str, number: float) -> None:
    assert parse_number(cell) == number


@pytest.mark.parametrize(
    "cell", ["", "1_0", "１２", "٣", "1\u00a0", "1\n", "0x1f", "1e", "1,5", "--1", "one", "9" * 5000, "1 2"]
)
def test_what_only_python_reads_is_no_number(cell: str) -> None:
    assert parse_number(cell) is None
    assert parse_integer(cell) is None


def test_whole_numbers() -> None:
    assert [parse_integer(cell) for cell in ("0", "-3", "119", " 7 ", "7.0", "1e2", "nan")] == [
        0,
        -3,
        119,
        7,
        None,
        None,
        None,
    ]


def test_a_file_that_is_no_submission_by_its_size_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "submission.csv"
    path.write_text("id,count\n" + "a,1\n" * 30)
    monkeypatch.setattr("common.files.submission_table.MAX_LINES", 30)
    assert read_submission_table(path, ["id", "count"]) == (
        [],
        ["the file has more than 30 lines; no submission is that long"],
    )
    with path.open("r+b") as file:
        file.truncate(600 << 20)
    assert "more than 512 MB" in read_submission_table(path, ["id", "count"])[1][0]
