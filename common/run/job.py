"""One unit of a stage's work: what its method is given, and what it hands back."""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal

from common.base.errors import InputError
from common.base.paths import WorkPaths, display_path
from common.files.submission_table import examples
from common.run.competition import Competition
from common.run.experiments import AnyExperiment, Profile
from common.run.run_record import RunRecord

MAX_LOST_SHARE = 0.5
StageName = Literal["preprocess", "train_folds", "infer", "make_submission"]
SCRIPTS: dict[StageName, str] = {
    "preprocess": "1_preprocess.py",
    "train_folds": "2_train_folds.py",
    "infer": "3_infer.py",
    "make_submission": "4_make_submission.py",
}


@dataclass(frozen=True)
class Result:
    """What a stage function returns, for the run record."""

    outputs: list[Path]
    """Every file that it wrote, all below the work folder."""
    metrics: dict[str, float] = field(default_factory=dict)
    decision: dict[str, Any] = field(default_factory=dict)
    """Thresholds and weights tuned on out-of-fold predictions, for later stages."""
    history: list[dict[str, float]] = field(default_factory=list)


@dataclass
class Notes:
    """What a unit of work has to say of its input; the stage prints it and keeps it in the run.json."""

    warnings: list[str] = field(default_factory=list, kw_only=True)
    understood_lines: list[str] = field(default_factory=list, kw_only=True)

    def warn(self, message: str) -> None:
        """Note a fault of the input that does not stop the work; it is counted, recorded and reported."""
        self.warnings.append(message)

    def understood(self, line: str) -> None:
        """Note how the input was read: bands, units, columns, sizes, files left out by number.

        A wrong reading can be seen by these lines.
        """
        self.understood_lines.append(line)


@dataclass
class Job(Notes, Generic[AnyExperiment]):
    """One unit of a stage's work, as its method sees it."""

    competition: Competition[AnyExperiment]
    settings: AnyExperiment
    profile: Profile
    data: Path
    """Raw data, only read."""
    paths: WorkPaths
    resume_dir: Path
    """Folder for unfinished work: it outlives a kill, and goes when the unit is done or changed."""
    seed: int
    device: str
    """auto, cpu or cuda, as asked for."""
    stage_args: argparse.Namespace
    """Flags that this stage alone has."""
    upstream: dict[str, RunRecord]
    """Records of earlier stages: `processed`, `oof`, `test`, `fold0`, `<parent>/oof`, `<parent>/test`."""
    fold: int = -1

    def limit_losses(self, lost: int, total: int, what: str) -> None:
        """InputError when more than `MAX_LOST_SHARE` of the official `what` cannot be used.

        Single damaged items are warnings; where most are lost, the folder is not what it should be.
        """
        if lost > MAX_LOST_SHARE * total:
            first = f"; the first: {self.warnings[0]}" if self.warnings else ""
            raise InputError(
                f"{display_path(self.data)}: {lost} of {total} {what} cannot be used; "
                f"expected {self.competition.expected_data}{first}"
            )

    def separate_splits(self, train: Iterable[str], test: Iterable[str], what: str) -> None:
        """InputError when an item is labelled and to be predicted: scores would not be those of new data."""
        both = sorted(set(train) & set(test))
        if both:
            raise InputError(
                f"{display_path(self.data)}: {len(both)} {what} are in the training split and in the test "
                f"split: {examples(both)}"
            )

    @property
    def processed(self) -> Path:
        """Folder of this experiment's processed data."""
        return self.paths.processed(self.settings.processed_folder())

    @property
    def fold_folder(self) -> Path:
        """Folder of this unit's fold."""
        return self.paths.fold(self.settings.name, self.fold)

    @property
    def fold_folders(self) -> list[Path]:
        """Folders of all folds, in order."""
        return [self.paths.fold(self.settings.name, fold) for fold in range(self.settings.folds)]


Method = Callable[..., Result]
"""Takes a Job."""
