"""Data of the user's own, predicted by 3_infer in place of the official test split.

A competition says which flags ask for it and what they mean. The stage does the rest as for any unit of work:
it skips what is done, writes whole files or none, and keeps a run.json.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic

from common.base.paths import WorkPaths
from common.run.competition import Competition
from common.run.experiments import AnyExperiment
from common.run.flags import AddFlags
from common.run.job import Notes, Result
from common.run.run_record import short_hash

HASH_LENGTH = 8


@dataclass
class OwnDataJob(Notes, Generic[AnyExperiment]):
    """One prediction of own data, as the competition's function sees it."""

    competition: Competition[AnyExperiment]
    experiment: str
    """The trained experiment that predicts, for `load(job.experiment, job.paths.work, job.device)`."""
    paths: WorkPaths
    name: str
    device: str
    """auto, cpu or cuda, as asked for."""
    seed: int
    stage_args: argparse.Namespace
    resume_dir: Path
    """Folder for unfinished work: it outlives a kill, and goes when the unit is done or changed."""

    def output(self, suffix: str) -> Path:
        """`<work>/<experiment>/<name><suffix>`; the run.json has the same stem."""
        return self.paths.experiment(self.experiment) / f"{self.name}{suffix}"


def own_data_name(kind: str, file: Path, options: Mapping[str, object] | None = None) -> str:
    """`<kind>/<stem>-<hash>`: one name for each input file and settings, so that no result hides another.

    Parameters
    ----------
    kind : folder of the outputs below the experiment's: `geotiff`, `klines`.
    file : input file or folder; two of the same name in different folders get different names.
    options : flags that change the result.
    """
    place = str(file.expanduser().absolute()).encode("utf-8", "surrogateescape").hex()
    key = short_hash([place, dict(options or {})])[:HASH_LENGTH]
    stem = (file.name if file.is_dir() else file.stem) or "data"
    readable = "".join(char if char.isalnum() or char in "-_." else "_" for char in stem)
    return f"{kind}/{readable.strip('.')[:60] or 'data'}-{key}"


@dataclass(frozen=True)
class OwnData:
    """What the user asked for."""

    name: str
    """Stem of the outputs and of the record below the experiment's folder; made by `own_data_name`."""
    files: dict[str, Path]
    """Label -> file or folder that is read. Their content decides whether the work is done already."""
    options: dict[str, Any]
    """Other flags that decide the results."""
    predict: Callable[[OwnDataJob[Any]], Result]
    """Does the work; usually `lazy`."""
    hashes: dict[str, str] = field(default_factory=dict)
    """Label -> identity of an input that the competition computed itself, of some files of a folder, say."""
    source: Path | None = None
    """What the record calls its data; the first of `files` when None."""
    needs_training: bool = True
    """False: given weights are used as they are, and no trained experiment is looked for."""


@dataclass(frozen=True)
class OwnDataFlags:
    """How 3_infer is asked for own data."""

    add: AddFlags
    request: Callable[[argparse.Namespace], OwnData | None]
    """Flags -> what was asked for, None for the official test split. InputError for a missing file."""
