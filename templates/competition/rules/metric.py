"""The official metric: F1 of the failures.

Replace: the metric, from the competition's own text. Check it by values that you computed by hand.
"""

from typing import Any

import numpy as np

from common.learn.arrays import AnyArray
from common.learn.bootstrap import bootstrap_interval


def confusion(predicted: AnyArray, labels: AnyArray) -> AnyArray:
    """(..., rows) predicted and (rows,) true labels -> (..., 3) true positives, false positives, misses."""
    hit, truth = predicted.astype(bool), labels.astype(bool)
    parts = [(hit & truth).sum(axis=-1), (hit & ~truth).sum(axis=-1), (~hit & truth).sum(axis=-1)]
    return np.stack(parts, axis=-1)


def f1_of(counts: AnyArray) -> AnyArray:
    """(..., 3) of `confusion` -> (...) F1 = 2 TP / (2 TP + FP + FN); 0 without any failure."""
    true_positive, false_positive, miss = np.moveaxis(counts, -1, 0)
    denominator = 2 * true_positive + false_positive + miss
    return np.where(denominator > 0, 2 * true_positive / np.maximum(denominator, 1), 0.0)


def f1_score(predicted: AnyArray, labels: AnyArray) -> Any:
    """F1 of (rows,) labels: a number; of (..., rows) labels: an array."""
    return f1_of(confusion(predicted, labels))[()]


def grouped_f1_interval(
    predicted: AnyArray, labels: AnyArray, groups: AnyArray, seed: int
) -> tuple[float, float]:
    """90 % bootstrap interval of F1. Groups are resampled, because rows of one group are not independent."""
    counts = [confusion(predicted[groups == group], labels[groups == group]) for group in np.unique(groups)]
    return bootstrap_interval(np.array(counts, np.float64), lambda rows: f1_of(rows.sum(axis=1)), seed)
