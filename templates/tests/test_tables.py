"""Bad input ends in one line that names the file and what is wrong with it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from common.base.errors import InputError
from competitions.my_competition.data.tables import missing_readings, read_test, read_train
from tests.conftest import run_stage

Change = Callable[[str], str]


def lines(*first: str) -> Change:
    """Replace the file's first lines after the header."""

    def change(text: str) -> str:
        header, *rows = text.splitlines()
        return "\n".join([header, *first, *rows[len(first) :]]) + "\n"

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: "", "the file is empty"),
        (lambda text: text.splitlines()[0] + "\n", "has no rows"),
        (lambda text: text.replace("vibration", "shaking"), "column 'vibration' is missing"),
        (lines("row1,m001,high,60,1.5,100,0"), "1 cells of 'load' are not numbers: row1 'high'"),
        (lines("row1,m001,inf,60,1.5,100,0"), "1 cells of 'load' are not numbers: row1 'inf'"),
        (lines("row1,m001,0.5,60,1.5,100,2"), "'fails' must be 0 or 1; wrong for row1"),
        (lines("row1,m001,0.5,60,1.5,100,"), "'fails' must be 0 or 1; wrong for row1"),
        (lines(*["row1,m001,0.5,60,1.5,100,0"] * 2), "1 ids occur more than once: row1"),
        (lines("row1,m001,0.5,60,1.5,100,0,7"), "not a CSV file"),
    ],
)
def test_damage_is_named(change: Change, words: str, sample: Callable[[str], Path], tmp_path: Path) -> None:
    text = (sample("my_competition") / "train.csv").read_text()
    (tmp_path / "train.csv").write_text(change(text))
    with pytest.raises(InputError, match=words) as fault:
        read_train(tmp_path)
    assert "train.csv" in str(fault.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"test\.csv is missing"):
        read_test(tmp_path)


def test_missing_readings_stay_missing_and_are_counted(sample: Callable[[str], Path]) -> None:
    test = read_test(sample("my_competition"))
    raw = pd.read_csv(sample("my_competition") / "test.csv")
    assert (test["load"].isna() == raw["load"].isna()).all()
    assert len(missing_readings(test)) == (raw.isna().sum() > 0).sum()


def test_a_sample_submission_of_other_rows_is_refused(sample: Callable[[str], Path], tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(sample("my_competition"), data)
    with (data / "sample_submission.csv").open("a") as file:
        file.write("row99999,0\n")
    done = run_stage("my_competition", 1, "--data", data, "--work", tmp_path / "work")
    assert done.code == 2
    assert "sample_submission.csv: 1 ids are not in the test split: row99999" in done.text
