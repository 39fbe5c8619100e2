"""What the tests of all competitions share: the real command line on small sample data."""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
from filelock import FileLock

from common.base.paths import CACHES, LOCKS, ROOT, WorkPaths
from common.run.sample_data import make_sample_data
from competitions.discovery import competition_of

SCALE = 0.25
hypothesis.settings.register_profile("any_machine", deadline=None)  # a busy machine is no fault of the code
hypothesis.settings.load_profile("any_machine")


@dataclass(frozen=True)
class Finished:
    """One command that has ended."""

    code: int
    text: str
    cpu_seconds: float
    """Computing time, which other processes do not lengthen."""


def run_python(*arguments: str | Path, timeout: float = 600) -> Finished:
    """Run the interpreter as a user would, warnings off; AssertionError when it reaches for the network."""
    environment = dict(os.environ, PYTHONWARNINGS="ignore")
    environment.pop("CI", None)  # some libraries report their use, but not from there
    # matplotlib lists the fonts once, not for each work folder
    environment.setdefault("MPLCONFIGDIR", str(Path(tempfile.gettempdir()) / "matplotlib_of_tests"))
    paths = [str(Path(__file__).with_name("network_watch")), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "network.log"
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment | {"NETWORK_WATCH": str(log)},
        )
        assert not log.exists(), log.read_text()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Finished(done.returncode, done.stdout + done.stderr, cpu_seconds)


def outcome(call: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and printed text of a command that is called in this process."""
    try:
        call()
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    printed = capsys.readouterr()
    return code, printed.out + printed.err


def run_stage(slug: str, number: int, *flags: str | Path, timeout: float = 600) -> Finished:
    """Run stage `number` of a competition by its path."""
    (script,) = (ROOT / "competitions" / slug).glob(f"{number}_*.py")
    return run_python(script, *flags, timeout=timeout)


def written_files(folder: Path) -> list[Path]:
    """Every file below `folder` but the lock files, which are empty and stay, and libraries' caches."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if not {LOCKS, CACHES} & set(path.relative_to(folder).parts)]


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all processes that run the tests side by side; each alone has a folder below it."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def sample(shared_folder: Path) -> Callable[[str], Path]:
    """Small sample data of a competition, made once; a copy of them may be damaged, they may not."""

    def make(slug: str) -> Path:
        folder = shared_folder / "sample" / slug
        with FileLock(shared_folder / f"sample.{slug}.lock"):
            if not folder.exists():
                make_sample_data(competition_of(slug), folder, scale=SCALE)
        return folder

    return make


@pytest.fixture(scope="session")
def trained(sample: Callable[[str], Path], shared_folder: Path) -> Callable[[str], WorkPaths]:
    """The champion of a competition after stages 1 to 4 on the small sample data, run once."""

    def run(slug: str) -> WorkPaths:
        work = shared_folder / "work" / slug
        with FileLock(shared_folder / f"work.{slug}.lock"):
            complete = shared_folder / f"work.{slug}.complete"
            for number in () if complete.exists() else (1, 2, 3, 4):
                done = run_stage(slug, number, "--data", sample(slug), "--work", work)
                assert done.code == 0, done.text
            complete.touch()
        return WorkPaths(work)

    return run
