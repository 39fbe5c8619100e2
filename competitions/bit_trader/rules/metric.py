"""The official metric: equity from 10,000 dollars after trading all samples, one after the other."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.base.errors import InputError
from common.base.paths import display_path
from competitions.bit_trader.data.bar_files import FIELDS, FUTURE_MINUTES, IntArray, count_samples, fill_bars
from competitions.bit_trader.rules.submission import Orders

START = 10_000.0
FEE = 0.0005
"""Share of the traded sum, paid when buying and again when selling."""
NET_OF_FEES = (1 - FEE) ** 2
NUMBERS_A_BLOCK = 32_768
"""So many factors stay in a core's cache."""

FloatArray = npt.NDArray[np.float64]


def growth(future_open: npt.NDArray[np.floating], orders: Orders, net: float = NET_OF_FEES) -> FloatArray:
    """What each sample multiplies the equity by: (1 - b) + b * open[s] / open[0] * (1 - fee)^2.

    Parameters
    ----------
    future_open : (n, 120) open prices of y; bought at minute 0, whatever its price.
    net : what both fees leave of the invested part; 1 trades for free.

    Returns
    -------
    (n,), the official rule of the competition.
    """
    prices = future_open.astype(np.float64)
    ratio = prices[np.arange(len(prices)), orders.sell_time] / prices[:, 0]
    return (1 - orders.buy_quantity) + orders.buy_quantity * ratio * net


def final_equity(factors: FloatArray) -> float:
    """Equity after all samples, starting at 10,000."""
    return float(START * np.prod(factors))


def equities(
    future_open: npt.NDArray[np.floating],
    buy_quantity: npt.NDArray[np.floating],
    sell_time: npt.NDArray[np.integer],
) -> FloatArray:
    """Final equity of many submissions at once.

    Parameters
    ----------
    future_open : (n, 120) open prices of y.
    buy_quantity, sell_time : (submissions, n) each.

    Returns
    -------
    (submissions,), what `final_equity(growth(...))` gives for each of them.
    """
    prices = future_open.astype(np.float64)
    # What a dollar invested gains or loses when sold at each minute; looked up for all submissions.
    gain = (prices / prices[:, :1] * NET_OF_FEES - 1).ravel()
    first = np.arange(len(prices)) * prices.shape[1]
    result = np.empty(len(buy_quantity))
    block = max(1, NUMBERS_A_BLOCK // max(1, len(prices)))
    for start in range(0, len(result), block):
        part = slice(start, start + block)
        factors = np.take(gain, sell_time[part] + first)
        factors *= buy_quantity[part]
        factors += 1
        np.multiply.reduce(factors, axis=1, out=result[part])
    return START * result


def read_truth(truth: Path) -> tuple[IntArray, npt.NDArray[np.float32]]:
    """Sample ids (n,) and open prices (n, 120) of a y file; InputError when it is none."""
    if not truth.is_file():
        raise InputError(f"{display_path(truth)}: no such file; expected the test samples' y (test_y_df.csv)")
    bars = np.empty((count_samples(truth, FUTURE_MINUTES), FUTURE_MINUTES, len(FIELDS)), np.float32)
    sample_id = fill_bars(truth, bars).sample_id
    return sample_id, bars[: len(sample_id), :, FIELDS.index("open")]
