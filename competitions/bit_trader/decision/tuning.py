"""Thresholds tuned on OOF forecasts by cross-fitting, and the significance gate: whether to trade at all.

A threshold evaluated on the samples that it was tuned on looks better than it is. Each group (fold or coin)
is therefore traded with the threshold that is best on the other groups. Scores, thresholds and backtests are
computed once per strategy and passed on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from common.learn.arrays import Bools, Float64, Floats, Int64
from competitions.bit_trader.decision.backtest import Backtest, backtest
from competitions.bit_trader.decision.multiple_testing import deflated_sharpe, reality_check, sharpe
from competitions.bit_trader.decision.strategies import (
    MIN_THRESHOLD,
    NEVER,
    Kind,
    Sell,
    Strategy,
    positions_above,
)
from competitions.bit_trader.experiment import Rule
from competitions.bit_trader.models.forecasts import Forecasts
from competitions.bit_trader.rules.metric import START, growth
from competitions.bit_trader.rules.submission import Positions

KINDS: tuple[Kind, ...] = ("paper_rule", "price_threshold", "expected_net_return", "risk_adjusted")
SELLS: tuple[Sell, ...] = ("best", "last")
ONE_SIDED_5_PERCENT = 1.645
SIGNIFICANCE_LEVEL = 0.05
"""Of the reality check."""


@dataclass(frozen=True)
class ScoredSamples:
    """One kind of strategy on one repeat's forecasts; thresholds are tried on these numbers."""

    kind: Kind
    sell: Sell
    score: Float64
    """(n,)"""
    minute: Int64
    """(n,) of the sale."""
    log_growth: Float64
    """(n,) after fees, if the sample is bought."""

    def rows(self, selected: Bools) -> "ScoredSamples":
        """Some of the samples."""
        return ScoredSamples(
            self.kind, self.sell, self.score[selected], self.minute[selected], self.log_growth[selected]
        )


def score_samples(kind: Kind, sell: Sell, forecasts: Forecasts, future_open: Floats) -> ScoredSamples:
    """Score all samples by one kind of strategy; `future_open` (n, 120) are their true prices."""
    score, minute = Strategy(kind, sell).scores(forecasts)
    log_growth = np.log(growth(future_open, Positions(np.ones(len(score)), minute)))
    return ScoredSamples(kind, sell, score, minute, log_growth)


@dataclass(frozen=True)
class ThresholdCurve:
    """Result of each threshold of one kind of strategy."""

    kind: Kind
    sell: Sell
    threshold: Float64
    """(k,) ascending."""
    trades: Float64
    """(k,) mean per repeat."""
    log_growth: Float64
    """(k, n) of each sample, mean over the repeats."""

    @property
    def equity(self) -> Float64:
        """(k,) final equity."""
        total: Float64 = self.log_growth.sum(axis=1)
        return START * np.exp(total)

    @property
    def low_growth(self) -> Float64:
        """(k,) 5 % bound of the log growth over all samples, normal approximation.

        Untraded samples count with growth 0, because whether a sample is traded is resampled with it.
        """
        total, n = self.log_growth.sum(axis=1), self.log_growth.shape[1]
        variance = (self.log_growth**2).sum(axis=1) - total**2 / max(n, 1)
        bound: Float64 = total - ONE_SIDED_5_PERCENT * np.sqrt(np.maximum(variance, 0))
        return bound

    @property
    def allowed(self) -> Bools:
        """(k,) thresholds that may be selected."""
        return self.threshold >= MIN_THRESHOLD[self.kind]


