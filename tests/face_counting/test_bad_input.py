"""Bad input to the stages ends in one line and exit code 2, and leaves nothing."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from common.run.run_record import read_record
from competitions.face_counting.competition import COMPETITION
from tests.conftest import outcome, written_files

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def stage(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Run a numbered script; returns exit code and its output."""

    def call(script: str, *flags: str, data: Path = data) -> tuple[int, str]:
        argv = [script, "--data", str(data), "--work", str(tmp_path / "work"), "--profile", "sample", *flags]
        monkeypatch.setattr(sys, "argv", argv)
        return outcome(lambda: runpy.run_path(str(COMPETITION.folder / script), run_name="__main__"), capsys)

    return call


def _drop_column(file: Path, column: str) -> None:
    pd.read_csv(file).drop(columns=column).to_csv(file, index=False)


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def _cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-9])


def _break_pictures(data: Path) -> None:
    for path in list((data / "image_data").iterdir())[:12]:
        path.write_bytes(b"no picture")


def _flatten_boxes(data: Path) -> None:
    """Two thirds of the boxes have no area."""
    table = pd.read_csv(data / "bbox_train.csv")
    flat = table.index % 3 > 0
    table.loc[flat, "xmax"] = table.loc[flat, "xmin"]
    table.to_csv(data / "bbox_train.csv", index=False)


def _label_a_test_picture(data: Path) -> None:
    name = pd.read_csv(data / "test.csv")["Name"][0]
    with (data / "train.csv").open("a") as file:
        file.write(f"{name},1\n")


BROKEN: list[tuple[Callable[[Path], object], list[str]]] = [
    (lambda data: _drop_column(data / "train.csv", "HeadCount"), ["train.csv", "no column HeadCount"]),
    (lambda data: _drop_column(data / "bbox_train.csv", "xmax"), ["bbox_train.csv", "no column xmax"]),
    (lambda data: (data / "train.csv").unlink(), ["train.csv is missing", "Name, HeadCount"]),
    (lambda data: (data / "test.csv").unlink(), ["0 files test.csv"]),
    (lambda data: (data / "image_data").rename(data / "photos"), ["no folder image_data"]),
    (lambda data: _cut_short(data / "bbox_train.csv"), ["bbox_train.csv", "cut short"]),
    (lambda data: (data / "train.csv").write_bytes(b"\xff\xfe\x00\x01"), ["train.csv", "CSV"]),
    (lambda data: (data / "train.csv").write_text("Name,HeadCount\n"), ["train.csv", "no rows"]),
    (
        lambda data: (data / "train.csv").write_text("Name,HeadCount\n../secret.jpg,1\n"),
        ["train.csv", "no file names", "../secret.jpg"],
    ),
    (
        lambda data: (data / "train.csv").write_text("Name,HeadCount\na.jpg,1\na.jpg,1\n"),
        ["names occur twice: a.jpg"],
    ),
    (lambda data: (data / "train.csv").write_text("Name,HeadCount\na.jpg,-1\n"), ["whole numbers"]),
    (_flatten_boxes, ["bbox_train.csv", "no faces inside their pictures"]),
    (_label_a_test_picture, ["1 pictures are in the training split and in the test split: "]),
    (_break_pictures, ["image_data", "missing or unreadable", "official pictures"]),
]


@pytest.mark.parametrize(("damage", "words"), BROKEN)
def test_broken_data_end_in_one_line_and_leave_nothing(
    stage: Command, data: Path, tmp_path: Path, damage: Callable[[Path], object], words: list[str]
) -> None:
    damage(data)
    code, text = stage("1_preprocess.py")
    assert code == 2, text
    error = [line for line in text.splitlines() if line.startswith("error:")]
    assert len(error) == 1
    assert all(word in error[0] for word in words), error[0]
    assert "Traceback" not in text
    assert written_files(tmp_path / "work") == []


def test_faults_that_do_not_stop_the_run_are_warnings(stage: Command, data: Path, tmp_path: Path) -> None:
    train = pd.read_csv(data / "train.csv")
    test = pd.read_csv(data / "test.csv")
    (data / "image_data" / train["Name"][0]).write_bytes(b"no picture")
    (data / "image_data" / test["Name"][0]).unlink()
    boxes = pd.read_csv(data / "bbox_train.csv")
    other = boxes.index[boxes["Name"] == train["Name"][1]][0]
    boxes.loc[other, "xmax"] = 5000
    boxes.to_csv(data / "bbox_train.csv", index=False)
    _replace(data / "train.csv", f"{train['Name'][2]},", f"{train['Name'][2]},1")
    code, text = stage("1_preprocess.py")
    assert code == 0, text
    record = read_record(tmp_path / "work" / "processed" / "run.json")
    said = "\n".join(record.warnings)
    assert record.warnings_count == 5
    assert f"{train['Name'][0]}: unreadable picture" in said
    assert f"{test['Name'][0]}: no such picture" in said
    assert f"of pictures that are not used for training: {train['Name'][0]}" in said
    assert f"1 boxes reach out of their picture and were clipped: {train['Name'][1]}" in said
    assert f"1 pictures have another HeadCount than boxes; HeadCount is used: {train['Name'][2]}" in said
    pictures = pd.read_parquet(tmp_path / "work" / "processed" / "pictures.parquet")
    assert len(pictures) == len(train) + len(test)
    assert (pictures["width"] == 0).sum() == 2


def test_the_wrong_folder(stage: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, text = stage("1_preprocess.py", data=tmp_path / "empty")
    assert code == 2
    assert "train.csv is missing" in text


def test_files_that_are_no_weights(stage: Command, data: Path, tmp_path: Path) -> None:
    assert stage("1_preprocess.py")[0] == 0
    code, text = stage("2_train_folds.py", "--weights", str(tmp_path / "nowhere"))
    assert (code, len(text.strip().splitlines())) == (2, 1)
    assert "nowhere: no such file or folder" in text
    (tmp_path / "yolov5n.pt").write_bytes(b"\x80\x02}q\x00.")
    code, text = stage("2_train_folds.py", "--weights", str(tmp_path / "yolov5n.pt"))
    assert code == 2, text
    assert "yolov5n.pt: " in text
    assert "Traceback" not in text
    assert not list((tmp_path / "work").rglob("checkpoint*"))
