"""Stages 1 to 4 of every competition through the real command line, on small sample data."""

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from common.base.paths import ROOT, WorkPaths
from common.run.experiments import experiment_names, read_experiments
from common.run.run_record import read_record
from common.run.sample_data import make_sample_data
from competitions.discovery import SLUGS, competition_of
from tests.conftest import run_python, run_stage, written_files

Sample = Callable[[str], Path]
Trained = Callable[[str], WorkPaths]
each = pytest.mark.parametrize("slug", SLUGS)
STAGE_OF = {"preprocess": 1, "train_folds": 2, "out_of_fold": 2, "infer": 3, "make_submission": 4}


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@each
def test_sample_data_depend_on_the_seed_alone(slug: str, tmp_path: Path) -> None:
    for folder, seed in (("one", 1), ("same", 1), ("other", 2)):
        make_sample_data(competition_of(slug), tmp_path / folder, seed=seed, scale=0.1)
    one, same, other = (files_below(tmp_path / folder) for folder in ("one", "same", "other"))
    assert one == same
    assert one != other
    assert any(name.startswith("truth/") for name in one)


@each
def test_every_experiment_parses_in_both_profiles(slug: str) -> None:
    competition = competition_of(slug)
    names = experiment_names(competition.experiments_file)
    assert "champion" in names
    for name in names:
        for profile in ("sample", "full"):
            settings = competition.experiment(name, profile)
            assert settings.about
            assert set(settings.parents) <= set(names) - {name}


@each
def test_all_stages_end_in_a_valid_submission(slug: str, sample: Sample, trained: Trained) -> None:
    competition = competition_of(slug)
    submission = trained(slug).submission("champion", competition.submission_suffix)
    assert competition.validate(submission, sample(slug)) == []
    done = run_python("-m", "competitions", "validate", slug, submission, "--data", sample(slug))
    assert (done.code, "a valid" in done.text) == (0, True), done.text
    truth = sample(slug) / competition.truth_name
    done = run_python("-m", "competitions", "score", slug, submission, "--truth", truth)
    assert done.code == 0, done.text
    value = float(re.findall(rf"^{re.escape(competition.metric)}: (\S+)$", done.text, re.MULTILINE)[0])
    assert value == pytest.approx(competition.score(submission, truth).value, abs=1e-5)


@each
def test_a_second_run_does_nothing(slug: str, sample: Sample, trained: Trained) -> None:
    work = trained(slug).work
    before = {path: path.stat().st_mtime_ns for path in work.rglob("*") if path.is_file()}
    for number in (1, 2, 3, 4):
        done = run_stage(slug, number, "--data", sample(slug), "--work", work)
        assert done.code == 0, done.text
        assert "done already" in done.text
        assert "running" not in done.text
        assert done.cpu_seconds < 3, "a finished stage must answer at once"
    assert before == {path: path.stat().st_mtime_ns for path in work.rglob("*") if path.is_file()}


@each
def test_records_and_docstrings_name_what_was_written(slug: str, trained: Trained) -> None:
    """Every output matches a pattern under Writes, and every pattern has a file (or another experiment's)."""
    competition, work = competition_of(slug), trained(slug).work
    patterns: dict[int, list[str]] = {}
    for number in (1, 2, 3, 4):
        (script,) = competition.folder.glob(f"{number}_*.py")
        written = script.read_text().split("Writes", 1)[1].split('"""', 1)[0]
        patterns[number] = re.findall(r"(?:^|\s)(<work>/\S+)", written)
        assert patterns[number], script
    unrecorded = {path for path in written_files(work) if not path.name.endswith("run.json")}
    for file in work.rglob("*run.json"):
        record = read_record(file)
        expected = [as_regex(pattern) for pattern in patterns[STAGE_OF[record.stage]]]
        for output in record.outputs:
            assert any(re.fullmatch(pattern, output.path) for pattern in expected), (
                record.stage,
                output.path,
            )
            unrecorded.discard(work / output.path)
        for key in ("seconds", "peak_memory_mb"):
            assert getattr(record, key) >= 0
    assert not unrecorded, "files that no record names"


