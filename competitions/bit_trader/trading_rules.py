"""Decision rules: from a forecast path to an order, and what decides how daring they are."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from competitions.bit_trader.bar_files import IntArray
from competitions.bit_trader.equity import NET_OF_FEES, START, equity_interval, final_equity, growth
from competitions.bit_trader.forecasts import Paths
from competitions.bit_trader.trade_orders import Orders

FloatArray = npt.NDArray[np.float64]
NEVER = float("inf")
"""The threshold that no expected gain exceeds."""
ONE_SIDED_5_PERCENT = 1.645


def printed_orders(paths: Paths) -> Orders:
    """The article's "high risk, high return": all in when any forecast minute exceeds 1, out at the highest.

    As printed, though 1 is the open of x minute 1379, while the official equity divides by y_open[0].
    """
    buys = (paths > 1).any(axis=1)
    return Orders(np.where(buys, 1.0, 0.0), np.where(buys, paths.argmax(axis=1), 0).astype(np.int64))


def expected_gain(paths: Paths) -> tuple[FloatArray, IntArray]:
    """Log growth after both fees when sold at the best forecast minute, (n,), and that minute, (n,)."""
    prices = paths.astype(np.float64)
    minute = prices.argmax(axis=1)
    best = prices[np.arange(len(prices)), minute] / prices[:, 0]
    return np.log(best * NET_OF_FEES), minute.astype(np.int64)


def net_edge_orders(paths: Paths, threshold: float) -> Orders:
    """Buy all when the expected net gain (log growth) exceeds `threshold`, sell at the best minute."""
    gain, minute = expected_gain(paths)
    buys = gain > threshold
    return Orders(buys.astype(np.float64), np.where(buys, minute, 0).astype(np.int64))


@dataclass(frozen=True)
class ThresholdCurve:
    """What each threshold would have earned."""

    threshold: FloatArray
    """(k,) ascending."""
    trades: IntArray
    """(k,)"""
    equity: FloatArray
    """(k,) final equity."""
    low: FloatArray
    """(k,) 5 % bound of the equity, normal approximation of the log growth."""

    def best(self) -> float:
        """The threshold with the highest 5 % bound; NEVER when none was tried.

        Not below 0: nobody buys what is expected to lose after fees, whatever luck it had.
        """
        sensible = self.threshold >= 0
        return float(self.threshold[sensible][self.low[sensible].argmax()]) if sensible.any() else NEVER


def threshold_curve(
    paths: Paths, future_open: npt.NDArray[np.floating], tried: int, fewest_trades: int
) -> ThresholdCurve:
    """Equity against threshold.

    Parameters
    ----------
    paths, future_open : (n, 120) forecasts and true open prices of the same samples.
    tried : thresholds to try; the highest expected gains are told apart most finely.
    fewest_trades : thresholds that trade less often say nothing and are left out.
    """
    gain, minute = expected_gain(paths)
    logs = np.log(growth(future_open, Orders(np.ones(len(gain)), minute)))
    order = np.argsort(-gain, kind="stable")
    most = len(gain) - 1
    empty = np.zeros(0)
    if most < fewest_trades:
        return ThresholdCurve(empty, np.zeros(0, np.int64), empty, empty)
    trades = np.unique(np.geomspace(fewest_trades, most, tried).round().astype(np.int64))[::-1]
    # A threshold between two expected gains trades on exactly those above it.
    threshold = gain[order][trades]
    above = gain[None, :] > threshold[:, None]
    total = above @ logs
    # Untraded samples grow by nothing, and count: whether a sample is traded is resampled with it.
    variance = above @ logs**2 - total**2 / len(gain)
    low = total - ONE_SIDED_5_PERCENT * np.sqrt(variance)
    return ThresholdCurve(threshold, above.sum(axis=1), START * np.exp(total), START * np.exp(low))


@dataclass(frozen=True)
class Verdict:
    """What the out-of-fold forecasts say about trading on them."""

    threshold: float
    """For the test split: best on all out-of-fold forecasts, or NEVER when they do not carry trading."""
    orders: Orders
    """Out of fold: each fold by the threshold of the others; nobody buys when trading is not carried."""
    evidence: float
    """Equity of those orders before the verdict."""
    evidence_low: float
    """Its 5 % bootstrap bound: above 10,000 carries trading."""


def judge(
    paths: Paths,
    future_open: npt.NDArray[np.floating],
    fold: IntArray,
    tried: int,
    fewest_trades: int,
) -> Verdict:
    """Tune the threshold out of fold, and trade only when the lower bound of the equity carries it.

    A threshold judged on the samples that it was tuned on looks better than it is. So each fold's orders
    follow the threshold that is best on the other folds, and the bound is computed from these orders.
    """
    buy, sell = np.zeros(len(fold)), np.zeros(len(fold), np.int64)
    for held_out in np.unique(fold):
        others, own = fold != held_out, fold == held_out
        threshold = threshold_curve(paths[others], future_open[others], tried, fewest_trades).best()
        orders = net_edge_orders(paths[own], threshold)
        buy[own], sell[own] = orders.buy_quantity, orders.sell_time
    crossed = Orders(buy, sell)
    factors = growth(future_open, crossed)
    low, _ = equity_interval(factors)
    carried = low > START
    return Verdict(
        threshold=threshold_curve(paths, future_open, tried, fewest_trades).best() if carried else NEVER,
        orders=crossed if carried else net_edge_orders(paths, NEVER),
        evidence=final_equity(factors),
        evidence_low=low,
    )
