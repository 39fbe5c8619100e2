"""What orders would have earned, and how far that can be trusted: figures, interval, drawdown, coin by coin.

Repeated K-fold gives a sample one order a repeat. Its log growth is averaged over the repeats, so that
repeats calm the figures but never count as further samples; the interval resamples samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from common.base.atomic import atomic_write
from common.learn.bootstrap import bootstrap_interval
from common.run.competition import Score
from competitions.bit_trader.data.bar_files import FUTURE_MINUTES, IntArray
from competitions.bit_trader.rules.metric import START, FloatArray, growth, read_truth
from competitions.bit_trader.rules.submission import Orders, read_submission

INTERVAL_SEED = 10_000


@dataclass(frozen=True)
class Backtest:
    """Orders on known prices, one row a repeat."""

    factors: FloatArray
    """(repeats, n) what each sample multiplied the equity by."""
    free: FloatArray
    """(repeats, n) the same without fees."""
    bought: npt.NDArray[np.bool_]
    """(repeats, n)"""

    @property
    def log_growth(self) -> FloatArray:
        """(n,) log growth of each sample, mean over the repeats."""
        logs: FloatArray = np.log(self.factors).mean(axis=0)
        return logs

    def figures(self) -> dict[str, float]:
        """Final equity and what stands behind it.

        Returns
        -------
        equity, equity_low, equity_high (90 % interval), without_fees, trades (a repeat), hit_rate (share of
        the trades that gained after fees; 0 without trades), worst_drawdown.
        """
        low, high = equity_interval(self.log_growth)
        return {
            "equity": equity_of(self.log_growth),
            "equity_low": low,
            "equity_high": high,
            "without_fees": equity_of(np.log(self.free).mean(axis=0)),
            "trades": float(self.bought.sum()) / len(self.bought),
            "hit_rate": float((self.factors[self.bought] > 1).mean()) if self.bought.any() else 0.0,
            "worst_drawdown": worst_drawdown(self.log_growth),
        }

    def of_samples(self, chosen: npt.NDArray[np.bool_]) -> "Backtest":
        """The same for some samples alone."""
        return Backtest(self.factors[:, chosen], self.free[:, chosen], self.bought[:, chosen])


def backtest(future_open: npt.NDArray[np.floating], orders: Sequence[Orders]) -> Backtest:
    """Trade the true prices (n, 120) by one set of n orders a repeat."""
    factors = np.stack([growth(future_open, each) for each in orders])
    free = np.stack([growth(future_open, each, net=1.0) for each in orders])
    return Backtest(factors, free, np.stack([each.buy_quantity > 0 for each in orders]))


def equity_of(log_growth: FloatArray) -> float:
    """Equity after all samples, from 10,000 and each sample's log growth (n,)."""
    return float(START * np.exp(log_growth.sum()))


def equity_interval(log_growth: FloatArray) -> tuple[float, float]:
    """Bootstrap over samples of the final equity: 5 % and 95 % quantiles, log growth (n,) resampled."""
    low, high = bootstrap_interval(log_growth, lambda logs: logs.sum(axis=1), INTERVAL_SEED)
    return START * float(np.exp(low)), START * float(np.exp(high))


def equity_curve(log_growth: FloatArray) -> FloatArray:
    """(n + 1,) equity before the first sample and after each, in the order given."""
    curve: FloatArray = START * np.exp(np.concatenate([[0.0], np.cumsum(log_growth)]))
    return curve


def worst_drawdown(log_growth: FloatArray) -> float:
    """Largest loss from a peak of the equity curve, as a share of the peak; samples in the order given."""
    curve = equity_curve(log_growth)
    return float(np.max(1 - curve / np.maximum.accumulate(curve)))


def trading_figures(future_open: npt.NDArray[np.floating], orders: Orders) -> dict[str, float]:
    """`Backtest.figures` of one set of orders."""
    return backtest(future_open, [orders]).figures()


def write_coins(
    path: Path, coin_index: IntArray, future_open: npt.NDArray[np.floating], tested: Backtest
) -> Path:
    """Write one row a coin: samples, trades, hit_rate, equity with interval, held (always, to minute 119)."""
    last = Orders(np.ones(len(coin_index)), np.full(len(coin_index), FUTURE_MINUTES - 1))
    held = np.log(growth(future_open, last))
    rows = []
    for coin in np.unique(coin_index):
        chosen = coin_index == coin
        figures = tested.of_samples(chosen).figures()
        kept = ("trades", "hit_rate", "equity", "equity_low", "equity_high")
        rows.append(
            {"coin_index": int(coin), "samples": int(chosen.sum())}
            | {name: figures[name] for name in kept}
            | {"held": equity_of(held[chosen])}
        )
    with atomic_write(path) as partial:
        pl.DataFrame(rows).write_parquet(partial)
    return path


def score_submission(submission: Path, truth: Path) -> Score:
    """Final equity of a submission on the true prices, and the figures behind it."""
    sample_id, future_open = read_truth(truth)
    figures = trading_figures(future_open, read_submission(submission, sample_id))
    return Score(figures.pop("equity"), figures)
