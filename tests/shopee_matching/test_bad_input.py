"""Mistakes that a newcomer makes, through the real stages: one line, exit code 2, nothing left."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from common.run.run_record import read_record
from competitions.shopee_matching.competition import COMPETITION
from competitions.shopee_matching.sample.sample_data import write_sample_data

STAGES = ("1_preprocess", "2_train_folds", "3_infer", "4_make_submission")


def stage(name: str, work: Path, *flags: str) -> tuple[int, str]:
    script = COMPETITION.folder / f"{name}.py"
    command = [sys.executable, str(script), "--work", str(work), *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def data(catalogue: Path, tmp_path: Path) -> Path:
    """A copy of the sample catalogue, to be damaged."""
    return Path(shutil.copytree(catalogue, tmp_path / "data"))


def rewrite(table: Path, column: str, row: int, value: str) -> None:
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows[row][column] = value
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def column_missing(data: Path) -> None:
    table = data / "train.csv"
    table.write_text(table.read_text().replace("label_group", "group", 1))


def cut_short(data: Path) -> None:
    table = data / "test.csv"
    content = table.read_text()
    table.write_text(content[: content.rindex(",")])


def wrong_folder(data: Path) -> None:
    shutil.rmtree(data)
    (data / "holiday").mkdir(parents=True)


def id_twice(data: Path) -> None:
    table = data / "test.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines, lines[-1]]) + "\n")


def path_trick(data: Path) -> None:
    rewrite(data / "test.csv", "image", 3, "../truth/test.csv")


def link_out(data: Path) -> None:
    picture = next((data / "train_images").iterdir())
    picture.unlink()
    picture.symlink_to("/etc/hostname")


def labelled_test_listing(data: Path) -> None:
    with (data / "test.csv").open(newline="") as file:
        name = next(csv.DictReader(file))["posting_id"]
    rewrite(data / "train.csv", "posting_id", 0, name)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (column_missing, ["train.csv", "'label_group' is missing"]),
        (cut_short, ["test.csv", "cut short"]),
        (wrong_folder, ["test.csv", "no such file"]),
        (id_twice, ["test.csv", "more than once"]),
        (path_trick, ["test.csv", "'../truth/test.csv' is refused"]),
        (link_out, ["train.csv", "leads out"]),
        (labelled_test_listing, ["1 listings are in the training split and in the test split"]),
    ],
)
def test_bad_data_end_in_one_line(data: Path, tmp_path: Path, damage, words: list[str]) -> None:  # type: ignore[no-untyped-def]
    damage(data)
    work = tmp_path / "work"
    code, text = stage("1_preprocess", work, "--data", str(data), "--experiment", "nfnet_arcface")
    assert code == 2, text
    errors = [line for line in text.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert all(word in errors[0] for word in words), errors
    assert "Traceback" not in text
    assert [path for path in work.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_corrupt_and_missing_pictures_are_warnings(data: Path, tmp_path: Path) -> None:
    pictures = sorted((data / "train_images").iterdir())
    pictures[0].write_bytes(pictures[0].read_bytes()[:500])
    pictures[1].unlink()
    work = tmp_path / "work"
    code, text = stage(
        "1_preprocess", work, "--data", str(data), "--experiment", "nfnet_arcface", "--profile", "sample"
    )
    assert code == 0, text
    record = read_record(work / "processed" / "images64px" / "run.json")
    assert record.warnings_count == 2
    assert any(pictures[0].name in line for line in record.warnings)
    assert any(pictures[1].name in line for line in record.warnings)
    assert 0 < record.metrics["train_with_image"] < 1


@pytest.mark.parametrize("labelled", [True, False])
def test_titles_and_hashes_alone_make_a_valid_submission(
    tmp_path: Path, catalogue: Path, labelled: bool
) -> None:
    """Folders without pictures, and the official dummy folder without train.csv, go end to end.

    What is trained there matches a catalogue with pictures as well.
    """
    data, work = tmp_path / "data", tmp_path / "work"
    data.mkdir()
    write_sample_data(data, 6, 0.1)
    shutil.rmtree(data / "test_images")
    shutil.rmtree(data / "train_images")
    if not labelled:
        (data / "train.csv").unlink()
    texts = []
    for name in STAGES:
        code, text = stage(
            name, work, *(("--data", str(data), "--profile", "sample") if name == STAGES[0] else ())
        )
        assert code == 0, text
        texts.append(text)
    assert COMPETITION.validate(work / "champion" / "submission.csv", data) == []
    assert "listings have a readable image, so" in texts[0]
    assert labelled or "train.csv is missing" in texts[0]
    record = read_record(work / "champion" / "oof.run.json")
    assert record.decision["tuned"] is labelled
    networks = {path.parents[1].name for path in work.rglob("checkpoint.safetensors")}
    assert networks == ({"minilm"} if labelled else set()), (
        "nothing is trained on pictures that are not there"
    )
    own = ("--catalogue", str(catalogue / "test.csv"), "--pictures", str(catalogue / "test_images"))
    code, text = stage("3_infer", work, *own)
    assert code == 0, text
    assert "pictures: 20 of 20 rows" in text
    score = COMPETITION.score(work / "champion" / "submission.csv", data / "truth" / "test.csv")
    assert score.value > COMPETITION.baselines(data, data / "truth" / "test.csv")["only oneself"]
