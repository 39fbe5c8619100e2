"""Ensembles: the boxes of the parent experiments as further views of the same pictures."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from common.base.errors import InputError
from common.run.job import Job
from competitions.face_counting.experiment import FaceCountingExperiment


def number_of_views(job: Job[FaceCountingExperiment]) -> int:
    """Views per picture: the experiment's own TTA, or those of all members together."""
    members = _member_views(job)
    return sum(members) if members else len(job.settings.input.tta)


def ensemble_fold(job: Job[FaceCountingExperiment]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Held-out pictures and boxes of this fold from all members; InputError when their folds differ."""
    folders = {name: job.paths.fold(name, job.fold) for name in job.settings.parents}
    held_out = {name: _read(folder / "held_out.parquet") for name, folder in folders.items()}
    first, *others = held_out
    for name in others:
        if not held_out[name].equals(held_out[first]):
            raise InputError(
                f"{job.settings.name}: its parents {first} and {name} hold out different pictures in fold "
                f"{job.fold}; give them the same split, folds and seed"
            )
    tables = [_read(folder / "oof.parquet") for folder in folders.values()]
    return held_out[first], stack_views(tables, _member_views(job), job.settings.counting.score_threshold)


def ensemble_test(job: Job[FaceCountingExperiment]) -> pd.DataFrame:
    """Boxes of all members on the test pictures."""
    tables = [_read(job.paths.test(name, ".parquet")) for name in job.settings.parents]
    return stack_views(tables, _member_views(job), job.settings.counting.score_threshold)


def stack_views(tables: Iterable[pd.DataFrame], views: list[int], score_threshold: float) -> pd.DataFrame:
    """Tables of boxes above the threshold concatenated, the views of later tables numbered on.

    Parameters
    ----------
    views : number of views of each table.
    """
    stacked, before = [], 0
    for table, own in zip(tables, views, strict=True):
        kept = table[table["score"] >= score_threshold]
        stacked.append(kept.assign(view=kept["view"] + before))
        before += own
    return pd.concat(stacked, ignore_index=True)


def _member_views(job: Job[FaceCountingExperiment]) -> list[int]:
    return [int(job.upstream[f"{name}/oof"].decision["views"]) for name in job.settings.parents]


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise InputError(f"{path}: missing; the parent experiment is not finished, run it again") from None