def threshold_curve(scored: Sequence[ScoredSamples], rule: Rule) -> ThresholdCurve:
    """Equity against threshold, with the number of thresholds and minimum of trades of `rule`.

    Parameters
    ----------
    scored : one entry per repeat, all of the same kind and the same n samples.
    """
    kind, sell = scored[0].kind, scored[0].sell
    n = len(scored[0].score)
    max_trades = n - 1
    if max_trades < rule.min_trades:
        return ThresholdCurve(kind, sell, np.zeros(0), np.zeros(0), np.zeros((0, n)))
    spaced = np.geomspace(rule.min_trades, max_trades, rule.n_thresholds)
    trades = np.unique(spaced.round().astype(np.int64))[::-1]
    # A threshold equal to one of the scores trades exactly the samples above it.
    threshold = np.sort(np.concatenate([each.score for each in scored]))[::-1][trades * len(scored)]
    log_growth, traded = np.zeros((len(threshold), n)), np.zeros(len(threshold))
    for each in scored:
        above = each.score[None, :] > threshold[:, None]  # (k, n)
        log_growth += np.where(above, each.log_growth, 0) / len(scored)
        traded += above.sum(axis=1) / len(scored)
    return ThresholdCurve(kind, sell, threshold, traded, log_growth)


@dataclass(frozen=True)
class TunedThreshold:
    """The best threshold of one curve."""

    strategy: Strategy
    low_growth: float
    """5 % bound of its log growth; -inf if no threshold is allowed."""


def best_threshold(curve: ThresholdCurve) -> TunedThreshold:
    """The allowed threshold with the highest 5 % bound; no trades if there is none."""
    bounds = np.where(curve.allowed, curve.low_growth, -np.inf)
    if not len(bounds) or bounds.max() == -np.inf:
        return TunedThreshold(Strategy(curve.kind, curve.sell), -np.inf)
    best = bounds.argmax()
    strategy = Strategy(curve.kind, curve.sell, float(curve.threshold[best]))
    return TunedThreshold(strategy, float(bounds[best]))


def best_strategy(candidates: Sequence[TunedThreshold]) -> Strategy:
    """The candidate with the highest 5 % bound, the first one on ties; no trades if none is allowed."""
    best, highest = Strategy("expected_net_return"), -np.inf
    for candidate in candidates:
        if candidate.low_growth > highest:
            best, highest = candidate.strategy, candidate.low_growth
    return best


@dataclass(frozen=True)
class CrossFitted:
    """OOF positions, and their backtest."""

    positions: list[Positions]
    """One entry per repeat."""
    tested: Backtest


@dataclass(frozen=True)
class StrategyResult:
    """One kind of strategy on all OOF forecasts."""

    scored: list[ScoredSamples]
    """One entry per repeat."""
    thresholds: list[dict[int, TunedThreshold]]
    """One entry per repeat: group -> threshold tuned on the other groups; empty for the paper's rule."""
    cross_fitted: CrossFitted
    """Each group traded with its threshold."""


StrategyResults = dict[tuple[Kind, Sell], StrategyResult]


def cross_fit_strategies(
    rule: Rule, forecasts: Sequence[Forecasts], future_open: Floats, groups: Int64
) -> StrategyResults:
    """Every kind of strategy on the same forecasts, cross-fitted.

    Parameters
    ----------
    forecasts : one entry per repeat, all of the same n samples.
    future_open : (n, 120) true prices.
    groups : (repeats, n) as from `cv_groups`.
    """
    results: StrategyResults = {}
    for kind, sell in product(KINDS, SELLS):
        scored = [score_samples(kind, sell, each, future_open) for each in forecasts]
        if kind == "paper_rule":
            tuned: list[dict[int, TunedThreshold]] = []
            positions = [positions_above(MIN_THRESHOLD[kind], each.score, each.minute) for each in scored]
        else:
            tuned = [_tuned_on_others(rule, *each) for each in zip(scored, groups, strict=True)]
            positions = _positions_by_group([scored], [tuned], groups)
        results[kind, sell] = StrategyResult(
            scored, tuned, CrossFitted(positions, backtest(future_open, positions))
        )
    return results


def _tuned_on_others(rule: Rule, scored: ScoredSamples, group: Int64) -> dict[int, TunedThreshold]:
    """Group -> threshold that is best on the samples of the other groups."""
    return {
        int(held_out): best_threshold(threshold_curve([scored.rows(group != held_out)], rule))
        for held_out in np.unique(group)
    }


