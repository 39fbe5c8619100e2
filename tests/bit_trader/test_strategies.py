"""Strategies: from forecasts to positions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from competitions.bit_trader.decision.strategies import PAPER_RULE, Kind, Strategy, expected_growth
from competitions.bit_trader.models.forecasts import Forecasts
from competitions.bit_trader.rules.metric import NET_OF_FEES

KINDS: tuple[Kind, ...] = ("price_threshold", "expected_net_return", "risk_adjusted")


def forecasts(paths: np.ndarray, volatility: float = 0.001) -> Forecasts:
    return Forecasts(np.arange(len(paths)), paths.astype(np.float32), np.full(len(paths), volatility))


def test_the_paper_rule() -> None:
    paths = np.full((4, 120), 0.999)
    paths[0, 30], paths[0, 40] = 1.0001, 1.002
    paths[1, :] = 1.0  # not above 1
    paths[2, :] = 1.01  # a flat line above 1 buys, and sells at once
    positions = PAPER_RULE.positions(forecasts(paths))
    assert positions.buy_quantity.tolist() == [1, 0, 1, 0]
    assert positions.sell_time.tolist() == [40, 0, 0, 0]


def test_a_price_threshold_asks_for_more() -> None:
    paths = np.full((2, 120), 1.0)
    paths[0, 10], paths[1, 20] = 1.001, 1.003
    positions = Strategy("price_threshold", threshold=1.002).positions(forecasts(paths))
    assert positions.buy_quantity.tolist() == [0, 1]
    assert positions.sell_time.tolist() == [0, 20]


def test_the_expected_gain_divides_by_the_purchase_and_pays_both_fees() -> None:
    paths = np.full((2, 120), 2.0)
    paths[0, 70] = 2.2
    score, minute = Strategy("expected_net_return").scores(forecasts(paths))
    assert score == pytest.approx([np.log(1.1 * NET_OF_FEES), np.log(NET_OF_FEES)], abs=1e-6)
    assert minute.tolist() == [70, 0]
    assert Strategy("expected_net_return", threshold=0.0).positions(
        forecasts(paths)
    ).buy_quantity.tolist() == [1, 0]
    assert Strategy("expected_net_return").positions(forecasts(paths)).buy_quantity.tolist() == [0, 0]


def test_the_last_minute_is_sold_at_when_asked_for() -> None:
    paths = np.full((2, 120), 1.0)
    paths[0, 70] = 1.1
    paths[1, 119] = 1.05
    positions = Strategy("expected_net_return", "last", 0.0).positions(forecasts(paths))
    assert positions.buy_quantity.tolist() == [0, 1]  # the peak at minute 70 is gone by minute 119
    assert positions.sell_time.tolist() == [0, 119]


def test_risk_adjustment_prefers_the_calm_coin_and_the_early_minute() -> None:
    paths = np.full((1, 120), 1.0)
    paths[0, 9], paths[0, 81] = 1.010, 1.012
    calm, wild = forecasts(paths, 0.001), forecasts(paths, 0.01)
    score, minute = Strategy("risk_adjusted").scores(calm)
    assert minute[0] == 9  # 1.2 % at minute 81 is worth less than 1 % at minute 9
    assert score[0] == pytest.approx(np.log(1.010 * NET_OF_FEES) / (0.001 * 3), rel=1e-3)
    assert Strategy("expected_net_return").scores(calm)[1][0] == 81
    assert Strategy("risk_adjusted").scores(wild)[0][0] == pytest.approx(score[0] / 10)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(KINDS), st.sampled_from(["best", "last"]), st.floats(0, 2))
def test_strategies_treat_each_sample_alone(seed: int, kind: Kind, sell: str, threshold: float) -> None:
    generator = np.random.default_rng(seed)
    paths = np.exp(np.cumsum(0.001 * generator.normal(size=(12, 120)), axis=1))
    given_forecasts = forecasts(paths)
    strategy = Strategy(kind, sell, threshold)  # type: ignore[arg-type]
    positions = strategy.positions(given_forecasts)
    assert set(positions.buy_quantity) <= {0.0, 1.0}
    assert ((positions.sell_time >= 0) & (positions.sell_time < 120)).all()
    assert (positions.sell_time[positions.buy_quantity == 0] == 0).all()
    order = generator.permutation(12)
    shuffled = strategy.positions(given_forecasts.rows(order))
    assert np.array_equal(shuffled.buy_quantity, positions.buy_quantity[order])
    assert np.array_equal(shuffled.sell_time, positions.sell_time[order])
    stricter = Strategy(kind, sell, threshold + 0.01).positions(given_forecasts)  # type: ignore[arg-type]
    assert (stricter.buy_quantity <= positions.buy_quantity).all()


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
