"""Robust centre and spread of a scene's backscatter, for per-scene normalisation."""

import numpy as np

from common.learn.arrays import Floats, Integers

_UPPER_QUARTILE_OF_NORMAL = 0.6745
"""Upper quartile of the standard normal distribution."""
MIN_SPREAD = 0.1
"""Spread of flat images, so that nothing is divided by zero."""


def centre_and_spread(values: Floats) -> tuple[float, float]:
    """Median, and the standard deviation estimated from the upper half; water is in the lower half."""
    middle, upper = np.percentile(values, [50, 75])
    return float(middle), max(float(upper - middle) / _UPPER_QUARTILE_OF_NORMAL, MIN_SPREAD)


def centre_and_spread_of_histogram(counts: Integers) -> tuple[float, float]:
    """The same from a histogram (256,) of uint8 values; value k covers `k - 1/2` to `k + 1/2`."""
    total = counts.cumsum()
    if not total[-1]:
        return len(counts) / 2, len(counts) / 3
    middle, upper = (
        float(np.interp(share * total[-1], np.concatenate([[0], total]), np.arange(len(counts) + 1) - 0.5))
        for share in (0.5, 0.75)
    )
    return middle, max((upper - middle) / _UPPER_QUARTILE_OF_NORMAL, MIN_SPREAD)
