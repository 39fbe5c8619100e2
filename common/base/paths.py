"""Every path that the project reads or writes, as a function of competition, experiment and fold."""

import os
from dataclasses import dataclass
from pathlib import Path

from common.base.errors import InputError

ROOT = Path(__file__).resolve().parent.parent.parent
SAMPLE_MARKER = "SAMPLE_DATA.json"
LOCKS = ".locks"
CACHES = ".caches"


@dataclass(frozen=True)
class WorkPaths:
    """Where one competition writes: everything lies below `work`."""

    work: Path

    def processed(self, variant: str = "") -> Path:
        """Folder of what 1_preprocess made; `variant` tells sets apart that differ by experiment."""
        return self.work / "processed" / variant

    def experiment(self, name: str) -> Path:
        """Folder of one experiment."""
        return self.work / name

    def fold(self, name: str, fold: int) -> Path:
        """Folder of one fold: its model, its out-of-fold predictions and its run.json."""
        return self.experiment(name) / f"fold{fold}"

    def oof_record(self, name: str) -> Path:
        """Run record of the pooled out-of-fold predictions: metrics, thresholds, weights."""
        return self.experiment(name) / "oof.run.json"

    def test(self, name: str, suffix: str) -> Path:
        """Predictions for the test split."""
        return self.experiment(name) / f"test{suffix}"

    def test_record(self, name: str) -> Path:
        """Run record of 3_infer."""
        return self.experiment(name) / "test.run.json"

    def submission(self, name: str, suffix: str) -> Path:
        """The official submission file."""
        return self.experiment(name) / f"submission{suffix}"

    def submission_record(self, name: str) -> Path:
        """Run record of 4_make_submission."""
        return self.experiment(name) / "submission.run.json"

    def lock(self, record: Path) -> Path:
        """Lock file of the unit of work that a run record belongs to; it stays when the work is done."""
        unit = record.relative_to(self.work).as_posix().removesuffix("run.json").rstrip("/.")
        return self.work / LOCKS / f"{unit.replace('/', '.')}.lock"

    def sample_data(self) -> Path:
        """Where the sample data are made when no data are given."""
        return self.work / "sample_data"

    def caches(self) -> Path:
        """Where libraries keep what they would write to the home folder."""
        return self.work / CACHES


def default_work(slug: str) -> Path:
    """work/<slug> in the project's root."""
    return ROOT / "work" / slug


def default_data(slug: str) -> Path:
    """data/<slug> in the project's root: where a user puts the official files."""
    return ROOT / "data" / slug


def resume_dir_of(record: Path) -> Path:
    """Folder of a unit's unfinished work: checkpoints of a training that was stopped, say."""
    stem = record.parent.name if record.name == "run.json" else record.name.removesuffix(".run.json")
    return (record.parent.parent if record.name == "run.json" else record.parent) / f"{stem}.resume"


def is_sample_data(data: Path) -> bool:
    """Whether a data folder was drawn by a sample_data.py."""
    return (data / SAMPLE_MARKER).is_file()


def readable_folder(folder: Path, what: str) -> Path:
    """`folder` as an absolute path; InputError when it is missing, no folder or not readable."""
    folder = folder.expanduser().absolute()
    if not folder.exists():
        raise InputError(f"{display_path(folder)}: {what} does not exist; check the path")
    if not folder.is_dir():
        raise InputError(f"{display_path(folder)}: {what} must be a folder, this is a file")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise InputError(f"{display_path(folder)}: {what} may not be read (permission denied)")
    return folder


def check_utf8(path: Path, flag: str) -> None:
    """InputError for a path that is not UTF-8: the libraries that write tables cannot open such files."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(f"{flag} {path}: the path is not UTF-8; choose a folder of another name") from None


def display_path(path: Path) -> str:
    """`path` for a message: relative to the current folder where that is shorter."""
    path = path.absolute()
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) and not relative.startswith("../..") else str(path)
