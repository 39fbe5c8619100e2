"""What the shared parts need to know of a competition: its name, its experiments, its rules."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from common.experiments import Experiment, Profile, load_experiment
from common.run_record import RunRecord


def imported_when_called(module: str, function: str) -> Callable[..., Any]:
    """`module.function`, imported at its first call: a competition must be cheap to name."""

    def call(*arguments: Any) -> Any:
        return getattr(import_module(module), function)(*arguments)

    return call


@dataclass(frozen=True)
class Score:
    """The official metric of one submission."""

    value: float
    details: dict[str, float] = field(default_factory=dict)
    """Further figures: per scene, interval, number of trades, ..."""


@dataclass(frozen=True)
class Figure:
    """One picture of the report."""

    path: Path
    """A PNG or JPEG file."""
    title: str
    caption: str


@dataclass(frozen=True)
class Finished:
    """One finished experiment, as the report shows it."""

    experiment: str
    work: Path
    data: Path
    records: Sequence[RunRecord]
    truth: Path | None
    parents_records: Sequence[RunRecord] = ()
    """Records of the experiments that this one combines."""

    @property
    def seconds(self) -> float:
        """All stages together, those of the parents included."""
        return sum(record.seconds for record in (*self.records, *self.parents_records))

    @property
    def peak_memory_mb(self) -> float:
        """Highest of all stages, those of the parents included."""
        return max(record.peak_memory_mb for record in (*self.records, *self.parents_records))


@dataclass(frozen=True)
class Competition:
    """One competition. Its callables are made by `imported_when_called`."""

    slug: str
    title: str
    """For people: `ETCI 2021 flood detection`."""
    folder: Path
    """Where its code and its experiments.toml lie."""
    experiment_model: type[Experiment]
    metric: str
    """Name of the official metric as shown in tables."""
    higher_is_better: bool
    submission_suffix: str
    truth_name: str
    """Path of the sample data's test truth, relative to the data folder."""
    expected_data: str
    """One line that says what the official folder holds, for messages."""
    write_sample_data: Callable[[Path, int, float], None]
    """(empty folder, seed, scale): write a small synthetic competition in the official layout."""
    validate: Callable[[Path, Path], list[str]]
    """(submission, data folder) -> every fault of the submission, one line each; empty when valid."""
    score: Callable[[Path, Path], Score]
    """(submission, truth) -> the official metric; InputError when they do not belong together."""
    baselines: Callable[[Path, Path], dict[str, float]]
    """(data folder, truth) -> name -> score of naive submissions."""
    naive: tuple[str, ...]
    """How the names of the baselines without skill begin; the best of them stands beside every score."""
    figures: Callable[[Finished, Path], list[Figure]]
    """(finished experiment, folder for pictures) -> the report's pictures; the first one is the result's."""

    @property
    def experiments_file(self) -> Path:
        """The competition's experiments.toml."""
        return self.folder / "experiments.toml"

    def experiment(self, name: str, profile: Profile) -> Experiment:
        """Load one experiment; InputError when it is unknown or wrong."""
        return load_experiment(self.experiments_file, self.experiment_model, name, profile)
