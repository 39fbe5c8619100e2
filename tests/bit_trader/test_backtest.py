"""Figures of a backtest: interval, drawdown, hit rate, per coin, against values computed by hand."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from competitions.bit_trader.decision.backtest import (
    backtest,
    equity_curve,
    equity_of,
    worst_drawdown,
    write_coins,
)
from competitions.bit_trader.rules.metric import final_equity, growth
from competitions.bit_trader.rules.submission import Positions
from tests.bit_trader.small_market import positions, prices


def test_figures_by_hand() -> None:
    figures = backtest(prices(1.2, 0.5, 2.0, 1.0), [positions([1, 1, 0, 0], [60, 60, 60, 60])]).figures
    assert figures["equity"] == pytest.approx(10000 * 1.2 * 0.5 * 0.99900025**2)
    assert figures["without_fees"] == pytest.approx(6000)
    assert figures["trades"] == 2
    assert figures["hit_rate"] == 0.5
    assert figures["worst_drawdown"] == pytest.approx(1 - 0.5 * 0.99900025)
    assert figures["equity_low"] <= figures["equity"] <= figures["equity_high"]


def test_drawdown_counts_from_the_start_too() -> None:
    assert worst_drawdown(np.log([0.9, 1.5, 0.8, 1.1])) == pytest.approx(0.2)
    assert worst_drawdown(np.log([0.5, 1.1])) == pytest.approx(0.5)
    assert worst_drawdown(np.log([1.1, 1.2])) == 0


def test_interval_holds_the_truth_and_never_buying_has_none() -> None:
    generator = np.random.default_rng(0)
    future = prices(*np.exp(0.01 * generator.normal(size=200)))
    figures = backtest(future, [positions([1.0] * 200, [60] * 200)]).figures
    assert figures["equity_low"] < figures["equity"] < figures["equity_high"]
    idle = backtest(future, [positions([0.0] * 200, [0] * 200)]).figures
    assert (idle["equity"], idle["equity_low"], idle["equity_high"], idle["hit_rate"]) == (
        10000,
        10000,
        10000,
        0,
    )


def test_the_curve_begins_at_10000_and_ends_at_the_equity() -> None:
    logs = np.log([1.1, 0.9, 1.0])
    assert equity_curve(logs) == pytest.approx([10000, 11000, 9900, 9900])
    assert equity_of(logs) == pytest.approx(9900)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 30), st.integers(1, 3))
def test_repeats_calm_and_never_count_as_samples(seed: int, samples: int, repeats: int) -> None:
    generator = np.random.default_rng(seed)
    future = np.exp(0.01 * generator.normal(size=(samples, 120)))
    placed = Positions(
        generator.integers(0, 2, samples).astype(np.float64), generator.integers(0, 120, samples)
    )
    once, often = backtest(future, [placed]).figures, backtest(future, [placed] * repeats).figures
    assert often == pytest.approx(once)
    assert once["equity"] == pytest.approx(final_equity(growth(future, placed)))
    assert once["equity"] <= once["without_fees"] + 1e-9
    order = generator.permutation(samples)
    shuffled = Positions(placed.buy_quantity[order], placed.sell_time[order])
    again = backtest(future[order], [shuffled]).figures
    for name in ("equity", "without_fees", "trades", "hit_rate"):
        assert again[name] == pytest.approx(once[name])


def test_coins_by_hand(tmp_path: Path) -> None:
    future = prices(1.2, 0.5, 2.0, 1.0)
    tested = backtest(future, [positions([1, 1, 0, 1], [60, 60, 60, 0])])
    path = write_coins(tmp_path / "coins.parquet", np.array([3, 5, 3, 5]), future, tested)
    table = pl.read_parquet(path)
    assert table["coin_index"].to_list() == [3, 5]
    assert table["samples"].to_list() == [2, 2]
    assert table["trades"].to_list() == [1, 2]
    assert table["hit_rate"].to_list() == [1, 0]
    assert table["equity"].to_list() == pytest.approx([10000 * 1.2 * 0.99900025, 10000 * 0.5 * 0.99900025**2])
    assert table["held"].to_list() == pytest.approx(
        [10000 * 2.4 * 0.99900025**2, 10000 * 0.5 * 0.99900025**2]
    )
    assert (table["equity_low"] <= table["equity"]).all()
