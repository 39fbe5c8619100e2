"""The official metric: equity from 10,000 dollars after trading all samples, one after the other."""

from pathlib import Path

import numpy as np

from common.base.errors import InputError
from common.base.paths import display_path
from common.learn.arrays import Float64, Floats, Int64, Integers
from competitions.bit_trader.data.bar_files import FIELDS, FUTURE_MINUTES, count_samples, fill_bars
from competitions.bit_trader.rules.submission import Positions

START = 10_000.0
FEE = 0.0005
"""Share of the traded sum, paid once when buying and once when selling."""
NET_OF_FEES = (1 - FEE) ** 2
FACTORS_PER_BLOCK = 32_768
"""As many as stay in a core's cache."""


def growth(future_open: Floats, positions: Positions, net: float = NET_OF_FEES) -> Float64:
    """Factor by which each sample multiplies the equity: (1 - b) + b * open[s] / open[0] * (1 - fee)^2.

    Parameters
    ----------
    future_open : (n, 120) open prices of y; the purchase is at minute 0.
    net : share of the invested part that is left after both fees; 1 means no fees.

    Returns
    -------
    (n,) factors, by the official rule of the competition.
    """
    prices = future_open.astype(np.float64)
    ratio = prices[np.arange(len(prices)), positions.sell_time] / prices[:, 0]
    return (1 - positions.buy_quantity) + positions.buy_quantity * ratio * net


def final_equity(factors: Float64) -> float:
    """Equity after all samples, starting at 10,000."""
    return float(START * np.prod(factors))


def equities(
    future_open: Floats,
    buy_quantity: Floats,
    sell_time: Integers,
) -> Float64:
    """Final equity of many submissions at once.

    Parameters
    ----------
    future_open : (n, 120) open prices of y.
    buy_quantity, sell_time : (submissions, n) each.

    Returns
    -------
    (submissions,), equal to `final_equity(growth(...))` of each.
    """
    prices = future_open.astype(np.float64)
    # (n * 120,) net return of one invested dollar, sold at each minute of each sample; flat, so that one
    # take() with sample * 120 + minute looks it up for a whole block of submissions.
    gain = (prices / prices[:, :1] * NET_OF_FEES - 1).ravel()
    first = np.arange(len(prices)) * prices.shape[1]
    result = np.empty(len(buy_quantity))
    block = max(1, FACTORS_PER_BLOCK // max(1, len(prices)))
    for start in range(0, len(result), block):
        part = slice(start, start + block)
        factors = np.take(gain, sell_time[part] + first)
        factors *= buy_quantity[part]
        factors += 1
        np.multiply.reduce(factors, axis=1, out=result[part])
    return START * result


def read_truth(truth: Path) -> tuple[Int64, Float64]:
    """Sample ids (n,) and open prices (n, 120) of a y file, in float64; InputError when it is none."""
    if not truth.is_file():
        raise InputError(f"{display_path(truth)}: no such file; expected the test samples' y (test_y_df.csv)")
    bars = np.empty((count_samples(truth, FUTURE_MINUTES), FUTURE_MINUTES, len(FIELDS)), np.float64)
    sample_id = fill_bars(truth, bars).sample_id
    return sample_id, bars[: len(sample_id), :, FIELDS.index("open")]
