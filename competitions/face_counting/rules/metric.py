"""RMSE of head counts, and its bootstrap interval."""

import numpy as np

from common.learn.arrays import Float64
from common.learn.bootstrap import bootstrap_interval

BOOTSTRAP_SEED = 2021


def rmse(counts: Float64, truth: Float64) -> float:
    """The official metric; both (pictures,)."""
    return float(np.sqrt(np.mean((counts - truth) ** 2)))


def rmse_interval(counts: Float64, truth: Float64) -> tuple[float, float]:
    """90 % bootstrap interval of the RMSE over pictures: a few crowded ones dominate it."""
    squared = (counts - truth) ** 2
    return bootstrap_interval(squared, lambda rows: np.sqrt(rows.mean(axis=-1)), BOOTSTRAP_SEED)
