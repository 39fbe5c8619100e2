"""Recurrence plots of price paths: images that a two-dimensional CNN can read.

Two kinds. The paper's (section 5.2, Figure 5): the path as a trajectory in the plane of time and price,
both axes scaled to 0..1, and the distance between every two of its points, without a threshold. The usual
one (Eckmann et al. 1987, as in Hatami et al. 2018): distances between delay vectors of dimension 2.
A test compares the latter with pyts, whose import alone compiles for half a minute in every process.

A plot of 1,380 points would take 15 MB in float64, so paths are averaged down to `image_size` points, and
plots are made batch by batch. Distances have no sign: a path and the same path upside down have the same plot
in both kinds, so a plot shows how much a price moved but not in which direction.
"""

import numpy as np

from common.learn.arrays import Float32, Float64
from competitions.bit_trader.experiment import Recurrence

LARGEST_DISTANCE = np.sqrt(2)
"""Between two corners of the scaled plane."""


def recurrence_plots(series: Float32, settings: Recurrence) -> Float32:
    """(n, minutes >= image_size) prices -> (n, image_size, image_size, 1) distances, 0 to 1."""
    if settings.kind == "delay":
        # image_size delay vectors need `delay` points more than that.
        plots = _delay_plots(
            scaled_path(averaged(series, settings.image_size + settings.delay)), settings.delay
        )
    else:
        plots = _trajectory_plots(scaled_path(averaged(series, settings.image_size)))
    return (plots / LARGEST_DISTANCE).astype(np.float32)[..., None]


def averaged(series: Float32, points: int) -> Float64:
    """(n, minutes) -> (n, points): means of equally long stretches (piecewise aggregate approximation)."""
    minutes = series.shape[1]
    if minutes < points:
        raise ValueError(f"{minutes} minutes cannot be averaged down to {points} points")
    edges = np.linspace(0, minutes, points + 1).round().astype(np.int64)
    return np.add.reduceat(series.astype(np.float64), edges[:-1], axis=1) / np.diff(edges)


def scaled_path(path: Float64) -> Float64:
    """(n, points): each row scaled to 0..1 by its own minimum and maximum; 0 where it never moved."""
    low = path.min(axis=1, keepdims=True)
    span = path.max(axis=1, keepdims=True) - low
    return (path - low) / np.where(span > 0, span, 1)


def _trajectory_plots(price: Float64) -> Float64:
    """(n, p) -> (n, p, p): distances between the points (time, price), time scaled to 0..1 as well."""
    time = np.linspace(0, 1, price.shape[1])
    return np.hypot(time[:, None] - time[None, :], price[:, :, None] - price[:, None, :])


def _delay_plots(price: Float64, delay: int) -> Float64:
    """(n, p + delay) -> (n, p, p): Euclidean distances between the vectors (price[t], price[t + delay])."""
    now, later = price[:, :-delay], price[:, delay:]
    return np.hypot(now[:, :, None] - now[:, None, :], later[:, :, None] - later[:, None, :])
