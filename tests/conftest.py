"""What the tests of all competitions share: the real command line on small sample data."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from common.paths import ROOT, WorkPaths
from common.sample_data import make_sample_data
from competitions.__main__ import competition_of

SCALE = 0.25


@dataclass(frozen=True)
class Finished:
    """One command that has ended."""

    code: int
    text: str


def run_python(*arguments: str | Path, timeout: float = 600) -> Finished:
    """Run the interpreter as a user would, warnings off, no network proxies needed."""
    environment = dict(os.environ, PYTHONWARNINGS="ignore")
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment,
    )
    return Finished(done.returncode, done.stdout + done.stderr)


def run_stage(slug: str, number: int, *flags: str | Path, timeout: float = 600) -> Finished:
    """Run stage `number` of a competition by its path."""
    (script,) = (ROOT / "competitions" / slug).glob(f"{number}_*.py")
    return run_python(script, *flags, timeout=timeout)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Small sample data of a competition, made once; a copy of them may be damaged, they may not."""
    root = tmp_path_factory.mktemp("sample")

    def make(slug: str) -> Path:
        if not (root / slug).exists():
            make_sample_data(competition_of(slug), root / slug, scale=SCALE)
        return root / slug

    return make


@pytest.fixture(scope="session")
def trained(
    sample: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], WorkPaths]:
    """The champion of a competition after stages 1 to 4 on the small sample data, run once."""
    root = tmp_path_factory.mktemp("work")

    def run(slug: str) -> WorkPaths:
        if not (root / slug).exists():
            for number in (1, 2, 3, 4):
                done = run_stage(slug, number, "--data", sample(slug), "--work", root / slug)
                assert done.code == 0, done.text
        return WorkPaths(root / slug)

    return run
