"""Sample data made once, and the real stages run through their command line."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from common.base.paths import ROOT
from common.run.sample_data import make_sample_data
from competitions.bit_trader.competition import COMPETITION

FOLDER = ROOT / "competitions" / "bit_trader"
RunStage = Callable[..., tuple[int, str]]
SCALE = 0.1


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample data at a tenth of their size: 30 training and 15 test samples. Never written to."""
    folder = tmp_path_factory.mktemp("bit_trader") / "sample"
    make_sample_data(COMPETITION, folder, seed=3, scale=SCALE)
    return folder


def call_stage(script: str, *argv: str) -> tuple[int, str]:
    """Run a stage by its path, as a user does; returns exit code and everything printed."""
    command = [sys.executable, str(FOLDER / script), *argv]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def run_stage(tmp_path: Path) -> RunStage:
    """Run a stage in a work folder of the test's own."""
    return partial(_run_in, tmp_path / "work")


def _run_in(work: Path, script: str, *argv: str) -> tuple[int, str]:
    return call_stage(script, "--work", str(work), *argv)


@pytest.fixture(scope="session")
def finished(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work folder of a champion run through all four stages."""
    work = tmp_path_factory.mktemp("finished") / "work"
    for script in ("1_preprocess.py", "2_train_folds.py", "3_infer.py", "4_make_submission.py"):
        argv = ["--data", str(sample)] if script.startswith("1") else []
        code, text = call_stage(script, "--work", str(work), *argv)
        assert code == 0, text
    return work


@pytest.fixture
def eagerly() -> Iterator[None]:
    """Without tensorflow's graphs, whose making takes seconds a network."""
    from competitions.bit_trader.models.silent_keras import tensorflow

    tensorflow.config.run_functions_eagerly(True)
    yield
    tensorflow.config.run_functions_eagerly(False)
