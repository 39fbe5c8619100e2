"""The template competition, copied as docs/adding.md says, holds everything that holds for the others."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from common.base.paths import ROOT
from competitions.discovery import SLUGS
from tests.conftest import run_python

SLUG = "bike_demand"
"""Another name than the template's, so that a name left behind is an error."""
OTHER = "bit_trader"
"""A competition that is there already."""
COPIED = ("common", "templates", "docs", "run_all.sh", "environment.sh", "pyproject.toml")
COPIED_TEXT = ("requirements.txt", "constraints.txt", "README.md")
SHARED_TESTS = ("test_every_competition.py", "test_house_rules.py", "test_notebooks.py")
WRAPPER = """#!/usr/bin/env bash
[ "$1 $2" != "-m pip" ] || exit 1
exec {python} "$@"
"""


@pytest.fixture(scope="module")
def root(shared_folder: Path) -> Path:
    """A project of its own, made once: the shared parts, one other competition, and the copied template."""
    root = shared_folder / "template_project"
    with FileLock(shared_folder / "template_project.lock"):
        if not root.exists():
            make_project(root)
    return root


def make_project(root: Path) -> None:
    root.mkdir()
    skip = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in COPIED + COPIED_TEXT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=skip)
        else:
            shutil.copy(source, root / name)
    others = shutil.ignore_patterns("__pycache__", *(set(SLUGS) - {OTHER}))
    shutil.copytree(ROOT / "competitions", root / "competitions", ignore=others)
    (root / "tests").mkdir()
    for file in (ROOT / "tests").glob("*.py"):
        shutil.copy(file, root / "tests" / file.name)
    shutil.copytree(ROOT / "tests" / "network_watch", root / "tests" / "network_watch", ignore=skip)
    commands = copy_commands().replace("name=my_competition", f"name={SLUG}")
    assert commands.count(SLUG) == 1
    subprocess.run(["bash", "-euc", commands], cwd=root, check=True)


def copy_commands() -> str:
    """The shell block of docs/adding.md."""
    (block,) = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / "adding.md").read_text(), re.DOTALL)
    return str(block)


@pytest.fixture(scope="module")
def in_root(root: Path) -> Iterator[Path]:
    """Commands run in the copied project and import from it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("PYTHONPATH", str(root))
        for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_ADDOPTS"):
            patch.delenv(name, raising=False)
        yield root


@pytest.fixture(scope="module")
def tested(in_root: Path) -> str:
    """What pytest said of its own tests and those of all competitions; they leave a trained champion."""
    said = in_root / "tested.txt"
    with FileLock(in_root / "tested.lock"):
        if not said.exists():
            tests = [f"tests/{name}" for name in (SLUG, *SHARED_TESTS)]
            # run_all.sh below is the second run.
            flags = ["-q", "-k", f"{SLUG} and not second_run", "-p", "no:cacheprovider"]
            done = run_python("-m", "pytest", *flags, "--basetemp", in_root / "tried", *tests)
            said.write_text(done.text)
    return said.read_text()


def test_the_copied_template_passes_its_tests_and_those_of_all_competitions(tested: str) -> None:
    (passed,) = re.findall(r"(\d+) passed", tested)
    assert int(passed) > 80, tested
    assert not re.search(r"\d+ (failed|error|skipped)", tested), tested


def test_competitions_are_found_by_their_folder(in_root: Path) -> None:
    code = "from competitions.discovery import SLUGS; print(*SLUGS)"
    assert run_python("-c", code).text.split() == [SLUG, OTHER]
    done = subprocess.run([in_root / "run_all.sh", "--help"], capture_output=True, text=True, check=True)
    assert SLUG in done.stdout
    assert "my_competition" not in done.stdout


def test_no_trace_of_the_template_is_left(root: Path) -> None:
    for folder in ("competitions", "tests", "notebooks"):
        for file in (root / folder).rglob("*"):
            if file.is_file() and SLUG in str(file.relative_to(root)) and file.suffix != ".pyc":
                assert "my_competition" not in file.read_text(encoding="utf-8"), file


def test_run_all_goes_through_it_and_finds_all_done(in_root: Path, tested: str) -> None:
    wrapper = in_root / ".venv" / "bin" / "python"
    wrapper.parent.mkdir(parents=True)
    wrapper.write_text(WRAPPER.format(python=sys.executable))
    wrapper.chmod(0o755)
    script = 'echo "$PWD $(cat requirements.txt constraints.txt pyproject.toml | cksum)" >.venv/installed'
    subprocess.run(["bash", "-c", script], check=True)
    tried = in_root / "tried"
    command = ["./run_all.sh", SLUG, "--data", str(tried / "sample"), "--work", str(tried / "work")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "running" not in done.stdout
    assert done.stdout.count("done already") == 3 + 12 + 3 + 3, "four stages of the champion and its parents"
    assert re.search(rf"^{SLUG}\s+champion\s+F1\s.*valid", done.stdout, re.MULTILINE), done.stdout


def test_figures_are_kept_by_report_readme(in_root: Path, tested: str, tmp_path: Path) -> None:
    readme = in_root / "competitions" / SLUG / "README.md"
    code = "from common.report.results_table import paper_table\n"
    code += f"from competitions.{SLUG}.competition import COMPETITION\nprint(paper_table(COMPETITION, []))"
    never_run = run_python("-c", code).text.strip()
    assert f"<!-- results -->\n\n{never_run}\n\n<!-- /results -->" in readme.read_text()
    shutil.copytree(in_root / "tried" / "work" / SLUG, tmp_path / "work" / SLUG)
    done = run_python("-m", "competitions", "report", SLUG, "--readme", "--work", tmp_path / "work")
    assert done.code == 0, done.text
    assert (in_root / "results" / f"{SLUG}.csv").read_text().count("\n") == 4
    assert (in_root / "docs" / f"{SLUG}.png").is_file()
    table = readme.read_text().partition("<!-- /results -->")[0]
    assert [f"| `{name}` |" in table for name in ("champion", "logistic_ratios")] == [True, True]
    assert "Not run: 6 of the experiments" in table
    assert f"[{SLUG}](competitions/{SLUG})" in (in_root / "README.md").read_text()


def test_experiments_are_described(in_root: Path) -> None:
    done = run_python("-m", "competitions", "experiments", SLUG, "--json")
    described = {one["name"]: one for one in json.loads(done.text)}
    assert described["champion"]["settings"]["parents"] == ["lightgbm_ratios", "logistic_ratios"]
    assert described["lightgbm_ratios"]["settings"]["features"] == {"ratios": True}
    assert described["lightgbm_leaves4_min40"]["settings"]["model"]["options"]["num_leaves"] == 4
    assert all(one["idea"] for one in described.values())
