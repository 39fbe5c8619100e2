"""Percentile bootstrap intervals."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]


def bootstrap_interval(
    rows: FloatArray,
    statistic: Callable[[FloatArray], FloatArray],
    seed: int,
    resamples: int = 2000,
    level: float = 0.90,
) -> tuple[float, float]:
    """Interval of a statistic over resampled rows (Efron 1979, percentile method).

    Parameters
    ----------
    rows : (n,) or (n, d), one entry per independent unit (picture, sample, listing).
    statistic : maps resampled rows of shape (resamples, n) or (resamples, n, d) to (resamples,).
    level : coverage; 0.90 leaves 5 % below the lower bound.

    Returns
    -------
    (lower, upper)
    """
    generator = np.random.default_rng(seed)
    values = []
    block = max(1, 2_000_000 // max(1, rows.size))
    for start in range(0, resamples, block):
        picked = generator.integers(0, len(rows), size=(min(block, resamples - start), len(rows)))
        values.append(statistic(rows[picked]))
    lower, upper = np.quantile(np.concatenate(values), [(1 - level) / 2, (1 + level) / 2])
    return float(lower), float(upper)
