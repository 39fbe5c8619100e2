"""The stages called from a notebook: each in a process of its own, as on the command line."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from common.base.atomic import atomic_folder
from common.base.console import log
from common.base.errors import InputError
from common.base.paths import ROOT
from common.run.competition import Competition
from common.run.job import SCRIPTS
from common.run.trained import trained_experiment


def run_stages(
    slug: str,
    work: Path | str,
    *,
    experiment: str = "champion",
    data: Path | str | None = None,
    flags: tuple[str, ...] = (),
) -> None:
    """Run the four scripts of a competition; what is done already is not done again.

    A process of its own for each stage keeps torch and tensorflow apart, and the notebook's memory free.

    Parameters
    ----------
    work : where everything is written.
    data : folder in the official layout. None: <slug> in the folder that the environment variable
        COMPETITIONS_DATA names, else as on the command line: data/<slug>, else sample data.
    flags : further flags of every stage, `("--set", "training.epochs=3")`.

    Raises
    ------
    InputError : a stage failed; the message is its last line.
    """
    if data is None and "COMPETITIONS_DATA" in os.environ:
        data = Path(os.environ["COMPETITIONS_DATA"]) / slug
    for script in SCRIPTS.values():
        command = [sys.executable, str(ROOT / "competitions" / slug / script), "--experiment", experiment]
        command += ["--work", str(work), *flags]
        if data is not None:
            command += ["--data", str(data)]
        _run(command)


def copy_trained(
    competition: Competition[Any], work: Path | str, to: Path | str, experiment: str = "champion"
) -> Path:
    """Copy the folders of a trained experiment and of its parents, and nothing else; returns `to`.

    `load(experiment, work=to)` predicts from them alone. A folder that is there already is replaced.
    """
    trained = trained_experiment(competition, experiment, work)
    for parent in trained.parents():
        copy_trained(competition, work, to, parent.settings.name)
    with atomic_folder(Path(to).expanduser().absolute() / trained.settings.name) as folder:
        shutil.copytree(trained.folder, folder, dirs_exist_ok=True)
    return Path(to)


def _run(command: list[str]) -> None:
    last = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:  # noqa: S603
        assert process.stdout is not None  # noqa: S101
        for line in process.stdout:
            log(line.rstrip())
            last = line.strip() or last
    if process.returncode != 0:
        raise InputError(f"{Path(command[1]).name} ended with exit code {process.returncode}: {last}")
