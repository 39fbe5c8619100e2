"""Strategies: from a forecast to a position.

A strategy uses a sample's forecast path and the volatility of its own past, nothing else. Each kind gives a
sample a score and a minute to sell; it buys with the whole equity where the score exceeds a threshold:

    paper_rule           highest forecast price, threshold 1 (the paper's "high risk, high return")
    price_threshold      highest forecast price, tuned threshold of at least 1 expected_net_return  expected
    log return after both fees, tuned threshold of at least 0 risk_adjusted        expected log return divided
    by the path's uncertainty at the sale, threshold of at least 0
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from common.learn.arrays import Float32, Float64, Int64
from competitions.bit_trader.data.bar_files import FUTURE_MINUTES
from competitions.bit_trader.models.forecasts import Forecasts
from competitions.bit_trader.rules.metric import NET_OF_FEES
from competitions.bit_trader.rules.submission import Positions

Kind = Literal["paper_rule", "price_threshold", "expected_net_return", "risk_adjusted"]
Sell = Literal["best", "last"]
MIN_PRICE = 1e-3
NEVER = float("inf")
"""The threshold that no score exceeds."""
MIN_THRESHOLD: dict[Kind, float] = {
    "paper_rule": 1.0,
    "price_threshold": 1.0,
    "expected_net_return": 0.0,
    "risk_adjusted": 0.0,
}
"""Lower thresholds would buy what is expected to fall, or to lose after fees."""


@dataclass(frozen=True)
class Strategy:
    """A kind, when it sells, and the threshold of its score."""

    kind: Kind
    sell: Sell = "best"
    """best: at the best expected minute; last: at minute 119."""
    threshold: float = NEVER

    def positions(self, forecasts: Forecasts) -> Positions:
        """Buy with the whole equity where the score exceeds the threshold."""
        return positions_above(self.threshold, *self.scores(forecasts))

    def scores(self, forecasts: Forecasts) -> tuple[Float64, Int64]:
        """Score (n,) and minute of the sale (n,) of each sample."""
        by_minute = _SCORES[self.kind](forecasts)
        n = len(by_minute)
        minute = np.full(n, FUTURE_MINUTES - 1) if self.sell == "last" else by_minute.argmax(axis=1)
        return by_minute[np.arange(n), minute], minute.astype(np.int64)


def positions_above(threshold: float, score: Float64, minute: Int64) -> Positions:
    """Buy with the whole equity where `score` (n,) exceeds the threshold, sell at `minute` (n,)."""
    buys = score > threshold
    return Positions(buys.astype(np.float64), np.where(buys, minute, 0))


PAPER_RULE = Strategy("paper_rule", threshold=1.0)
"""As printed, although 1 is the open of x minute 1379 and the official equity divides by y_open[0]."""


def _price(forecasts: Forecasts) -> Float64:
    return forecasts.paths.astype(np.float64)


def _expected_net_return(forecasts: Forecasts) -> Float64:
    return expected_growth(forecasts.paths)


def _risk_adjusted(forecasts: Forecasts) -> Float64:
    """A random walk's uncertainty grows with the square root of the minutes; minute 0 counts as minute 1."""
    minutes = np.maximum(np.arange(FUTURE_MINUTES), 1)
    return expected_growth(forecasts.paths) / (forecasts.volatility[:, None] * np.sqrt(minutes))


_SCORES = {
    "paper_rule": _price,
    "price_threshold": _price,
    "expected_net_return": _expected_net_return,
    "risk_adjusted": _risk_adjusted,
}
"""Kind -> (n, 120) score of a sale at each minute."""


def expected_growth(paths: Float32) -> Float64:
    """(n, 120): log growth after both fees when bought at minute 0 and sold at each forecast minute."""
    # An undertrained network may forecast a price below zero.
    prices = np.maximum(paths.astype(np.float64), MIN_PRICE)
    growth: Float64 = np.log(prices / prices[:, :1] * NET_OF_FEES)
    return growth