def as_regex(pattern: str) -> str:
    escaped = re.escape(pattern.removeprefix("<work>/"))
    return re.sub(r"<\w+>", r"[^/]+", escaped)


@each
def test_same_seed_same_submission_and_the_truth_is_never_read(
    slug: str, sample: Sample, trained: Trained, tmp_path: Path
) -> None:
    competition = competition_of(slug)
    data = tmp_path / "data"
    shutil.copytree(sample(slug), data)
    shutil.rmtree(data / "truth")
    for number in (1, 2, 3, 4):
        done = run_stage(slug, number, "--data", data, "--work", tmp_path / "work")
        assert done.code == 0, done.text
    once = trained(slug).submission("champion", competition.submission_suffix)
    again = WorkPaths(tmp_path / "work").submission("champion", competition.submission_suffix)
    assert once.read_bytes() == again.read_bytes()


@each
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_help_is_quick_and_useful(slug: str, number: int) -> None:
    done = run_stage(slug, number, "--help")
    assert done.cpu_seconds < 3
    assert done.code == 0
    for word in (
        "--experiment",
        "--data",
        "--work",
        "--profile",
        "--fold",
        "--device",
        "--seed",
        "--set",
        "Writes",
        "champion",
    ):
        assert word in done.text


@each
def test_mistakes_of_a_newcomer_end_in_one_line(slug: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    work = tmp_path / "work"
    for number, flags, words in (
        (1, ["--data", tmp_path / "missing"], "does not exist"),
        (1, ["--data", empty], ""),
        (1, ["--data", Path(__file__)], "must be a folder"),
        (1, ["--experiment", "winner"], "unknown experiment 'winner'"),
        (1, ["--data", empty, "--work", Path(__file__) / "work"], ""),
        (2, [], "1_preprocess.py"),
        (3, [], "2_train_folds.py"),
        (4, [], "2_train_folds.py"),
    ):
        done = run_stage(slug, number, "--work", work, *flags)
        assert done.code == 2, done.text
        errors = [line for line in done.text.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, done.text
        assert words in errors[0]
        assert "Traceback" not in done.text
        assert written_files(work) == []


@each
def test_report_shows_the_run(slug: str, trained: Trained, tmp_path: Path) -> None:
    shutil.copytree(trained(slug).work, tmp_path / slug)
    done = run_python("-m", "competitions", "report", slug, "--work", tmp_path)
    assert done.code == 0, done.text
    assert re.search(rf"^{slug}\s+champion.*valid", done.text, re.MULTILINE)
    page = (tmp_path / "report" / "index.html").read_text()
    assert page.count("data:image/") >= 2
    assert "https://" not in re.sub(r'src="data:[^"]+"', "", page)
    entries = read_experiments(competition_of(slug).experiments_file)
    printed = [name for name, entry in entries.items() if "paper" in entry]
    assert page.count("not in this run") == len(printed), "each row of the paper's table once"
    for picture in (tmp_path / "report" / "figures").rglob("*.*"):
        assert picture.stat().st_size < 200_000, picture
    assert "up to date" in run_python("-m", "competitions", "report", slug, "--work", tmp_path).text


@pytest.mark.parametrize("slug", ["face_counting"])
def test_a_killed_training_goes_on_and_ends_in_the_same_submission(
    slug: str, sample: Sample, trained: Trained, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    assert run_stage(slug, 1, "--data", sample(slug), "--work", work).code == 0
    (script,) = (ROOT / "competitions" / slug).glob("2_*.py")
    process = subprocess.Popen([sys.executable, script, "--work", work], stdout=subprocess.DEVNULL)
    checkpoint = work / "champion" / "fold0.resume" / "last.ckpt"
    try:
        deadline = time.monotonic() + 300
        while not checkpoint.is_file() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert checkpoint.is_file(), "the training must be killed in its midst"
    done = run_stage(slug, 2, "--work", work)
    assert "fold 0: resuming" in done.text
    for number in (3, 4):
        assert run_stage(slug, number, "--work", work).code == 0
    suffix = competition_of(slug).submission_suffix
    whole = trained(slug).submission("champion", suffix).read_bytes()
    assert WorkPaths(work).submission("champion", suffix).read_bytes() == whole
