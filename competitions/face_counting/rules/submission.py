"""The official submission: Name,HeadCount, one row per test picture in test.csv's order."""

import math
from pathlib import Path

import numpy as np
import pandas as pd

from common.base.errors import InputError
from common.base.paths import display_path
from common.files.submission_table import examples, id_faults, parse_number, read_submission_table
from common.files.tables import write_table
from common.learn.arrays import Float64
from common.run.competition import Score
from competitions.face_counting.data.official_tables import COUNT_COLUMNS, head_counts, test_names
from competitions.face_counting.rules.metric import rmse, rmse_interval


def write_submission(path: Path, names: list[str], counts: Float64) -> None:
    """Write the official CSV; counts keep four digits."""
    write_table(path, pd.DataFrame({"Name": names, "HeadCount": np.round(counts, 4)}))


def submission_faults(submission: Path, data: Path) -> list[str]:
    """Every fault of a submission for the test split of `data`; empty when it is valid."""
    rows, faults = read_submission_table(submission, COUNT_COLUMNS)
    faults += id_faults([name for name, _ in rows], test_names(data)) if rows else ["no rows"]
    return faults + _number_faults(rows)


def score_submission(submission: Path, truth: Path) -> Score:
    """RMSE of a submission against a table of Name, HeadCount; InputError when their names differ."""
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
    return Score(rmse(counts, right), details)


def _number_faults(rows: list[list[str]]) -> list[str]:
    kinds: dict[str, list[str]] = {"not a number": [], "not finite": [], "negative": []}
    for name, text in rows:
        count = parse_number(text)
        if count is None:
            kinds["not a number"].append(f"{name} {text[:40]!r}")
        elif not math.isfinite(count):
            kinds["not finite"].append(f"{name} {text}")
        elif count < 0:
            kinds["negative"].append(f"{name} {text}")
    return [
        f"{len(cells)} head counts are {kind}: {examples(cells)}" for kind, cells in kinds.items() if cells
    ]
