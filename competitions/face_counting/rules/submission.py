"""The official submission: Name,HeadCount, one row a test picture in test.csv's order, scored by RMSE."""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.base import atomic
from common.base.errors import InputError
from common.base.paths import display_path
from common.files.submission_table import examples, id_faults, read_submission_table
from common.learn.bootstrap import bootstrap_interval
from common.run.competition import Score
from competitions.face_counting.data.official_tables import COUNT_COLUMNS, head_counts, test_names

BOOTSTRAP_SEED = 2021
Numbers = npt.NDArray[np.float64]


def root_mean_squared_error(counts: Numbers, truth: Numbers) -> float:
    """The official metric; both (pictures,)."""
    return float(np.sqrt(np.mean((counts - truth) ** 2)))


def rmse_interval(counts: Numbers, truth: Numbers) -> tuple[float, float]:
    """90 % bootstrap interval of the RMSE over pictures: a few crowds weigh much."""
    squared = (counts - truth) ** 2
    return bootstrap_interval(squared, lambda rows: np.sqrt(rows.mean(axis=-1)), BOOTSTRAP_SEED)


def write_submission(path: Path, names: list[str], counts: Numbers) -> None:
    """Write the official CSV; counts keep four digits."""
    table = pd.DataFrame({"Name": names, "HeadCount": np.round(counts, 4)})
    with atomic.atomic_write(path) as partial:
        table.to_csv(partial, index=False, lineterminator="\n")


def submission_faults(submission: Path, data: Path) -> list[str]:
    """Every fault of a submission for the test split of `data`; empty when it is valid."""
    rows, faults = read_submission_table(submission, COUNT_COLUMNS)
    faults += id_faults([name for name, _ in rows], test_names(data)) if rows else ["no rows"]
    return faults + _number_faults(rows)


def score_submission(submission: Path, truth: Path) -> Score:
    """RMSE of a submission against a table of Name, HeadCount; InputError when they do not fit."""
    rows, faults = read_submission_table(submission, COUNT_COLUMNS)
    known = head_counts(truth)
    faults += id_faults([name for name, _ in rows], known["Name"].tolist(), ordered=False)
    faults += _number_faults(rows)
    if faults:
        raise InputError(
            f"{display_path(submission)} cannot be scored against {display_path(truth)}: {faults[0]}"
        )
    given = {name: float(count) for name, count in rows}
    counts = np.array([given[name] for name in known["Name"]])
    right = known["HeadCount"].to_numpy(np.float64)
    low, high = rmse_interval(counts, right)
    details = {
        "rmse_low": low,
        "rmse_high": high,
        "mean_absolute_error": float(np.abs(counts - right).mean()),
        "within_half_a_face": float((np.abs(counts - right) <= 0.5).mean()),
    }
    return Score(root_mean_squared_error(counts, right), details)


def _number_faults(rows: list[list[str]]) -> list[str]:
    kinds: dict[str, list[str]] = {"not a number": [], "not finite": [], "negative": []}
    for name, text in rows:
        try:
            count = float(text)
        except ValueError:
            kinds["not a number"].append(f"{name} {text!r}")
            continue
        if not math.isfinite(count):
            kinds["not finite"].append(f"{name} {text}")
        elif count < 0:
            kinds["negative"].append(f"{name} {text}")
    return [
        f"{len(cells)} head counts are {kind}: {examples(cells)}" for kind, cells in kinds.items() if cells
    ]
