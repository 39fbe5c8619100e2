"""Submissions without a model."""

from pathlib import Path

import numpy as np

from competitions.face_counting.data.official_tables import head_counts, training_counts
from competitions.face_counting.rules.metric import rmse


def baseline_scores(data: Path, truth: Path) -> dict[str, float]:
    """RMSE of giving every test picture the mean, or the median, of the labelled pictures."""
    known = training_counts(data)["HeadCount"].to_numpy(np.float64)
    right = head_counts(truth)["HeadCount"].to_numpy(np.float64)
    return {
        "mean count": rmse(np.full(len(right), known.mean()), right),
        "median count": rmse(np.full(len(right), np.median(known)), right),
    }
