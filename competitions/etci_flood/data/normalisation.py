"""How bright a scene is, and how much its land differs: what its backscatter is measured against."""

import numpy as np
import numpy.typing as npt

_QUARTILE_OF_NORMAL = 0.6745
"""Between median and upper quartile of a normal distribution, in deviations."""
LEAST_SPREAD = 0.1
"""Of flat pictures, which have none: nothing is divided by less."""


def centre_and_spread(values: npt.NDArray[np.floating]) -> tuple[float, float]:
    """Median, and the deviation that the upper half has: water, however much, lies in the lower one."""
    middle, upper = np.percentile(values, [50, 75])
    return float(middle), max(float(upper - middle) / _QUARTILE_OF_NORMAL, LEAST_SPREAD)


def centre_and_spread_of_levels(counts: npt.NDArray[np.integer]) -> tuple[float, float]:
    """The same of levels that were counted, (256,), as if they lay at `k - 1/2` to `k + 1/2`."""
    total = counts.cumsum()
    if not total[-1]:
        return len(counts) / 2, len(counts) / 3
    levels = [
        np.interp(share * total[-1], np.concatenate([[0], total]), np.arange(len(counts) + 1) - 0.5)
        for share in (0.5, 0.75)
    ]
    return float(levels[0]), max(float(levels[1] - levels[0]) / _QUARTILE_OF_NORMAL, LEAST_SPREAD)
