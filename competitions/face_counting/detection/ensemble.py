"""Experiments that combine others: what the parents found, as further looks at the same pictures."""

from pathlib import Path
from typing import cast

import pandas as pd

from common.base.errors import InputError
from common.run.job import Job
from competitions.face_counting.experiment import FaceCountingExperiment


def looks_of(job: Job, own: int) -> int:
    """How many looks at a picture there are: `own` views, or all looks of the parents."""
    parents = [int(job.upstream[f"{name}/oof"].decision["looks"]) for name in job.settings.parents]
    return sum(parents) if parents else own


def parents_fold(job: Job) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Held-out pictures and boxes of this fold from all parents; InputError when their folds differ."""
    folders = {name: job.paths.fold(name, job.fold) for name in job.settings.parents}
    held_out = {name: _read(folder / "held_out.parquet") for name, folder in folders.items()}
    first, *others = held_out
    for name in others:
        if not held_out[name].equals(held_out[first]):
            raise InputError(
                f"{job.settings.name}: its parents {first} and {name} hold out other pictures in fold "
                f"{job.fold}; give them the same split, folds and seed"
            )
    boxes = {name: _read(folder / "oof.parquet") for name, folder in folders.items()}
    return held_out[first], as_looks(job, boxes)


def parents_test(job: Job) -> pd.DataFrame:
    """Boxes of all parents on the test pictures."""
    paths = {name: job.paths.test(name, ".parquet") for name in job.settings.parents}
    return as_looks(job, {name: _read(path) for name, path in paths.items()})


def as_looks(job: Job, boxes: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Tables of boxes above the floor one under the other, views of later parents numbered on."""
    tables, before = [], 0
    for name, table in boxes.items():
        kept = table[table["score"] >= cast(FaceCountingExperiment, job.settings).counting.floor]
        tables.append(kept.assign(view=kept["view"] + before))
        before += int(job.upstream[f"{name}/oof"].decision["looks"])
    return pd.concat(tables, ignore_index=True)


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise InputError(f"{path}: missing; the parent experiment was not finished, run it again") from None
