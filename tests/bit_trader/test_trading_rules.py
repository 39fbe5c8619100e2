"""Rules: from forecasts to orders, and when out-of-fold evidence carries trading."""

import numpy as np
import pytest

from competitions.bit_trader.equity import NET_OF_FEES, final_equity, growth
from competitions.bit_trader.trading_rules import (
    NEVER,
    expected_gain,
    judge,
    net_edge_orders,
    printed_orders,
    threshold_curve,
)


def test_the_printed_rule() -> None:
    paths = np.full((4, 120), 0.999, np.float32)
    paths[0, 30], paths[0, 40] = 1.0001, 1.002
    paths[1, :] = 1.0  # not above 1
    paths[2, :] = 1.01  # a flat line above 1 buys, and sells at once
    orders = printed_orders(paths)
    assert orders.buy_quantity.tolist() == [1, 0, 1, 0]
    assert orders.sell_time.tolist() == [40, 0, 0, 0]


def test_the_expected_gain_divides_by_the_purchase_and_pays_both_fees() -> None:
    paths = np.full((2, 120), 2.0, np.float32)
    paths[0, 70] = 2.2
    gain, minute = expected_gain(paths)
    assert gain == pytest.approx([np.log(1.1 * NET_OF_FEES), np.log(NET_OF_FEES)], abs=1e-6)
    assert minute.tolist() == [70, 0]
    assert net_edge_orders(paths, 0.0).buy_quantity.tolist() == [1, 0]
    assert net_edge_orders(paths, NEVER).buy_quantity.tolist() == [0, 0]


def market(skill: float, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Forecast paths, true prices and folds; `skill` is the share of the true drift that is forecast."""
    generator = np.random.default_rng(seed)
    minutes = np.arange(120) / 119
    drift = 0.02 * generator.normal(size=(samples, 1))
    future = np.exp(drift * minutes)
    guess = skill * drift + (1 - skill) * 0.02 * generator.normal(size=(samples, 1))
    return np.exp(guess * minutes).astype(np.float32), future, np.arange(samples) % 5


def test_each_point_of_the_curve_is_what_its_threshold_earns() -> None:
    paths, future, _ = market(0.5, 150, seed=1)
    curve = threshold_curve(paths, future, tried=12, fewest_trades=5)
    assert (np.diff(curve.threshold) >= 0).all()
    assert curve.trades.min() >= 5
    for threshold, trades, equity in zip(curve.threshold, curve.trades, curve.equity, strict=True):
        orders = net_edge_orders(paths, threshold)
        assert orders.buy_quantity.sum() == trades
        assert final_equity(growth(future, orders)) == pytest.approx(equity)
    assert (curve.low <= curve.equity).all()


def test_skill_is_traded() -> None:
    paths, future, fold = market(0.8, 200, seed=2)
    verdict = judge(paths, future, fold, tried=20, fewest_trades=5)
    assert verdict.threshold != NEVER
    assert verdict.threshold >= 0
    assert verdict.evidence_low > 10000
    assert final_equity(growth(future, verdict.orders)) == pytest.approx(verdict.evidence)


def test_forecasts_without_skill_are_hardly_ever_traded() -> None:
    carried = []
    for seed in range(20):
        paths, future, fold = market(0.0, 200, seed)
        verdict = judge(paths, future, fold, tried=20, fewest_trades=5)
        carried.append(verdict.threshold != NEVER)
        if not carried[-1]:
            assert verdict.orders.buy_quantity.sum() == 0
    assert sum(carried) <= 3


def test_a_fold_is_traded_by_the_threshold_of_the_others() -> None:
    """Whatever its own future was: another future in fold 0 leaves the orders of fold 0 as they are."""
    paths, future, fold = market(0.8, 200, seed=3)
    orders = judge(paths, future, fold, tried=20, fewest_trades=5).orders
    other = future.copy()
    other[fold == 0] **= 1.2
    again = judge(paths, other, fold, tried=20, fewest_trades=5).orders
    assert again.buy_quantity[fold == 0].tolist() == orders.buy_quantity[fold == 0].tolist()


def test_too_few_samples_never_buy() -> None:
    paths, future, fold = market(1.0, 5, seed=0)
    assert judge(paths, future, fold, tried=20, fewest_trades=8).threshold == NEVER
