"""The official metric: equity from 10,000 dollars after trading all samples, one after the other."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.bootstrap import bootstrap_interval
from common.competition import Score
from common.errors import InputError
from common.paths import shown
from competitions.bit_trader.bar_files import FIELDS, FUTURE_MINUTES, IntArray, count_samples, fill_bars
from competitions.bit_trader.trade_orders import Orders, read_submission

START = 10_000.0
FEE = 0.0005
"""Share of the traded sum, paid when buying and again when selling."""
NET_OF_FEES = (1 - FEE) ** 2
INTERVAL_SEED = 10_000

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


def equity_interval(factors: FloatArray) -> tuple[float, float]:
    """Bootstrap over samples of the final equity: 5 % and 95 % quantiles, log growth resampled."""
    low, high = bootstrap_interval(np.log(factors), lambda logs: logs.sum(axis=1), INTERVAL_SEED)
    return START * float(np.exp(low)), START * float(np.exp(high))


def worst_drawdown(factors: FloatArray) -> float:
    """Largest loss from a peak of the equity curve, as a share of the peak; samples in the order given."""
    curve = np.concatenate([[1.0], np.cumprod(factors)])
    return float(np.max(1 - curve / np.maximum.accumulate(curve)))


def trading_figures(future_open: npt.NDArray[np.floating], orders: Orders) -> dict[str, float]:
    """Final equity and what stands behind it.

    Returns
    -------
    equity, equity_low, equity_high (90 % interval), without_fees, trades, hit_rate (share of the trades that
    gained after fees; 0 without trades), worst_drawdown.
    """
    factors = growth(future_open, orders)
    low, high = equity_interval(factors)
    traded = orders.buy_quantity > 0
    return {
        "equity": final_equity(factors),
        "equity_low": low,
        "equity_high": high,
        "without_fees": final_equity(growth(future_open, orders, net=1.0)),
        "trades": float(traded.sum()),
        "hit_rate": float((factors[traded] > 1).mean()) if traded.any() else 0.0,
        "worst_drawdown": worst_drawdown(factors),
    }


def read_truth(truth: Path) -> tuple[IntArray, npt.NDArray[np.float32]]:
    """Sample ids (n,) and open prices (n, 120) of a y file; InputError when it is none."""
    if not truth.is_file():
        raise InputError(f"{shown(truth)}: no such file; expected the test samples' y (test_y_df.csv)")
    bars = np.empty((count_samples(truth, FUTURE_MINUTES), FUTURE_MINUTES, len(FIELDS)), np.float32)
    sample_id, _ = fill_bars(truth, bars)
    return sample_id, bars[:, :, FIELDS.index("open")]


def score_submission(submission: Path, truth: Path) -> Score:
    """Final equity of a submission on the true prices, and the figures behind it."""
    sample_id, future_open = read_truth(truth)
    figures = trading_figures(future_open, read_submission(submission, sample_id))
    return Score(figures.pop("equity"), figures)
