"""Submissions without a model: a score means something only against the best of them.

Replace: the baselines. Think of the constant answer and of the best rule on one column.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from common.learn.arrays import Int64
from common.report.results_table import BASELINE
from competitions.my_competition.data.tables import ID, LABEL, READINGS, read_test, read_train, read_truth
from competitions.my_competition.rules.metric import f1_score

CUTS = np.linspace(0.05, 0.95, 19)


def baseline_scores(data: Path, truth: Path) -> dict[str, float]:
    """Name -> F1 on the test split of `data`."""
    test = read_test(data)
    labels = read_truth(truth).set_index(ID).loc[test[ID], LABEL].to_numpy()
    predicted = baseline_labels(read_train(data), test)
    return {name: float(f1_score(one, labels)) for name, one in predicted.items()}


def baseline_metrics(train: pd.DataFrame) -> dict[str, float]:
    """`baseline: <name>` -> F1 on the labelled rows, each fold by rules from the other folds."""
    predicted: dict[str, Int64] = {}
    for fold in train["fold"].unique():
        held_out = (train["fold"] == fold).to_numpy()
        for name, one in baseline_labels(train[~held_out], train[held_out]).items():
            predicted.setdefault(name, np.zeros(len(train), np.int64))[held_out] = one
    labels = train[LABEL].to_numpy()
    return {f"{BASELINE}{name}": float(f1_score(one, labels)) for name, one in predicted.items()}


def baseline_labels(train: pd.DataFrame, table: pd.DataFrame) -> dict[str, Int64]:
    """Name -> (rows,) labels of `table`, by rules from the labelled rows of `train`."""
    return {
        "all fail": np.ones(len(table), np.int64),
        "one reading above a cut": _one_reading(train, table),
    }


def _one_reading(train: pd.DataFrame, table: pd.DataFrame) -> Int64:
    """The reading and the cut (a quantile of `train`) of highest F1 there."""
    labels = train[LABEL].to_numpy()
    tried = [(name, float(cut)) for name in READINGS for cut in train[name].quantile(CUTS)]
    scores = [float(f1_score(train[name].to_numpy() > cut, labels)) for name, cut in tried]
    name, cut = tried[int(np.argmax(scores))]
    return (table[name].to_numpy() > cut).astype(np.int64)
