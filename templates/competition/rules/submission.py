"""The official submission: id,fails with 0 or 1, in the order of sample_submission.csv.

Replace: header and rules. List every fault at once, so that a user repairs a file in one go.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from common.base.errors import InputError
from common.base.paths import display_path
from common.files.submission_table import examples, id_faults, read_submission_table
from common.learn.arrays import Int64
from common.run.competition import Score
from competitions.my_competition.data.tables import ID, LABEL, read_truth, submission_ids
from competitions.my_competition.rules.metric import confusion, f1_score

HEADER = (ID, LABEL)


def write_submission(path: Path, ids: Sequence[str], predicted: Int64) -> None:
    """Write the official CSV file to `path`."""
    table = pd.DataFrame({ID: ids, LABEL: predicted})
    table.to_csv(path, index=False, lineterminator="\n")


def submission_faults(submission: Path, data: Path) -> list[str]:
    """Every fault of a submission for the test split of `data`; empty when it is valid."""
    rows, faults = read_submission_table(submission, HEADER)
    faults += id_faults([name for name, _ in rows], submission_ids(data))
    return faults + _label_faults(rows)


def score_submission(submission: Path, truth: Path) -> Score:
    """F1 of a submission against a table of id, fails; InputError when they do not fit."""
    rows, faults = read_submission_table(submission, HEADER)
    known = read_truth(truth)
    faults += id_faults([name for name, _ in rows], known[ID].tolist(), ordered=False) + _label_faults(rows)
    if faults:
        raise InputError(
            f"{display_path(submission)} cannot be scored against {display_path(truth)}: {faults[0]}"
        )
    given = dict(rows)
    predicted = np.array([int(given[name]) for name in known[ID]])
    labels = known[LABEL].to_numpy()
    hits, false_alarms, misses = (float(count) for count in confusion(predicted, labels))
    details = {"precision": hits / max(hits + false_alarms, 1), "recall": hits / max(hits + misses, 1)}
    return Score(float(f1_score(predicted, labels)), details)


def _label_faults(rows: list[list[str]]) -> list[str]:
    wrong = [f"{name} {label!r}" for name, label in rows if label not in ("0", "1")]
    return [f"{len(wrong)} labels are not 0 or 1: {examples(wrong)}"] if wrong else []
