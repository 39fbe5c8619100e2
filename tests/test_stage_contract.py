"""The stage contract, on a competition of ten numbers."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.base.errors import InputError
from common.run.competition import Competition
from common.run.flags import StageFlags
from common.run.run_record import read_record
from common.run.stage import Stage
from tests import toy_competition as toy

TOML = """
[defaults]
folds = 3
[profiles.sample]
folds = 2
[profiles.full]
[experiments.champion]
about = "the union"
parents = ["double"]
[experiments.double]
factor = 2.0
"""

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "experiments.toml").write_text(TOML)
    return tmp_path


@pytest.fixture
def command(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run one stage of the toy competition; returns exit code and everything printed."""
    competition: Competition = toy.competition(folder / "code")
    monkeypatch.setattr("common.run.stage_inputs.default_data", lambda slug: folder / "data" / slug)

    def call(stage: Any, *argv: str) -> tuple[int, str]:
        methods: dict[str, tuple[Any, Any]] = {
            "preprocess": (toy.preprocess, None),
            "train_folds": (toy.train_fold, toy.pool),
            "infer": (toy.infer, None),
        }
        try:
            Stage(competition, stage, "Doc of the stage.").run(
                *methods[stage], argv=["--work", str(folder / "work" / "toy"), *argv]
            )
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return call


def test_sample_data_are_made_on_first_use(command: Command, folder: Path) -> None:
    code, text = command("preprocess")
    assert code == 0
    assert "no --data" in text
    assert (folder / "work" / "sample_data" / "toy" / "truth" / "y.json").is_file()
    record = read_record(folder / "work" / "toy" / "processed" / "run.json")
    assert record.profile == "sample"
    assert record.sample_data


def test_all_stages_then_nothing_to_do(command: Command, folder: Path) -> None:
    for stage in ("preprocess", "train_folds", "infer"):
        assert command(stage)[0] == 0
    for stage, units in (("preprocess", 2), ("train_folds", 6), ("infer", 2)):
        code, text = command(stage)
        assert code == 0
        assert text.count("done already") == units, text
        assert "running" not in text
    for name in ("champion", "double"):
        assert (folder / "work" / "toy" / name / "fold1" / "oof.json").is_file()
    assert not list(folder.glob("work/toy/**/*.unfinished"))


def test_a_later_stage_names_the_missing_one(command: Command) -> None:
    code, text = command("train_folds")
    assert code == 2
    assert "1_preprocess.py" in text
    command("preprocess")
    code, text = command("infer")
    assert code == 2
    assert "2_train_folds.py" in text
    assert len(text.strip().splitlines()) == 1


def test_other_settings_run_again(command: Command, folder: Path) -> None:
    command("preprocess")
    command("train_folds", "--experiment", "double")
    file = folder / "code" / "experiments.toml"
    file.write_text(file.read_text().replace("factor = 2.0", "factor = 3.0"))
    code, text = command("train_folds", "--experiment", "double")
    assert code == 0
    assert text.count("running again") == 3


def test_other_folds_want_preprocessing_again(command: Command, folder: Path) -> None:
    command("preprocess")
    code, text = command("train_folds", "--profile", "full")
    assert code == 2
    assert "folds = 2" in text


def test_records_of_other_settings_end_in_one_line(command: Command, folder: Path) -> None:
    command("preprocess")
    record = folder / "work" / "toy" / "processed" / "run.json"
    record.write_text(record.read_text().replace('"factor"', '"former_setting"'))
    code, text = command("train_folds", "--experiment", "double")
    assert code == 2
    assert "former_setting" in text
    assert len(text.strip().splitlines()) == 1


def test_killed_fold_goes_on(command: Command, folder: Path) -> None:
    command("preprocess")
    data = folder / "work" / "sample_data" / "toy"
    (data / "kill").touch()
    code, text = command("train_folds", "--experiment", "double")
    assert code == 130
    assert "goes on" in text
    code, text = command("train_folds", "--experiment", "double")
    assert "fold 0: going on" in text
    assert read_record(folder / "work" / "toy" / "double" / "fold0" / "run.json").metrics == {"steps": 1.0}


def test_one_fold_alone(command: Command) -> None:
    command("preprocess")
    code, text = command("train_folds", "--experiment", "double", "--fold", "1")
    assert code == 0
    assert "still to train: fold0" in text
    code, text = command("train_folds", "--experiment", "double", "--fold", "7")
    assert code == 2
    assert "folds 0 to 1" in text


def test_damaged_outputs_are_made_again(command: Command, folder: Path) -> None:
    command("preprocess")
    command("train_folds", "--experiment", "double")
    (folder / "work" / "toy" / "double" / "fold0" / "oof.json").write_text("")
    text = command("train_folds", "--experiment", "double")[1]
    assert "fold 0: settings or inputs changed" in text or "fold 0: its files" in text
    assert "fold 1: done already" in text


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--experiment", "champ"], ["unknown experiment 'champ'", "champion, double"]),
        (["--data", "/nowhere/at/all"], ["does not exist", "numbers.json"]),
        (["--data", __file__], ["must be a folder"]),
        (["--fold", "1"], ["--fold is for 2_train_folds.py"]),
    ],
)
def test_wrong_flags_end_in_one_line(command: Command, argv: list[str], words: list[str]) -> None:
    code, text = command("preprocess", *argv)
    assert code == 2
    assert all(word in text for word in words), text
    assert "Traceback" not in text


def test_data_that_differ_from_the_processed_are_refused(command: Command, folder: Path) -> None:
    command("preprocess")
    other = folder / "other"
    other.mkdir()
    code, text = command("train_folds", "--data", str(other))
    assert code == 2
    assert "was run on" in text


def test_a_failed_stage_leaves_nothing(command: Command, folder: Path) -> None:
    empty = folder / "empty"
    empty.mkdir()
    code, _ = command("preprocess", "--data", str(empty))
    assert code == 2
    left = [path for path in (folder / "work").rglob("*") if path.is_file()]
    assert left == []


def test_help_tells_the_method_the_flags_and_the_experiments(command: Command) -> None:
    code, text = command("infer", "--help")
    assert code == 0
    for word in ("Doc of the stage.", "--experiment", "--device", "double"):
        assert word in text


def test_own_flags_may_ask_for_something_else(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    competition = toy.competition(folder / "code")
    asked: list[str] = []

    def instead(flags: StageFlags) -> bool:
        asked.append(flags.experiment)
        if flags.stage_args.broken:
            raise InputError("own.json: broken")
        return True

    def add_flags(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--broken", action="store_true")

    stage = Stage(competition, "infer", "Doc of the stage.", add_flags, instead=instead)
    stage.run(toy.infer, argv=["--work", str(folder / "work"), "--experiment", "double"])
    assert asked == ["double"]
    with pytest.raises(SystemExit) as stop:
        stage.run(toy.infer, argv=["--work", str(folder / "work"), "--broken"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: own.json: broken\n"
    assert not (folder / "work").exists()
