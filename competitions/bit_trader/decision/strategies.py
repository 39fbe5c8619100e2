"""Strategies: from a forecast to an order.

A strategy sees a sample's forecast path and the volatility of its own past, nothing else. Each kind gives a
sample a score and a minute to sell; it buys all where the score exceeds a threshold:

    printed          highest forecast price, threshold 1 (the article's "high risk, high return")
    price_threshold  the same with another threshold, never below 1
    net_edge         expected log growth since the purchase after both fees, threshold never below 0
    cautious         that growth in units of the path's own uncertainty at the sale, threshold never below 0
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from competitions.bit_trader.data.bar_files import FUTURE_MINUTES, IntArray
from competitions.bit_trader.models.forecasts import Forecasts, Paths
from competitions.bit_trader.rules.metric import NET_OF_FEES
from competitions.bit_trader.rules.submission import Orders

FloatArray = npt.NDArray[np.float64]
Kind = Literal["printed", "price_threshold", "net_edge", "cautious"]
Sell = Literal["best", "last"]
LOWEST_PRICE = 1e-3
NEVER = float("inf")
"""The threshold that no score exceeds."""
LOWEST_THRESHOLD: dict[Kind, float] = {
    "printed": 1.0,
    "price_threshold": 1.0,
    "net_edge": 0.0,
    "cautious": 0.0,
}
"""Nobody buys what is expected to fall, or to lose after fees, whatever luck that would have had."""


@dataclass(frozen=True)
class Strategy:
    """A kind, when it sells, and the threshold of its score."""

    kind: Kind
    sell: Sell = "best"
    """best: at the best expected minute; last: at minute 119."""
    threshold: float = NEVER

    def orders(self, forecasts: Forecasts) -> Orders:
        """Buy all where the score exceeds the threshold."""
        score, minute = self.scores(forecasts)
        buys = score > self.threshold
        return Orders(buys.astype(np.float64), np.where(buys, minute, 0))

    def scores(self, forecasts: Forecasts) -> tuple[FloatArray, IntArray]:
        """Score (n,) and minute of the sale (n,) of each sample."""
        by_minute = _SCORES[self.kind](forecasts)
        n = len(by_minute)
        minute = np.full(n, FUTURE_MINUTES - 1) if self.sell == "last" else by_minute.argmax(axis=1)
        return by_minute[np.arange(n), minute], minute.astype(np.int64)


PRINTED = Strategy("printed", threshold=1.0)
"""As printed, though 1 is the open of x minute 1379, while the official equity divides by y_open[0]."""


def _price(forecasts: Forecasts) -> FloatArray:
    return forecasts.paths.astype(np.float64)


def _net_edge(forecasts: Forecasts) -> FloatArray:
    return expected_growth(forecasts.paths)


def _cautious(forecasts: Forecasts) -> FloatArray:
    """A random walk's uncertainty grows with the root of the minutes; minute 0 is sure to lose the fees."""
    minutes = np.maximum(np.arange(FUTURE_MINUTES), 1)
    return expected_growth(forecasts.paths) / (forecasts.volatility[:, None] * np.sqrt(minutes))


_SCORES = {"printed": _price, "price_threshold": _price, "net_edge": _net_edge, "cautious": _cautious}


def expected_growth(paths: Paths) -> FloatArray:
    """(n, 120): log growth after both fees when bought at minute 0 and sold at each forecast minute."""
    # A network that learned little may forecast a price below zero.
    prices = np.maximum(paths.astype(np.float64), LOWEST_PRICE)
    return np.log(prices / prices[:, :1] * NET_OF_FEES)
