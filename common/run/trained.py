"""A trained experiment on disk: what `load` of every competition starts from.

It needs the experiment's own folder below the work folder and those of its parents. It needs neither the raw
data nor the processed arrays, so a copied folder predicts on another machine.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

from common.base.console import log
from common.base.errors import InputError
from common.base.paths import WorkPaths, default_work, display_path
from common.run.competition import Competition
from common.run.experiments import AnyExperiment, experiment_names, unknown_experiment
from common.run.job import SCRIPTS
from common.run.run_record import RunRecord, damaged_outputs, read_record


@dataclass(frozen=True)
class TrainedExperiment(Generic[AnyExperiment]):
    """Settings, tuned decision and fold folders of one trained experiment."""

    competition: Competition[AnyExperiment]
    settings: AnyExperiment
    record: RunRecord
    """The record of its pooled out-of-fold predictions."""
    paths: WorkPaths

    @property
    def decision(self) -> dict[str, Any]:
        """Thresholds and weights tuned on out-of-fold predictions."""
        return self.record.decision

    @property
    def folder(self) -> Path:
        """`<work>/<experiment>`."""
        return self.paths.experiment(self.settings.name)

    @property
    def fold_folders(self) -> list[Path]:
        """Folders of all folds, in order; each holds the fold's model."""
        return [self.paths.fold(self.settings.name, fold) for fold in range(self.settings.folds)]

    def log_sample_data(self) -> None:
        """Say before own data are predicted that models of the synthetic sample data know nothing of them."""
        if self.record.sample_data:
            log(
                f"note: {self.settings.name} was trained on the synthetic sample data; its predictions for "
                "real data show the format, not the quality. Train on official data for real use."
            )

    def parents(self) -> list["TrainedExperiment[AnyExperiment]"]:
        """The experiments that this one combines, in order."""
        return [trained_experiment(self.competition, name, self.paths.work) for name in self.settings.parents]


def trained_experiment(
    competition: Competition[AnyExperiment], name: str = "champion", work: Path | str | None = None
) -> TrainedExperiment[AnyExperiment]:
    """Find a trained experiment below `work` (default: the project's work/<slug>).

    Raises
    ------
    InputError : it was never trained to the end; the message names the command that does so.
    """
    paths = WorkPaths(Path(work or default_work(competition.slug)).expanduser().absolute())
    record_path = paths.oof_record(name)
    if not record_path.is_file():
        known = experiment_names(competition.experiments_file)
        if name.partition("+")[0] not in known:
            raise InputError(unknown_experiment(competition.slug, name, known))
        script = display_path(competition.folder / SCRIPTS["train_folds"])
        raise InputError(
            f"{display_path(record_path)} is missing, so {name!r} is not trained there: run "
            f"`python {script} --experiment {name} --work {display_path(paths.work)}` first"
        )
    record = read_record(record_path)
    if record.competition != competition.slug:
        raise InputError(
            f"{display_path(record_path)}: trained for {record.competition}, expected {competition.slug}"
        )
    trained = TrainedExperiment(competition, competition.recorded_experiment(record), record, paths)
    for folder in trained.fold_folders:
        _check_fold(folder, paths)
    return trained


_checked: set[tuple[Path, str]] = set()
"""Folds whose files this process has compared with their hashes."""


def _check_fold(folder: Path, paths: WorkPaths) -> None:
    """InputError for a file that is there and is not as the training wrote it."""
    if not (folder / "run.json").is_file():
        return
    record = read_record(folder / "run.json")
    key = (folder, record.inputs_hash)
    if key in _checked:
        return
    changed = [path for path in damaged_outputs(record, paths.work) if path.exists()]
    if changed:
        raise InputError(
            f"{display_path(changed[0])}: cut short or changed since {SCRIPTS['train_folds']} wrote it; "
            "copy the folder again, or delete it and train again"
        )
    _checked.add(key)
