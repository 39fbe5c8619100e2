"""How daring a strategy may be: thresholds tuned out of fold, and a verdict on whether to trade at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, product
from typing import cast

import numpy as np
import numpy.typing as npt

from competitions.bit_trader.data.bar_files import IntArray
from competitions.bit_trader.decision.backtest import backtest, equity_interval, equity_of
from competitions.bit_trader.decision.multiple_testing import deflated_sharpe, reality_check, sharpe
from competitions.bit_trader.decision.strategies import LOWEST_THRESHOLD, NEVER, Kind, Sell, Strategy
from competitions.bit_trader.experiment import Rule
from competitions.bit_trader.models.forecasts import Forecasts
from competitions.bit_trader.rules.metric import START, FloatArray, growth
from competitions.bit_trader.rules.submission import Orders

Prices = npt.NDArray[np.floating]
ONE_SIDED_5_PERCENT = 1.645
LARGEST_LUCK = 0.05
"""Of the reality check: with a higher chance of the same result by luck, nobody trades."""


@dataclass(frozen=True)
class ThresholdCurve:
    """What each threshold of one kind of strategy would have earned."""

    kind: Kind
    sell: Sell
    threshold: FloatArray
    """(k,) ascending."""
    trades: FloatArray
    """(k,) a repeat."""
    log_growth: FloatArray
    """(k, n) of each sample, mean over the repeats."""

    @property
    def equity(self) -> FloatArray:
        """(k,) final equity."""
        total: FloatArray = self.log_growth.sum(axis=1)
        return START * np.exp(total)

    @property
    def low_growth(self) -> FloatArray:
        """(k,) 5 % bound of the log growth over all samples, normal approximation.

        Untraded samples grow by nothing, and count: whether a sample is traded is resampled with it.
        """
        total, n = self.log_growth.sum(axis=1), self.log_growth.shape[1]
        variance = (self.log_growth**2).sum(axis=1) - total**2 / max(n, 1)
        bound: FloatArray = total - ONE_SIDED_5_PERCENT * np.sqrt(np.maximum(variance, 0))
        return bound

    @property
    def sensible(self) -> npt.NDArray[np.bool_]:
        """(k,) thresholds that may be chosen."""
        return self.threshold >= LOWEST_THRESHOLD[self.kind]


def threshold_curve(
    kind: Kind, rule: Rule, forecasts: Sequence[Forecasts], future_open: Prices
) -> ThresholdCurve:
    """Equity against threshold.

    Parameters
    ----------
    rule : how many thresholds to try, with how many trades at least, and when to sell.
    forecasts : one entry a repeat, all of the same n samples.
    future_open : (n, 120) true open prices of these.
    """
    scores, logs = [], []
    for each in forecasts:
        score, minute = Strategy(kind, rule.sell).scores(each)
        scores.append(score)
        logs.append(np.log(growth(future_open, Orders(np.ones(len(score)), minute))))
    n, most = len(future_open), len(future_open) - 1
    if most < rule.fewest_trades:
        return ThresholdCurve(kind, rule.sell, np.zeros(0), np.zeros(0), np.zeros((0, n)))
    trades = np.unique(np.geomspace(rule.fewest_trades, most, rule.thresholds).round().astype(np.int64))[::-1]
    # A threshold at one of the scores trades on exactly those above it.
    threshold = np.sort(np.concatenate(scores))[::-1][trades * len(forecasts)]
    grown, traded = np.zeros((len(threshold), n)), np.zeros(len(threshold))
    for score, log in zip(scores, logs, strict=True):
        above = score[None, :] > threshold[:, None]
        grown += np.where(above, log, 0) / len(forecasts)
        traded += above.sum(axis=1) / len(forecasts)
    return ThresholdCurve(kind, rule.sell, threshold, traded, grown)


def best_strategy(curves: Sequence[ThresholdCurve]) -> Strategy:
    """The sensible threshold with the highest 5 % bound of all curves; never buying when none was tried."""
    found, highest = Strategy("net_edge"), -np.inf
    for curve in curves:
        bounds = np.where(curve.sensible, curve.low_growth, -np.inf)
        if len(bounds) and bounds.max() > highest:
            highest = float(bounds.max())
            found = Strategy(curve.kind, curve.sell, float(curve.threshold[bounds.argmax()]))
    return found


@dataclass(frozen=True)
class Verdict:
    """What the out-of-fold forecasts say about trading on them."""

    strategy: Strategy
    """For the test split: the best on all out-of-fold forecasts, NEVER where they do not carry trading."""
    orders: list[Orders]
    """Out of fold, one entry a repeat: each group by the strategy that is best on the others; nobody buys
    when trading is not carried."""
    evidence: float
    """Equity of those orders before the verdict."""
    evidence_low: float
    """Its 5 % bootstrap bound: above 10,000 carries trading."""
    curves: list[ThresholdCurve]
    rules_tried: int
    luck: float
    """p-value of the reality check over all rules tried."""
    deflated_sharpe: float

    @property
    def trades(self) -> bool:
        """Whether trading is carried."""
        return self.strategy.threshold != NEVER


def judge(
    rule: Rule, forecasts: Sequence[Forecasts], future_open: Prices, groups: npt.NDArray[np.int64]
) -> Verdict:
    """Tune the strategy out of fold, and trade only when lower bound and reality check carry it.

    A threshold judged on the samples that it was tuned on looks better than it is. So the orders of each
    group (fold, or coin) follow the strategy that is best on the other groups, and the bound is computed
    from these orders. The reality check asks the other way round: how good the best of so many rules looks
    by luck.

    Parameters
    ----------
    forecasts, groups : one entry a repeat; groups (repeats, n) as from held_out.
    """
    crossed = [
        _crossed(rule, each, future_open, group) for each, group in zip(forecasts, groups, strict=True)
    ]
    log_growth = backtest(future_open, crossed).log_growth
    low, _ = equity_interval(log_growth)
    curves = [threshold_curve(kind, rule, forecasts, future_open) for kind in rule.tuned]
    tried = np.concatenate([curve.log_growth[curve.sensible] for curve in curves])
    luck, best = reality_check(tried), best_strategy(curves)
    carried = low > START and luck <= LARGEST_LUCK
    chosen = best if carried else Strategy(best.kind, best.sell)
    return Verdict(
        strategy=chosen,
        orders=crossed if carried else [chosen.orders(each) for each in forecasts],
        evidence=equity_of(log_growth),
        evidence_low=low,
        curves=curves,
        rules_tried=len(tried),
        luck=luck,
        deflated_sharpe=deflated_sharpe(log_growth, sharpe(tried)),
    )


def _crossed(rule: Rule, forecasts: Forecasts, future_open: Prices, group: IntArray) -> Orders:
    """Each group's orders by the strategy that is best on the other groups."""
    buy, sell = np.zeros(len(group)), np.zeros(len(group), np.int64)
    for held_out in np.unique(group):
        others, own = group != held_out, group == held_out
        curves = [
            threshold_curve(kind, rule, [forecasts.rows(others)], future_open[others]) for kind in rule.tuned
        ]
        orders = best_strategy(curves).orders(forecasts.rows(own))
        buy[own], sell[own] = orders.buy_quantity, orders.sell_time
    return Orders(buy, sell)


