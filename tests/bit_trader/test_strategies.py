"""Strategies: from forecasts to orders, and when out-of-fold evidence carries trading."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from competitions.bit_trader.decision.backtest import backtest, equity_of
from competitions.bit_trader.decision.strategies import NEVER, PRINTED, Kind, Strategy, expected_growth
from competitions.bit_trader.decision.tuning import best_strategy, compare_strategies, judge, threshold_curve
from competitions.bit_trader.experiment import Rule
from competitions.bit_trader.models.forecasts import Forecasts
from competitions.bit_trader.rules.metric import NET_OF_FEES, final_equity, growth

KINDS: tuple[Kind, ...] = ("price_threshold", "net_edge", "cautious")
ALL = Rule(
    kind="best_of", candidates=["price_threshold", "net_edge", "cautious"], thresholds=20, fewest_trades=5
)
EDGE = Rule(kind="net_edge", thresholds=20, fewest_trades=5)


def forecasts(paths: np.ndarray, volatility: float = 0.001) -> Forecasts:
    return Forecasts(np.arange(len(paths)), paths.astype(np.float32), np.full(len(paths), volatility))


def test_the_printed_rule() -> None:
    paths = np.full((4, 120), 0.999)
    paths[0, 30], paths[0, 40] = 1.0001, 1.002
    paths[1, :] = 1.0  # not above 1
    paths[2, :] = 1.01  # a flat line above 1 buys, and sells at once
    orders = PRINTED.orders(forecasts(paths))
    assert orders.buy_quantity.tolist() == [1, 0, 1, 0]
    assert orders.sell_time.tolist() == [40, 0, 0, 0]


def test_a_price_threshold_asks_for_more() -> None:
    paths = np.full((2, 120), 1.0)
    paths[0, 10], paths[1, 20] = 1.001, 1.003
    orders = Strategy("price_threshold", threshold=1.002).orders(forecasts(paths))
    assert orders.buy_quantity.tolist() == [0, 1]
    assert orders.sell_time.tolist() == [0, 20]


def test_the_expected_gain_divides_by_the_purchase_and_pays_both_fees() -> None:
    paths = np.full((2, 120), 2.0)
    paths[0, 70] = 2.2
    score, minute = Strategy("net_edge").scores(forecasts(paths))
    assert score == pytest.approx([np.log(1.1 * NET_OF_FEES), np.log(NET_OF_FEES)], abs=1e-6)
    assert minute.tolist() == [70, 0]
    assert Strategy("net_edge", threshold=0.0).orders(forecasts(paths)).buy_quantity.tolist() == [1, 0]
    assert Strategy("net_edge").orders(forecasts(paths)).buy_quantity.tolist() == [0, 0]


def test_the_last_minute_is_sold_at_when_asked_for() -> None:
    paths = np.full((2, 120), 1.0)
    paths[0, 70] = 1.1
    paths[1, 119] = 1.05
    orders = Strategy("net_edge", "last", 0.0).orders(forecasts(paths))
    assert orders.buy_quantity.tolist() == [0, 1]  # the peak at minute 70 is gone by minute 119
    assert orders.sell_time.tolist() == [0, 119]


def test_caution_prefers_the_calm_coin_and_the_early_minute() -> None:
    paths = np.full((1, 120), 1.0)
    paths[0, 9], paths[0, 81] = 1.010, 1.012
    calm, wild = forecasts(paths, 0.001), forecasts(paths, 0.01)
    score, minute = Strategy("cautious").scores(calm)
    assert minute[0] == 9  # 1.2 % at minute 81 is worth less than 1 % at minute 9
    assert score[0] == pytest.approx(np.log(1.010 * NET_OF_FEES) / (0.001 * 3), rel=1e-3)
    assert Strategy("net_edge").scores(calm)[1][0] == 81
    assert Strategy("cautious").scores(wild)[0][0] == pytest.approx(score[0] / 10)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(KINDS), st.sampled_from(["best", "last"]), st.floats(0, 2))
def test_strategies_treat_each_sample_alone(seed: int, kind: Kind, sell: str, threshold: float) -> None:
    generator = np.random.default_rng(seed)
    paths = np.exp(np.cumsum(0.001 * generator.normal(size=(12, 120)), axis=1))
    given_forecasts = forecasts(paths)
    strategy = Strategy(kind, sell, threshold)  # type: ignore[arg-type]
    orders = strategy.orders(given_forecasts)
    assert set(orders.buy_quantity) <= {0.0, 1.0}
    assert ((orders.sell_time >= 0) & (orders.sell_time < 120)).all()
    assert (orders.sell_time[orders.buy_quantity == 0] == 0).all()
    order = generator.permutation(12)
    shuffled = strategy.orders(given_forecasts.rows(order))
    assert np.array_equal(shuffled.buy_quantity, orders.buy_quantity[order])
    assert np.array_equal(shuffled.sell_time, orders.sell_time[order])
    stricter = Strategy(kind, sell, threshold + 0.01).orders(given_forecasts)  # type: ignore[arg-type]
    assert (stricter.buy_quantity <= orders.buy_quantity).all()


def test_expected_growth_begins_with_the_fees() -> None:
    growth_by_minute = expected_growth(np.linspace(1, 2, 120, dtype=np.float32)[None, :])
    assert growth_by_minute[0, 0] == pytest.approx(np.log(NET_OF_FEES))
    assert growth_by_minute[0, -1] == pytest.approx(np.log(2 * NET_OF_FEES))


def test_a_network_that_forecasts_prices_below_zero_is_no_reason_to_fail() -> None:
    paths = np.full((2, 120), 1.0)
    paths[0, :60], paths[1, 60:] = -0.3, -0.3
    for kind in KINDS:
        score, minute = Strategy(kind).scores(forecasts(paths))
        assert np.isfinite(score).all()
        assert minute[0] == 60
        assert minute[1] < 60


def market(skill: float, samples: int, seed: int) -> tuple[Forecasts, np.ndarray, np.ndarray]:
    """Forecasts, true prices and folds; `skill` is the share of the true drift that is forecast."""
    generator = np.random.default_rng(seed)
    minutes = np.arange(120) / 119
    drift = 0.02 * generator.normal(size=(samples, 1))
    future = np.exp(drift * minutes)
    guess = skill * drift + (1 - skill) * 0.02 * generator.normal(size=(samples, 1))
    return forecasts(np.exp(guess * minutes)), future, np.arange(samples)[None, :] % 5


@pytest.mark.parametrize("kind", KINDS)
def test_each_point_of_the_curve_is_what_its_threshold_earns(kind: Kind) -> None:
    expected, future, _ = market(0.5, 150, seed=1)
    rule = Rule(thresholds=12, fewest_trades=5)
    curve = threshold_curve(kind, rule, [expected], future)
    assert (np.diff(curve.threshold) >= 0).all()
    assert curve.trades.min() >= 5
    for threshold, trades, equity in zip(curve.threshold, curve.trades, curve.equity, strict=True):
        orders = Strategy(kind, threshold=threshold).orders(expected)
        assert orders.buy_quantity.sum() == trades
        assert final_equity(growth(future, orders)) == pytest.approx(equity)
    assert (curve.low_growth <= curve.log_growth.sum(axis=1)).all()


def test_repeats_are_averaged_and_equal_repeats_change_nothing() -> None:
    expected, future, folds = market(0.8, 150, seed=2)
    once = judge(EDGE, [expected], future, folds)
    twice = judge(EDGE, [expected, expected], future, np.concatenate([folds, folds]))
    assert twice.strategy == once.strategy
    assert twice.evidence == pytest.approx(once.evidence)
    assert twice.evidence_low == pytest.approx(once.evidence_low)
    assert twice.luck == pytest.approx(once.luck)


def test_skill_is_traded() -> None:
    expected, future, folds = market(0.8, 200, seed=2)
    for rule in (EDGE, ALL):
        verdict = judge(rule, [expected], future, folds)
        assert verdict.trades
        assert verdict.strategy.threshold >= 0
        assert verdict.evidence_low > 10000
        assert verdict.luck < 0.01
        assert verdict.deflated_sharpe > 0.5
        assert equity_of(backtest(future, verdict.orders).log_growth) == pytest.approx(verdict.evidence)


def test_forecasts_without_skill_are_hardly_ever_traded() -> None:
    carried = []
    for seed in range(20):
        expected, future, folds = market(0.0, 200, seed)
        verdict = judge(EDGE, [expected], future, folds)
        carried.append(verdict.trades)
        if not carried[-1]:
            assert verdict.strategy.threshold == NEVER
            assert verdict.orders[0].buy_quantity.sum() == 0
    assert sum(carried) <= 2


def test_a_fold_is_traded_by_the_strategy_of_the_others() -> None:
    """Whatever its own future was: another future in fold 0 leaves the orders of fold 0 as they are."""
    expected, future, folds = market(0.8, 200, seed=3)
    own = folds[0] == 0
    orders = judge(ALL, [expected], future, folds).orders[0]
    other = future.copy()
    other[own] **= 1.2
    again = judge(ALL, [expected], other, folds).orders[0]
    assert again.buy_quantity[own].tolist() == orders.buy_quantity[own].tolist()
    assert again.sell_time[own].tolist() == orders.sell_time[own].tolist()


def test_nobody_buys_what_is_expected_to_lose() -> None:
    """Prices that rise whenever a fall is forecast would pay for a negative threshold; it is not chosen."""
    generator = np.random.default_rng(4)
    minutes = np.arange(120) / 119
    fall = forecasts(np.exp(-generator.uniform(0.001, 0.01, (200, 1)) * minutes))
    future = np.exp(generator.uniform(0.01, 0.03, (200, 1)) * minutes)
    held = EDGE.model_copy(update={"sell": "last"})
    curve = threshold_curve("net_edge", held, [fall], future)
    assert curve.equity.min() > 10000
    assert (curve.threshold < 0).all()
    assert best_strategy([curve]).threshold == NEVER
    assert not judge(held, [fall], future, np.arange(200)[None, :] % 5).trades


def test_too_few_samples_never_buy() -> None:
    expected, future, folds = market(1.0, 5, seed=0)
    verdict = judge(Rule(kind="net_edge", fewest_trades=8), [expected], future, folds)
    assert not verdict.trades
    assert verdict.rules_tried == 0


def test_every_strategy_is_compared_on_the_same_forecasts() -> None:
    expected, future, folds = market(0.8, 100, seed=5)
    rows = compare_strategies(EDGE, [expected], future, folds)
    assert [(row["strategy"], row["sell"]) for row in rows] == [
        (kind, sell) for kind in ("printed", *KINDS) for sell in ("best", "last")
    ]
    printed = backtest(future, [PRINTED.orders(expected)]).figures()
    assert rows[0]["equity"] == printed["equity"]
    alone = judge(EDGE, [expected], future, folds)
    (edge,) = (row for row in rows if row["strategy"] == "net_edge" and row["sell"] == "best")
    assert edge["equity"] == pytest.approx(alone.evidence)
