"""What the shared parts need to know of a competition: its name, its experiments, its rules."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Generic

from pydantic import ValidationError

from common.base.errors import InputError
from common.run.experiments import AnyExperiment, Profile, load_experiment
from common.run.overrides import Overrides
from common.run.run_record import RunRecord


def lazy(target: str) -> Callable[..., Any]:
    """The function `package.module:function`, imported at its first call.

    Naming a competition or a stage imports nothing heavy, so `--help` and "done already" answer at once.
    """
    module, _, name = target.partition(":")

    def call(*arguments: Any, **named: Any) -> Any:
        return getattr(import_module(module), name)(*arguments, **named)

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
    stale: tuple[str, ...] = ()
    """Stages whose inputs were made again since they ran, one line each."""

    @property
    def seconds(self) -> float:
        """All stages together, those of the parents included."""
        return sum(record.seconds for record in (*self.records, *self.parents_records))

    @property
    def peak_memory_mb(self) -> float:
        """Highest of all stages, those of the parents included."""
        return max(record.peak_memory_mb for record in (*self.records, *self.parents_records))


@dataclass(frozen=True)
class Competition(Generic[AnyExperiment]):
    """One competition. Its callables are made by `lazy`."""

    slug: str
    title: str
    """For people: `ETCI 2021 flood detection`."""
    folder: Path
    """Where its code and its experiments.toml lie."""
    experiment_model: type[AnyExperiment]
    metric: str
    """Name of the official metric as shown in tables."""
    higher_is_better: bool
    submission_suffix: str
    truth_name: str
    """Path of the sample data's test truth, relative to the data folder."""
    expected_data: str
    """One line that says what the official folder holds, for messages."""
    input_files: tuple[str, ...]
    """Patterns of the official files that are read, relative to the data folder; others change nothing."""
    write_sample_data: Callable[[Path, int, float], None]
    """(empty folder, seed, scale): write a small synthetic competition in the official layout."""
    validate: Callable[[Path, Path], list[str]]
    """(submission, data folder) -> every fault of the submission, one line each; empty when valid."""
    score: Callable[[Path, Path], Score]
    """(submission, truth) -> the official metric; InputError when they do not belong together."""
    baselines: Callable[[Path, Path], dict[str, float]]
    """(data folder, truth) -> name -> score of baseline submissions."""
    model_free: tuple[str, ...]
    """How the names of the baselines without a model begin; every score is compared with the best of them."""
    figures: Callable[[Finished, Path], list[Figure]]
    """(finished experiment, folder for pictures) -> the report's pictures; the first one is the result's."""

    @property
    def experiments_file(self) -> Path:
        """The competition's experiments.toml."""
        return self.folder / "experiments.toml"

    def experiment(self, name: str, profile: Profile, overrides: Overrides | None = None) -> AnyExperiment:
        """Load one experiment; InputError when it is unknown or wrong."""
        return load_experiment(self.experiments_file, self.experiment_model, name, profile, overrides)

    def weights_needed(self, settings: AnyExperiment) -> list[str]:
        """Names of the given weights that an experiment and its parents start from in the full profile."""
        parents = [self.experiment(parent, "full") for parent in settings.parents]
        names = [
            *settings.weights_needed(),
            *(name for each in parents for name in self.weights_needed(each)),
        ]
        return sorted(set(names))

    def recorded_experiment(self, record: RunRecord) -> AnyExperiment:
        """The experiment of a record; InputError when another version, with other settings, wrote it."""
        try:
            return self.experiment_model.model_validate(record.experiment)
        except ValidationError as fault:
            problem = fault.errors()[0]
            key = ".".join(str(part) for part in problem["loc"])
            raise InputError(
                f"the record of {record.stage} of {record.experiment.get('name')} has settings of another "
                f"version ({key!r}: {problem['msg']}); delete it and run that stage again, "
                "or choose another --work"
            ) from None
