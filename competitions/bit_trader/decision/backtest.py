"""Backtest of positions on known prices: equity, confidence interval, drawdown, figures per coin.

Repeated K-fold gives a sample one position per repeat. Its log growth is averaged over the repeats, so that
repeats reduce noise but do not count as additional samples; the interval resamples samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from common.files.tables import write_table
from common.learn.arrays import Bools, Float64, Floats, Int64
from common.learn.bootstrap import bootstrap_interval
from common.run.competition import Score
from competitions.bit_trader.data.bar_files import FUTURE_MINUTES
from competitions.bit_trader.rules.metric import START, growth, read_truth
from competitions.bit_trader.rules.submission import Positions, read_submission

INTERVAL_SEED = 10_000


@dataclass(frozen=True)
class Backtest:
    """Growth of each sample under given positions, one row per repeat."""

    factors: Float64
    """(repeats, n) factor by which each sample multiplied the equity."""
    factors_without_fees: Float64
    """(repeats, n) the same without fees."""
    bought: Bools
    """(repeats, n)"""

    @property
    def log_growth(self) -> Float64:
        """(n,) log growth of each sample, mean over the repeats."""
        logs: Float64 = np.log(self.factors).mean(axis=0)
        return logs

    @cached_property
    def figures(self) -> dict[str, float]:
        """Final equity and the figures that explain it.

        Returns
        -------
        equity, equity_low, equity_high (90 % interval), without_fees, trades (mean per repeat), hit_rate
        (share of trades with a gain after fees; 0 without trades), worst_drawdown.
        """
        low, high = equity_interval(self.log_growth)
        return {
            "equity": equity_of(self.log_growth),
            "equity_low": low,
            "equity_high": high,
            "without_fees": equity_of(np.log(self.factors_without_fees).mean(axis=0)),
            "trades": float(self.bought.sum()) / len(self.bought),
            "hit_rate": float((self.factors[self.bought] > 1).mean()) if self.bought.any() else 0.0,
            "worst_drawdown": worst_drawdown(self.log_growth),
        }

    def of_samples(self, selected: Bools) -> "Backtest":
        """The backtest of some samples only."""
        return Backtest(
            self.factors[:, selected], self.factors_without_fees[:, selected], self.bought[:, selected]
        )


def backtest(future_open: Floats, positions: Sequence[Positions]) -> Backtest:
    """Trade the true prices (n, 120) by n positions per repeat."""
    factors = np.stack([growth(future_open, each) for each in positions])
    without_fees = np.stack([growth(future_open, each, net=1.0) for each in positions])
    return Backtest(factors, without_fees, np.stack([each.buy_quantity > 0 for each in positions]))


def equity_of(log_growth: Float64) -> float:
    """Final equity from 10,000, given each sample's log growth (n,)."""
    return float(START * np.exp(log_growth.sum()))


def equity_interval(log_growth: Float64) -> tuple[float, float]:
    """Bootstrap over samples of the final equity: 5 % and 95 % quantiles, log growth (n,) resampled."""
    low, high = bootstrap_interval(log_growth, lambda logs: logs.sum(axis=1), INTERVAL_SEED)
    return START * float(np.exp(low)), START * float(np.exp(high))


def equity_curve(log_growth: Float64) -> Float64:
    """(n + 1,) equity before the first sample and after each, in the order given."""
    curve: Float64 = START * np.exp(np.concatenate([[0.0], np.cumsum(log_growth)]))
    return curve


def worst_drawdown(log_growth: Float64) -> float:
    """Largest loss from a peak of the equity curve, as a share of the peak; samples in the order given."""
    curve = equity_curve(log_growth)
    return float(np.max(1 - curve / np.maximum.accumulate(curve)))


def write_coins(path: Path, coin_index: Int64, future_open: Floats, tested: Backtest) -> Path:
    """Write one row per coin: samples, trades, hit_rate, equity with interval, held (always buying)."""
    last = Positions(np.ones(len(coin_index)), np.full(len(coin_index), FUTURE_MINUTES - 1))
    held = np.log(growth(future_open, last))
    rows = []
    for coin in np.unique(coin_index):
        selected = coin_index == coin
        figures = tested.of_samples(selected).figures
        kept = ("trades", "hit_rate", "equity", "equity_low", "equity_high")
        rows.append(
            {"coin_index": int(coin), "samples": int(selected.sum())}
            | {name: figures[name] for name in kept}
            | {"held": equity_of(held[selected])}
        )
    return write_table(path, pl.DataFrame(rows))


def score_submission(submission: Path, truth: Path) -> Score:
    """Final equity of a submission on the true prices, and the figures that explain it."""
    sample_id, future_open = read_truth(truth)
    figures = dict(backtest(future_open, [read_submission(submission, sample_id)]).figures)
    return Score(figures.pop("equity"), figures)
