"""Recurrence plots of price paths: pictures that a two-dimensional CNN can read.

Two senses. The article's (section 5.2, Figure 5): the path as a trajectory in the plane of time and price,
both axes scaled to 0..1, and the distance between every two of its points, without a threshold. The usual
one (Eckmann et al. 1987, as in Hatami et al. 2018): distances between delay vectors of dimension 2.
A test holds the latter against pyts, whose import alone compiles for half a minute in every process.

A plot of 1,380 points would take 15 MB in float64, so paths are averaged down to as many points as the plot
has pixels, and plots are made batch by batch. Distances have no sign: a path and the same path turned upside
down have one plot in both senses, so that a plot shows how much a price moved and never whether it rose.
"""

import numpy as np
import numpy.typing as npt

from competitions.bit_trader.experiment import Recurrence

Array = npt.NDArray[np.float32]
LARGEST_DISTANCE = np.sqrt(2)
"""Between two corners of the scaled plane."""


def recurrence_plots(series: Array, settings: Recurrence) -> Array:
    """(n, minutes) prices -> (n, pixels, pixels, 1) distances, 0 to 1; at least `pixels` minutes."""
    if settings.sense == "delay":
        # A delay vector more than pixels each needs so many further points.
        plots = _delay_plots(scaled_path(averaged(series, settings.pixels + settings.delay)), settings.delay)
    else:
        plots = _trajectory_plots(scaled_path(averaged(series, settings.pixels)))
    return (plots / LARGEST_DISTANCE).astype(np.float32)[..., None]


def averaged(series: Array, points: int) -> npt.NDArray[np.float64]:
    """(n, minutes) -> (n, points): means of equally long stretches (piecewise aggregate approximation)."""
    minutes = series.shape[1]
    if minutes < points:
        raise ValueError(f"{minutes} minutes cannot be averaged down to {points} points")
    edges = np.linspace(0, minutes, points + 1).round().astype(np.int64)
    return np.add.reduceat(series.astype(np.float64), edges[:-1], axis=1) / np.diff(edges)


def scaled_path(path: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Each row scaled to 0..1 by its own minimum and maximum; 0 where it never moved."""
    low = path.min(axis=1, keepdims=True)
    span = path.max(axis=1, keepdims=True) - low
    return (path - low) / np.where(span > 0, span, 1)


def _trajectory_plots(price: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    time = np.linspace(0, 1, price.shape[1])
    return np.hypot(time[:, None] - time[None, :], price[:, :, None] - price[:, None, :])


def _delay_plots(price: npt.NDArray[np.float64], delay: int) -> npt.NDArray[np.float64]:
    now, later = price[:, :-delay], price[:, delay:]
    return np.hypot(now[:, :, None] - now[:, None, :], later[:, :, None] - later[:, None, :])
