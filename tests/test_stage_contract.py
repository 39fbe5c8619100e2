"""The stage contract, on a competition of ten numbers."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.base.errors import InputError
from common.base.paths import ROOT, WorkPaths, resume_dir_of
from common.report.evaluation import finished_experiments
from common.run.competition import Competition
from common.run.own_data import own_data_name
from common.run.resume import file_lock, prepare_resume_dir
from common.run.run_record import hash_path, read_record
from common.run.stage import Stage
from common.run.trained import trained_experiment
from tests import toy_competition as toy
from tests.conftest import outcome, written_files

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
            "make_submission": (toy.make_submission, None),
        }
        return outcome(
            lambda: Stage(competition, stage, "Doc of the stage.").run(
                *methods[stage], argv=["--work", str(folder / "work" / "toy"), *argv]
            ),
            capsys,
        )

    return call


def test_sample_data_are_made_on_first_use(command: Command, folder: Path) -> None:
    code, text = command("preprocess")
    assert code == 0
    assert "no --data" in text
    assert (folder / "work" / "toy" / "sample_data" / "truth" / "y.json").is_file()
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
    assert not list(folder.glob("work/toy/**/*.resume"))


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
    data = folder / "work" / "toy" / "sample_data"
    (data / "kill").touch()
    code, text = command("train_folds", "--experiment", "double")
    assert code == 130
    assert "goes on" in text
    code, text = command("train_folds", "--experiment", "double")
    assert "fold 0: resuming" in text
    assert read_record(folder / "work" / "toy" / "double" / "fold0" / "run.json").metrics == {"steps": 1.0}


def test_one_fold_alone(command: Command) -> None:
    command("preprocess")
    code, text = command("train_folds", "--experiment", "double", "--fold", "1")
    assert code == 0
    assert "still to train: fold0" in text
    code, text = command("train_folds", "--experiment", "double", "--fold", "7")
    assert code == 2
    assert "folds 0 to 1" in text


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_damaged_outputs_are_made_again(command: Command, folder: Path) -> None:
    command("preprocess")
    command("train_folds", "--experiment", "double")
    flip_a_bit(folder / "work" / "toy" / "double" / "fold0" / "oof.json")
    text = command("train_folds", "--experiment", "double")[1]
    assert "fold0/oof.json is not as it was written, running again" in text
    assert "fold 1: done already" in text


def test_nothing_is_made_from_a_damaged_file(command: Command, folder: Path) -> None:
    command("preprocess")
    processed = folder / "work" / "toy" / "processed" / "numbers.json"
    flip_a_bit(processed)
    code, text = command("train_folds", "--experiment", "double")
    assert code == 2
    assert "numbers.json: missing, or not as 1_preprocess.py wrote it" in text
    assert len(text.strip().splitlines()) == 1
    assert "running again" in command("preprocess")[1]
    assert command("train_folds", "--experiment", "double")[0] == 0
    processed.unlink()
    assert command("train_folds", "--experiment", "double")[0] == 0, "what is done needs no earlier file"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--experiment", "champ"], ["unknown experiment 'champ'", "champion, double"]),
        (["--data", "/nowhere/at/all"], ["does not exist", "numbers.json"]),
        (["--data", __file__], ["must be a folder"]),
        (["--fold", "1"], ["--fold is for 2_train_folds.py"]),
        (["--data", ".", "--work", "./work"], ["lies in --data", "only read"]),
        (["--data", ".", "--work", "."], ["lies in --data", "only read"]),
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
    assert written_files(folder / "work") == []


def test_help_tells_the_method_the_flags_and_the_experiments(command: Command) -> None:
    code, text = command("infer", "--help")
    assert code == 0
    for word in ("Doc of the stage.", "--experiment", "--device", "double"):
        assert word in text


def test_again_repeats_and_other_code_is_reported(command: Command, folder: Path) -> None:
    command("preprocess")
    record = folder / "work" / "toy" / "processed" / "run.json"
    before = record.read_text()
    assert "other code" not in command("preprocess")[1]
    code = read_record(record).code
    record.write_text(before.replace(code, "f" * len(code)))
    assert "done already" in command("preprocess")[1]
    assert "made by other code; --again repeats it" in command("preprocess")[1]
    text = command("preprocess", "--again")[1]
    assert text.count("running again") == 1
    assert "other code" not in command("preprocess")[1]


def test_an_edited_input_of_the_same_size_is_noticed(command: Command, folder: Path) -> None:
    command("preprocess")
    command("train_folds", "--experiment", "double")
    data = folder / "work" / "toy" / "sample_data"
    numbers, record = data / "numbers.json", folder / "work" / "toy" / "processed" / "run.json"
    status = numbers.stat()
    numbers.write_text(numbers.read_text().replace("2021", "9021"))
    os.utime(numbers, ns=(status.st_atime_ns, status.st_mtime_ns))
    (data / "notes.txt").write_text("no stage reads this")
    hash_path.cache_clear()
    assert "running again" in command("preprocess")[1]
    assert "9021" in (record.parent / "numbers.json").read_text()
    assert command("train_folds", "--experiment", "double")[1].count("running again") == 3
    (data / "notes.txt").write_text("nor this")
    hash_path.cache_clear()
    assert "running" not in command("preprocess")[1]


def test_a_replaced_image_is_noticed_and_a_copied_folder_trains_nothing_again(
    command: Command, folder: Path
) -> None:
    command("preprocess")
    command("train_folds", "--experiment", "double")
    pictures = folder / "work" / "toy" / "sample_data" / "pictures"
    pictures.mkdir()
    for content in (b"one", b"two"):
        (pictures / "a.png").write_bytes(content)
        hash_path.cache_clear()
        assert "running again" in command("preprocess")[1]
    # The processed data came out the same, so the models are still right.
    assert "running" not in command("train_folds", "--experiment", "double")[1]


# ---- two processes at once, kills


def test_a_refused_process_leaves_the_running_one_alone(command: Command, folder: Path) -> None:
    """The second and the third are refused, and the first ends as if it had been alone."""
    command("preprocess")
    work = folder / "work" / "toy"
    unit = work / "double" / "fold0" / "run.json"
    refused = "another process is at the same work"
    with file_lock(WorkPaths(work).lock(unit), "first"):
        prepare_resume_dir(resume_dir_of(unit), "hash of the first")
        before = sorted(path.name for path in resume_dir_of(unit).iterdir())
        for _ in range(2):
            code, text = command("train_folds", "--experiment", "double")
            assert (code, refused in text) == (2, True), text
            assert sorted(path.name for path in resume_dir_of(unit).iterdir()) == before
    assert command("train_folds", "--experiment", "double")[0] == 0


def test_seconds_of_killed_tries_are_counted(command: Command, folder: Path) -> None:
    command("preprocess")
    data = folder / "work" / "toy" / "sample_data"
    (data / "kill").touch()
    assert command("train_folds", "--experiment", "double", "--fold", "0")[0] == 130
    fold = folder / "work" / "toy" / "double" / "fold0" / "run.json"
    (resume_dir_of(fold) / "seconds").write_text("100.0")
    assert command("train_folds", "--experiment", "double", "--fold", "0")[0] == 0
    assert 100 <= read_record(fold).seconds < 110


def test_two_first_runs_make_one_sample(folder: Path) -> None:
    code = (
        "from pathlib import Path; from tests import toy_competition as toy\n"
        "from common.run.sample_data import make_sample_data\n"
        f"make_sample_data(toy.competition(Path('.')), Path({str(folder / 'sample')!r}))\n"
    )
    two = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    printed = [process.communicate(timeout=60)[0] for process in two]
    assert [process.returncode for process in two] == [0, 0], printed
    assert sorted("made already" in text for text in printed) == [False, True]
    assert (folder / "sample" / "numbers.json").is_file()


def test_results_of_two_runs_are_not_mixed(command: Command, folder: Path) -> None:
    """Out-of-fold predictions of one seed and a submission of another do not belong together."""
    competition = toy.competition(folder / "code")
    stages = ("preprocess", "train_folds", "infer", "make_submission")
    for stage in stages:
        assert command(stage)[0] == 0
    assert [found.stale for found in finished_experiments(competition, folder / "work" / "toy")] == [(), ()]
    assert command("train_folds", "--seed", "5")[0] == 0
    champion, double = finished_experiments(competition, folder / "work" / "toy")
    assert any("infer is of an earlier run: oof changed" in line for line in double.stale), double.stale
    assert any("double/oof changed" in line for line in champion.stale), champion.stale
    for stage in stages[2:]:
        assert command(stage)[0] == 0
    assert [found.stale for found in finished_experiments(competition, folder / "work" / "toy")] == [(), ()]


# ---- --set


def test_set_makes_a_run_of_its_own(command: Command, folder: Path) -> None:
    command("preprocess")
    command("train_folds", "--experiment", "double")
    named = (folder / "work" / "toy" / "double" / "oof.run.json").read_bytes()
    changed = ("--experiment", "double", "--set", "factor=3.5")
    for stage in ("train_folds", "infer"):
        code, text = command(stage, *changed)
        assert code == 0, text
    (own,) = (folder / "work" / "toy").glob("double+*")
    assert re.fullmatch(r"double\+[0-9a-f]{8}", own.name)
    record = read_record(own / "oof.run.json")
    assert record.experiment["factor"] == 3.5
    assert record.experiment["overrides"] == {"factor": 3.5}
    assert (folder / "work" / "toy" / "double" / "oof.run.json").read_bytes() == named
    assert "done already" in command("infer", *changed)[1]
    # Later stages follow the run's name alone, and so does training.
    for stage in ("train_folds", "infer"):
        code, text = command(stage, "--experiment", own.name)
        assert (code, text.count("running")) == (0, 0), text


def test_set_that_changes_the_preprocessing_keeps_processed_data_apart(
    command: Command, folder: Path
) -> None:
    command("preprocess")
    before = (folder / "work" / "toy" / "processed" / "run.json").read_bytes()
    flags = ("--experiment", "double", "--set", "folds=4")
    for stage in ("preprocess", "train_folds", "infer"):
        code, text = command(stage, *flags)
        assert code == 0, text
    assert (folder / "work" / "toy" / "processed" / "run.json").read_bytes() == before
    (own,) = (folder / "work" / "toy").glob("double+*")
    assert len(list(own.glob("fold?"))) == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("factr=3", "'factr': is no known key"),
        ("factor=yes", "'factor'"),
        ("factor", "expected key=value"),
        ("name=x", "cannot be set"),
        ("factor.depth=2", "'factor'"),
    ],
)
def test_wrong_settings_end_in_one_line(command: Command, folder: Path, text: str, words: str) -> None:
    code, printed = command("preprocess", "--experiment", "double", "--set", text)
    assert code == 2
    assert words in printed
    assert len([line for line in printed.splitlines() if line.startswith("error")]) == 1
    assert not list(folder.glob("work/toy/double*"))


def test_set_of_an_ensemble_cannot_change_the_folds_of_its_parents(command: Command) -> None:
    code, text = command("preprocess", "--set", "folds=4")
    assert code == 2
    assert "set it on them" in text


# ---- data of the user's own


@pytest.fixture
def own_command(folder: Path, command: Command, capsys: pytest.CaptureFixture[str]) -> Command:
    """3_infer with a flag for own data, after the champion was trained."""
    for stage in ("preprocess", "train_folds"):
        assert command(stage)[0] == 0

    def call(*argv: str, needs_training: bool = True) -> tuple[int, str]:
        own = toy.own_data_flags(needs_training)
        stage = Stage(toy.competition(folder / "code"), "infer", "Doc.", own_data=own)
        return outcome(
            lambda: stage.run(toy.infer, argv=["--work", str(folder / "work" / "toy"), *argv]), capsys
        )

    return call


def test_own_data_are_predicted_once_and_recorded(own_command: Command, folder: Path) -> None:
    numbers = folder / "numbers.txt"
    numbers.write_text("1 2 x")
    # Neither raw nor processed data are needed.
    shutil.rmtree(folder / "work" / "toy" / "sample_data")
    shutil.rmtree(folder / "work" / "toy" / "processed")
    code, text = own_command("--numbers", str(numbers))
    assert code == 0, text
    assert "warning: 'x' is no number" in text
    assert "understood: 2 whole numbers between spaces" in text
    assert re.search(r"written: .*champion/numbers/numbers-[0-9a-f]{8}\.txt\n", text)
    out = folder / "work" / "toy" / "champion" / f"{own_data_name('numbers', numbers)}.txt"
    assert out.read_text() == "2.0 4.0"
    record = read_record(out.with_name(f"{out.stem}.run.json"))
    assert record.understood == ["2 whole numbers between spaces"]
    assert (record.stage, record.warnings_count, record.metrics) == ("own_data", 1, {"numbers": 2.0})
    again = own_command("--numbers", str(numbers))[1]
    assert all(words in again for words in ("done already", "understood: 2", "written: "))
    numbers.write_text("1 2 3")
    hash_path.cache_clear()  # a user's next command is another process
    assert "running again" in own_command("--numbers", str(numbers))[1]
    assert out.read_text() == "2.0 4.0 6.0"


def test_a_failing_rerun_keeps_the_earlier_result(own_command: Command, folder: Path) -> None:
    numbers = folder / "numbers.txt"
    numbers.write_text("1 2")
    assert own_command("--numbers", str(numbers))[0] == 0
    out = folder / "work" / "toy" / "champion" / f"{own_data_name('numbers', numbers)}.txt"
    numbers.write_text("x")
    hash_path.cache_clear()
    assert own_command("--numbers", str(numbers))[0] == 2
    assert (out.read_text(), read_record(out.with_suffix(".run.json")).metrics) == (
        "2.0 4.0",
        {"numbers": 2.0},
    )


def test_own_data_of_one_name_do_not_share_a_result(tmp_path: Path) -> None:
    one, other = tmp_path / "a" / "data.csv", tmp_path / "b" / "data.csv"
    names = {own_data_name("k", one), own_data_name("k", other), own_data_name("k", one, {"every": 60})}
    assert len(names) == 3
    assert own_data_name("k", one) == own_data_name("k", tmp_path / "a" / "data.csv")
    odd = own_data_name("k", tmp_path / os.fsdecode(b"caf\xe9 \x1b[2J .csv"))
    assert re.fullmatch(r"k/[\w.-]+-[0-9a-f]{8}", odd)
    assert len(own_data_name("k", tmp_path / ("x" * 250 + ".csv"))) < 100


def test_own_data_want_a_trained_experiment(own_command: Command, folder: Path) -> None:
    numbers = folder / "numbers.txt"
    numbers.write_text("1")
    code, text = own_command("--numbers", str(numbers), "--experiment", "quadruple")
    assert (code, text.count("\n")) == (2, 1), text
    shutil.rmtree(folder / "work" / "toy" / "double")
    code, text = own_command("--numbers", str(numbers))
    assert code == 2
    assert "2_train_folds.py" in text
    assert own_command("--numbers", str(numbers), "--experiment", "double", needs_training=False)[0] == 0


def test_faults_of_own_data_end_in_one_line(own_command: Command, folder: Path) -> None:
    code, text = own_command("--numbers", str(folder / "nowhere.txt"))
    assert code == 2
    assert text.startswith("error: ")
    assert not (folder / "work" / "toy" / "champion" / "numbers").exists()
    assert own_command()[0] == 0, "without the flag the test split is predicted"


def test_a_trained_experiment_is_read_from_its_own_folder(
    command: Command, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for stage in ("preprocess", "train_folds"):
        command(stage)
    copied = folder / "copied"
    for name in ("champion", "double"):
        shutil.copytree(folder / "work" / "toy" / name, copied / name)
    shutil.rmtree(folder / "work")
    trained = trained_experiment(toy.competition(folder / "code"), "champion", copied)
    assert trained.decision == {"threshold": 0.5}
    assert [parent.settings.factor for parent in trained.parents()] == [2.0]
    assert all(path.is_dir() for path in trained.fold_folders)
    model = next(path for path in written_files(copied / "double" / "fold0") if path.name != "run.json")
    model.write_bytes(model.read_bytes() + b" ")
    with pytest.raises(InputError, match="cut short or changed since 2_train_folds"):
        trained_experiment(
            toy.competition(folder / "code"), "double", shutil.copytree(copied, folder / "again")
        )
    with pytest.raises(InputError, match="unknown experiment 'triple'; toy has: champion, double"):
        trained_experiment(toy.competition(folder / "code"), "triple", copied)
    trained.log_sample_data()
    assert "note: champion was trained on the synthetic sample data" in capsys.readouterr().out
    shutil.rmtree(copied / "double")
    with pytest.raises(InputError, match=r"2_train_folds\.py --experiment double"):
        trained.parents()