def _positions_by_group(
    scored: Sequence[Sequence[ScoredSamples]],
    thresholds: Sequence[Sequence[dict[int, TunedThreshold]]],
    groups: Int64,
) -> list[Positions]:
    """Positions per repeat; each group is traded by the kind and threshold that are best on the other groups.

    Parameters
    ----------
    scored, thresholds : one entry per kind, and in it one per repeat.
    """
    positions = []
    for repeat, group in enumerate(groups):
        by_kind = {kind[repeat].kind: kind[repeat] for kind in scored}
        buy, sell = np.zeros(len(group)), np.zeros(len(group), np.int64)
        for held_out in np.unique(group):
            best = best_strategy([kind[repeat][int(held_out)] for kind in thresholds])
            if best.threshold == NEVER:
                continue
            own = group == held_out
            chosen = by_kind[best.kind].rows(own)
            traded = positions_above(best.threshold, chosen.score, chosen.minute)
            buy[own], sell[own] = traded.buy_quantity, traded.sell_time
        positions.append(Positions(buy, sell))
    return positions


@dataclass(frozen=True)
class GatedStrategy:
    """The tuned strategy, if its OOF result is significant; otherwise no trades."""

    strategy: Strategy
    """For the test split: the best on all OOF forecasts, with threshold NEVER if not significant."""
    cross_fitted: CrossFitted
    """OOF positions and backtest of what was decided: without trades if not significant."""
    equity: float
    """Cross-fitted OOF equity before the gate."""
    equity_low: float
    """Its lower 5 % bootstrap bound."""
    curves: list[ThresholdCurve]
    """One per tuned kind, on all OOF forecasts."""
    rules_tried: int
    p_value: float
    """Of the reality check over all rules tried."""
    deflated_sharpe: float

    @property
    def significant(self) -> bool:
        """Whether the strategy trades."""
        return self.strategy.threshold != NEVER


def significance_gate(
    rule: Rule, results: StrategyResults, future_open: Floats, groups: Int64
) -> GatedStrategy:
    """Tune `rule` and trade only if it is significantly better than never buying.

    Two conditions: the lower 5 % bootstrap bound of the cross-fitted equity exceeds 10,000, and White's
    reality check over all thresholds tried gives p <= 0.05.

    Parameters
    ----------
    results : from `cross_fit_strategies` on the same prices and groups.
    """
    parts = [results[kind, rule.sell] for kind in rule.tuned]
    before_gate = (
        parts[0].cross_fitted if len(parts) == 1 else _best_of_each_group(parts, future_open, groups)
    )
    figures = before_gate.tested.figures
    curves = [threshold_curve(part.scored, rule) for part in parts]
    tried = np.concatenate([curve.log_growth[curve.allowed] for curve in curves])
    p_value, best = reality_check(tried), best_strategy([best_threshold(curve) for curve in curves])
    significant = figures["equity_low"] > START and p_value <= SIGNIFICANCE_LEVEL
    return GatedStrategy(
        strategy=best if significant else Strategy(best.kind, best.sell),
        cross_fitted=before_gate if significant else _no_trades(future_open, len(groups)),
        equity=figures["equity"],
        equity_low=figures["equity_low"],
        curves=curves,
        rules_tried=len(tried),
        p_value=p_value,
        deflated_sharpe=deflated_sharpe(before_gate.tested.log_growth, sharpe(tried)),
    )


def _best_of_each_group(parts: Sequence[StrategyResult], future_open: Floats, groups: Int64) -> CrossFitted:
    positions = _positions_by_group(
        [part.scored for part in parts], [part.thresholds for part in parts], groups
    )
    return CrossFitted(positions, backtest(future_open, positions))


def _no_trades(future_open: Floats, repeats: int) -> CrossFitted:
    n = len(future_open)
    positions = [Positions(np.zeros(n), np.zeros(n, np.int64))] * repeats
    return CrossFitted(positions, backtest(future_open, positions))
