"""The validator against a catalogue of broken submissions."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from competitions.bit_trader.rules.submission import (
    Positions,
    read_submission,
    submission_faults,
    write_submission,
)

HEADER = "sample_id,buy_quantity,sell_time"
VALID = ["7,0.0,0", "8,1.0,119", "9,0.25,60", "10,1e-3,5"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "sample_submission.csv").write_text(
        "\n".join([HEADER, "7,0,0", "8,0,0", "9,0,0", "10,0,0"]) + "\n"
    )
    return folder


Faults = Callable[..., list[str]]


@pytest.fixture
def faults(data: Path, tmp_path: Path) -> Faults:
    def find(rows: list[str], header: str = HEADER) -> list[str]:
        submission = tmp_path / "submission.csv"
        submission.write_text("\n".join([header, *rows]) + "\n")
        return submission_faults(submission, data)

    return find


def test_a_valid_submission_has_no_fault(faults: Faults) -> None:
    assert faults(VALID) == []


@pytest.mark.parametrize(
    ("row", "by", "words"),
    [
        (0, "", "1 ids are missing: 7"),
        (0, "8,0.5,1", "occur more than once: 8"),
        (0, "99,0.5,1", "not in the test split: 99"),
        (1, "8,1.0001,3", "not within 0 and 1: 1.0001 (sample 8)"),
        (1, "8,-0.1,3", "not within 0 and 1: -0.1"),
        (1, "8,1.0000001,3", "not within 0 and 1: 1.0000001 (sample 8)"),
        (1, "8.0,1,3", "1 sample ids are written with a decimal point: 8.0"),
        (1, "8,nan,3", "NaN or infinite"),
        (1, "8,inf,3", "NaN or infinite"),
        (1, "8,,3", "buy_quantity is not a number"),
        (1, "8,all,3", "buy_quantity is not a number"),
        (1, "8,0_1,3", "buy_quantity is not a number"),
        (1, "8,1,120", "sell_time is not within 0 and 119: 120"),
        (1, "8,1,-1", "sell_time is not within 0 and 119: -1"),
        (1, "8,1,3.0", "sell_time is not an integer: '3.0'"),
        (1, "8,1,nan", "sell_time is not an integer"),
        (1, "8,1", "do not have 3 cells"),
        (1, "8,1,3,4", "do not have 3 cells"),
    ],
)
def test_each_fault_is_named(faults: Faults, row: int, by: str, words: str) -> None:
    rows = VALID[:row] + ([by] if by else []) + VALID[row + 1 :]
    assert any(words in fault for fault in faults(rows)), faults(rows)


def test_header_and_order(faults: Faults) -> None:
    assert "wrong header" in faults(VALID, "id,buy,sell")[0]
    assert "order" in faults(VALID[::-1])[0]


def test_all_faults_at_once(faults: Faults) -> None:
    found = faults(["7,2,0", "8,nan,200", "8,x,1.5"], "sample,buy,sell")
    for words in (
        "wrong header",
        "missing",
        "more than once",
        "0 and 1",
        "NaN",
        "not a number",
        "0 and 119",
        "not an integer",
    ):
        assert any(words in fault for fault in found), (words, found)


@pytest.mark.parametrize("end", ["\n", "\n\n", "\r\n\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_empty_last_lines_and_a_byte_order_mark_are_no_fault(
    data: Path, tmp_path: Path, mark: str, end: str
) -> None:
    (tmp_path / "submission.csv").write_text(mark + "\n".join([HEADER, *VALID]) + end, newline="")
    sample = data / "sample_submission.csv"
    sample.write_text(mark + sample.read_text() + end, newline="")
    assert submission_faults(tmp_path / "submission.csv", data) == []
    broken = [HEADER, "", *VALID[:2], "9,0.25"]
    (tmp_path / "submission.csv").write_text("\n".join(broken) + end)
    assert any("line 5" in fault for fault in submission_faults(tmp_path / "submission.csv", data))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00PK", b'sample_id,"buy'])
def test_what_is_no_table_is_a_fault_and_no_crash(data: Path, tmp_path: Path, content: bytes) -> None:
    submission = tmp_path / "submission.csv"
    submission.write_bytes(content)
    assert submission_faults(submission, data)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 119)), min_size=4, max_size=4))
def test_what_is_written_validates_and_reads_back(
    data: Path, tmp_path: Path, rows: list[tuple[float, int]]
) -> None:
    ids = np.array([7, 8, 9, 10])
    positions = Positions(np.array([row[0] for row in rows]), np.array([row[1] for row in rows]))
    submission = tmp_path / "submission.csv"
    write_submission(submission, ids, positions)
    assert submission_faults(submission, data) == []
    again = read_submission(submission, ids)
    assert again.buy_quantity.tolist() == positions.buy_quantity.tolist()
    assert again.sell_time.tolist() == positions.sell_time.tolist()
