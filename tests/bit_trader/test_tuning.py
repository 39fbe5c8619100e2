"""Thresholds, cross-fitting and the significance gate; each backtest is computed once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from competitions.bit_trader.data.windows import Windows
from competitions.bit_trader.decision import tuning
from competitions.bit_trader.decision.backtest import Backtest, backtest
from competitions.bit_trader.decision.out_of_fold import decide
from competitions.bit_trader.decision.strategies import NEVER, PAPER_RULE, Kind, Strategy
from competitions.bit_trader.decision.tuning import (
    GatedStrategy,
    best_strategy,
    best_threshold,
    cross_fit_strategies,
    score_samples,
    significance_gate,
    threshold_curve,
)
from competitions.bit_trader.experiment import BitTraderExperiment, Rule
from competitions.bit_trader.models.forecasts import Forecasts
from competitions.bit_trader.rules.metric import final_equity, growth
from competitions.bit_trader.rules.submission import Positions

KINDS: tuple[Kind, ...] = ("price_threshold", "expected_net_return", "risk_adjusted")
ALL = Rule(
    kind="best_of",
    candidates=["price_threshold", "expected_net_return", "risk_adjusted"],
    n_thresholds=20,
    min_trades=5,
)
ONE = Rule(kind="expected_net_return", n_thresholds=20, min_trades=5)


def forecasts(paths: np.ndarray, volatility: float = 0.001) -> Forecasts:
    return Forecasts(np.arange(len(paths)), paths.astype(np.float32), np.full(len(paths), volatility))


def market(skill: float, samples: int, seed: int) -> tuple[Forecasts, np.ndarray, np.ndarray]:
    """Forecasts, true prices and folds; `skill` is the share of the true drift that is forecast."""
    generator = np.random.default_rng(seed)
    minutes = np.arange(120) / 119
    drift = 0.02 * generator.normal(size=(samples, 1))
    future = np.exp(drift * minutes)
    guess = skill * drift + (1 - skill) * 0.02 * generator.normal(size=(samples, 1))
    return forecasts(np.exp(guess * minutes)), future, np.arange(samples)[None, :] % 5


def gate(rule: Rule, expected: Sequence[Forecasts], future: np.ndarray, groups: np.ndarray) -> GatedStrategy:
    return significance_gate(rule, cross_fit_strategies(rule, expected, future, groups), future, groups)


@pytest.mark.parametrize("kind", KINDS)
def test_each_point_of_the_curve_is_the_result_of_its_threshold(kind: Kind) -> None:
    expected, future, _ = market(0.5, 150, seed=1)
    rule = Rule(n_thresholds=12, min_trades=5)
    curve = threshold_curve([score_samples(kind, "best", expected, future)], rule)
    assert (np.diff(curve.threshold) >= 0).all()
    assert curve.trades.min() >= 5
    for threshold, trades, equity in zip(curve.threshold, curve.trades, curve.equity, strict=True):
        positions = Strategy(kind, threshold=threshold).positions(expected)
        assert positions.buy_quantity.sum() == trades
        assert final_equity(growth(future, positions)) == pytest.approx(equity)
    assert (curve.low_growth <= curve.log_growth.sum(axis=1)).all()


def test_repeats_are_averaged_and_equal_repeats_change_nothing() -> None:
    expected, future, folds = market(0.8, 150, seed=2)
    once = gate(ONE, [expected], future, folds)
    twice = gate(ONE, [expected, expected], future, np.concatenate([folds, folds]))
    assert twice.strategy == once.strategy
    assert twice.equity == pytest.approx(once.equity)
    assert twice.equity_low == pytest.approx(once.equity_low)
    assert twice.p_value == pytest.approx(once.p_value)


def test_skill_is_traded() -> None:
    expected, future, folds = market(0.8, 200, seed=2)
    for rule in (ONE, ALL):
        gated = gate(rule, [expected], future, folds)
        assert gated.significant
        assert gated.strategy.threshold >= 0
        assert gated.equity_low > 10000
        assert gated.p_value < 0.01
        assert gated.deflated_sharpe > 0.5
        assert gated.cross_fitted.tested.figures["equity"] == gated.equity
        again = backtest(future, gated.cross_fitted.positions)
        assert again.figures["equity"] == pytest.approx(gated.equity)


def test_forecasts_without_skill_are_hardly_ever_traded() -> None:
    significant = []
    for seed in range(20):
        expected, future, folds = market(0.0, 200, seed)
        gated = gate(ONE, [expected], future, folds)
        significant.append(gated.significant)
        if not significant[-1]:
            assert gated.strategy.threshold == NEVER
            assert gated.cross_fitted.positions[0].buy_quantity.sum() == 0
            assert gated.cross_fitted.tested.figures["equity"] == 10000
    assert sum(significant) <= 2


def test_a_fold_is_traded_with_the_threshold_of_the_others() -> None:
    """Another future in fold 0 leaves the positions of fold 0 unchanged."""
    expected, future, folds = market(0.8, 200, seed=3)
    own = folds[0] == 0
    positions = gate(ALL, [expected], future, folds).cross_fitted.positions[0]
    other = future.copy()
    other[own] **= 1.2
    again = gate(ALL, [expected], other, folds).cross_fitted.positions[0]
    assert again.buy_quantity[own].tolist() == positions.buy_quantity[own].tolist()
    assert again.sell_time[own].tolist() == positions.sell_time[own].tolist()


def test_nobody_buys_at_an_expected_loss() -> None:
    """Prices that rise whenever a fall is forecast would pay for a negative threshold; it is not selected."""
    generator = np.random.default_rng(4)
    minutes = np.arange(120) / 119
    fall = forecasts(np.exp(-generator.uniform(0.001, 0.01, (200, 1)) * minutes))
    future = np.exp(generator.uniform(0.01, 0.03, (200, 1)) * minutes)
    held = ONE.model_copy(update={"sell": "last"})
    curve = threshold_curve([score_samples("expected_net_return", "last", fall, future)], held)
    assert curve.equity.min() > 10000
    assert (curve.threshold < 0).all()
    assert best_strategy([best_threshold(curve)]).threshold == NEVER
    assert not gate(held, [fall], future, np.arange(200)[None, :] % 5).significant


def test_too_few_samples_are_not_traded() -> None:
    expected, future, folds = market(1.0, 5, seed=0)
    gated = gate(Rule(kind="expected_net_return", min_trades=8), [expected], future, folds)
    assert not gated.significant
    assert gated.rules_tried == 0


def test_every_strategy_is_compared_on_the_same_forecasts() -> None:
    expected, future, folds = market(0.8, 100, seed=5)
    results = cross_fit_strategies(ONE, [expected], future, folds)
    assert list(results) == [(kind, sell) for kind in ("paper_rule", *KINDS) for sell in ("best", "last")]
    paper = backtest(future, [PAPER_RULE.positions(expected)]).figures
    assert results["paper_rule", "best"].cross_fitted.tested.figures == paper
    gated = significance_gate(ONE, results, future, folds)
    alone = results["expected_net_return", "best"].cross_fitted
    assert gated.cross_fitted is alone
    assert alone.tested.figures["equity"] == gated.equity


@pytest.mark.parametrize(
    ("rule", "skill", "backtests", "curves"),
    [
        # Eight kinds of strategies; six have a threshold, tuned for each of five folds.
        (Rule(), 0.8, 8, 6 * 5),
        # The rule is one of the eight; one more curve on all samples.
        (ONE, 0.8, 8, 6 * 5 + 1),
        # best_of combines the kinds of its candidates: another strategy, another backtest.
        (ALL, 0.8, 9, 6 * 5 + 3),
        # Without significance: a backtest of no trades.
        (ALL, 0.0, 10, 6 * 5 + 3),
    ],
)
def test_each_backtest_and_each_curve_is_computed_once(
    rule: Rule, skill: float, backtests: int, curves: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, future, _ = market(skill, 100, seed=1)
    n = np.arange(100)
    bars = np.repeat(future[:, :, None], 9, axis=2).astype(np.float32)
    windows = Windows(n, n % 10, n[:, None], np.ones((100, 1380, 9), np.float32), bars)
    tested: list[Backtest] = []
    tuned: list[tuple[Any, ...]] = []

    def counted_backtest(future_open: np.ndarray, positions: Sequence[Positions]) -> Backtest:
        tested.append(backtest(future_open, positions))
        return tested[-1]

    def counted_curve(scored: Sequence[tuning.ScoredSamples], rule: Rule) -> tuning.ThresholdCurve:
        tuned.append(tuple((each.kind, each.sell, each.score.tobytes()) for each in scored))
        return threshold_curve(scored, rule)

    monkeypatch.setattr(tuning, "backtest", counted_backtest)
    monkeypatch.setattr(tuning, "threshold_curve", counted_curve)
    monkeypatch.setattr(tuning, "reality_check", lambda _: 0.01 if skill else 1.0)
    decision = decide(BitTraderExperiment(name="x", rule=rule), windows, [expected])
    assert (decision.strategy.threshold == NEVER) == (not skill)
    assert len(tested) == backtests
    assert len(tuned) == len(set(tuned)) == curves
    assert any(decision.cross_fitted.tested is each for each in tested)