def curve_table(curves: Sequence[ThresholdCurve]) -> dict[str, FloatArray | list[str]]:
    """kind, threshold, trades, equity and low (5 % bound) of all curves, for a table."""
    columns = {
        "threshold": np.concatenate([curve.threshold for curve in curves]),
        "trades": np.concatenate([curve.trades for curve in curves]),
        "equity": np.concatenate([curve.equity for curve in curves]),
        "low": START * np.exp(np.concatenate([curve.low_growth for curve in curves])),
    }
    kinds = chain.from_iterable([str(curve.kind)] * len(curve.threshold) for curve in curves)
    return {"kind": list(kinds), **columns}


def compare_strategies(
    rule: Rule, forecasts: Sequence[Forecasts], future_open: Prices, groups: npt.NDArray[np.int64]
) -> list[dict[str, str | float]]:
    """What every strategy would have earned on the same forecasts, each tuned without the group it trades.

    Returns
    -------
    One entry a strategy: strategy, sell, and the figures of its backtest.
    """
    rows: list[dict[str, str | float]] = []
    for kind, sell in product(("printed", "price_threshold", "net_edge", "cautious"), ("best", "last")):
        if kind == "printed":
            orders = [Strategy("printed", cast(Sell, sell), 1.0).orders(each) for each in forecasts]
        else:
            alone = rule.model_copy(update={"kind": kind, "sell": sell})
            pairs = zip(forecasts, groups, strict=True)
            orders = [_crossed(alone, each, future_open, group) for each, group in pairs]
        rows.append({"strategy": kind, "sell": sell, **backtest(future_open, orders).figures()})
    return rows
