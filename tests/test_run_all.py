"""run_all.sh: help and wrong flags; what it runs is tested stage by stage."""

import subprocess

import pytest

from common.base.paths import ROOT
from competitions.discovery import SLUGS
from tests.conftest import run_stage


def run_all(*flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ROOT / "run_all.sh", *flags], capture_output=True, text=True, cwd="/", check=False)


def test_help_lists_the_flags() -> None:
    done = run_all("--help")
    assert done.returncode == 0
    for word in (
        "--experiment",
        "--profile",
        "--data",
        "--work",
        "--weights",
        "--device",
        "--set",
        "etci_flood",
        "shopee_matching",
    ):
        assert word in done.stdout


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["flood"], "unknown competition flood"),
        (["--profil", "full"], "unknown flag --profil"),
        (["--profile", "tiny"], "expected sample or full"),
        (["--device", "tpu"], "expected auto, cpu or cuda"),
        (["--experiment"], "needs a value"),
        (["--set", "epochs"], "expected key=value"),
        (["bit_trader", "--data", "/nowhere"], "/nowhere/bit_trader is missing"),
        (["face_counting", "--weights", "/nowhere"], "--weights /nowhere: no such folder"),
    ],
)
def test_wrong_flags_end_in_one_line(flags: list[str], words: str) -> None:
    done = run_all(*flags)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_settings_go_to_every_stage_and_weights_to_training_alone() -> None:
    script = (ROOT / "run_all.sh").read_text()
    assert 'stage_flags+=(--set "$2")' in script
    for slug in SLUGS:
        training = (ROOT / "competitions" / slug / "2_train_folds.py").read_text()
        done = run_stage(slug, 2, "--help")
        assert ("--weights" in done.text) == ("weights_flag" in training), "run_all.sh looks for weights_flag"
