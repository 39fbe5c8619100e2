"""The official metric against values computed by hand."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import InputError
from competitions.bit_trader.competition import COMPETITION
from competitions.bit_trader.equity import (
    final_equity,
    growth,
    read_truth,
    score_submission,
    trading_figures,
    worst_drawdown,
)
from competitions.bit_trader.naive_traders import naive_orders
from competitions.bit_trader.trade_orders import Orders, write_submission


def prices(*ratios: float, start: float = 1.25) -> np.ndarray:
    """One sample a ratio: `start` until minute 59, `start * ratio` from minute 60 on."""
    future = np.full((len(ratios), 120), start)
    future[:, 60:] *= np.asarray(ratios)[:, None]
    return future


def orders(buy: list[float], sell: list[int]) -> Orders:
    return Orders(np.asarray(buy), np.asarray(sell))


def test_one_full_trade_by_hand() -> None:
    # 10,000 buys at 1.25 for 0.05 % fee, sells at 1.375 for 0.05 % fee: 10,000 * 1.1 * 0.9995 * 0.9995
    assert final_equity(growth(prices(1.1), orders([1.0], [60]))) == pytest.approx(10989.00275, abs=1e-6)


def test_sold_at_once_costs_both_fees() -> None:
    assert final_equity(growth(prices(1.1), orders([1.0], [0]))) == pytest.approx(9990.0025, abs=1e-6)


def test_half_bought_then_nothing_then_a_loss_by_hand() -> None:
    factors = growth(prices(1.2, 3.0, 0.5), orders([0.5, 0.0, 1.0], [119, 60, 119]))
    # 0.5 + 0.5 * 1.2 * 0.99900025 = 1.09940015; 1; 0.5 * 0.99900025
    assert factors == pytest.approx([1.09940015, 1.0, 0.499500125])
    assert final_equity(factors) == pytest.approx(10000 * 1.09940015 * 0.499500125)


def test_the_purchase_is_at_minute_0_of_y_not_at_1() -> None:
    assert growth(prices(1.0, start=0.5), orders([1.0], [119])) == pytest.approx([0.99900025])


def test_break_even_ratio() -> None:
    assert growth(prices(1.0010007), orders([1.0], [60]))[0] == pytest.approx(1.0, abs=1e-6)


def test_figures_by_hand() -> None:
    figures = trading_figures(prices(1.2, 0.5, 2.0, 1.0), orders([1, 1, 0, 0], [60, 60, 60, 60]))
    assert figures["equity"] == pytest.approx(10000 * 1.2 * 0.5 * 0.99900025**2)
    assert figures["without_fees"] == pytest.approx(6000)
    assert figures["trades"] == 2
    assert figures["hit_rate"] == 0.5
    assert figures["worst_drawdown"] == pytest.approx(1 - 0.5 * 0.99900025)
    assert figures["equity_low"] <= figures["equity"] <= figures["equity_high"]


def test_drawdown_counts_from_the_start_too() -> None:
    assert worst_drawdown(np.array([0.9, 1.5, 0.8, 1.1])) == pytest.approx(0.2)
    assert worst_drawdown(np.array([0.5, 1.1])) == pytest.approx(0.5)
    assert worst_drawdown(np.array([1.1, 1.2])) == 0


def test_interval_holds_the_truth_and_never_buying_has_none() -> None:
    generator = np.random.default_rng(0)
    future = prices(*np.exp(0.01 * generator.normal(size=200)))
    figures = trading_figures(future, orders([1.0] * 200, [60] * 200))
    assert figures["equity_low"] < figures["equity"] < figures["equity_high"]
    idle = trading_figures(future, orders([0.0] * 200, [0] * 200))
    assert (idle["equity"], idle["equity_low"], idle["equity_high"], idle["hit_rate"]) == (
        10000,
        10000,
        10000,
        0,
    )


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 30))
def test_the_order_of_samples_does_not_matter_and_fees_cost(seed: int, samples: int) -> None:
    generator = np.random.default_rng(seed)
    future = np.exp(0.01 * generator.normal(size=(samples, 120)))
    placed = Orders(generator.random(samples), generator.integers(0, 120, samples))
    factors = growth(future, placed)
    shuffled = generator.permutation(samples)
    again = growth(future[shuffled], Orders(placed.buy_quantity[shuffled], placed.sell_time[shuffled]))
    assert final_equity(again) == pytest.approx(final_equity(factors))
    assert (factors <= growth(future, placed, net=1.0)).all()
    # The divisor of a sample cancels.
    assert growth(7 * future, placed) == pytest.approx(factors)


def test_naive_traders_by_hand() -> None:
    past = np.ones((3, 1380))
    past[0, -1], past[1, -1] = 1.1, 0.9
    future = prices(1.5, 0.5, 1.0005)
    placed = naive_orders(past, future)
    assert placed["never buying"].buy_quantity.tolist() == [0, 0, 0]
    assert placed["momentum over 15 minutes"].buy_quantity.tolist() == [1, 0, 0]
    assert placed["reversal over 15 minutes"].buy_quantity.tolist() == [0, 1, 0]
    foresight = placed["perfect foresight (upper bound)"]
    assert foresight.buy_quantity.tolist() == [1, 0, 0]  # 0.05 % does not pay the fees
    assert foresight.sell_time[0] == 60


def test_score_and_baselines_of_the_sample(sample: Path, tmp_path: Path) -> None:
    truth = sample / COMPETITION.truth_name
    sample_id, future = read_truth(truth)
    submission = tmp_path / "submission.csv"
    placed = Orders(np.ones(len(sample_id)), np.full(len(sample_id), 119))
    write_submission(submission, sample_id, placed)
    score = score_submission(submission, truth)
    by_hand = 10000.0
    for row in range(len(sample_id)):
        by_hand *= float(future[row, 119]) / float(future[row, 0]) * 0.9995**2
    assert score.value == pytest.approx(by_hand)
    baselines = COMPETITION.baselines(sample, truth)
    assert baselines["buying always, holding to minute 119"] == pytest.approx(by_hand)
    assert baselines["never buying"] == 10000
    assert max(baselines.values()) == baselines["perfect foresight (upper bound)"]


def test_score_refuses_what_does_not_belong_together(sample: Path, tmp_path: Path) -> None:
    submission = tmp_path / "submission.csv"
    write_submission(submission, np.array([1, 2]), orders([0, 0], [0, 0]))
    with pytest.raises(InputError, match="missing"):
        score_submission(submission, sample / COMPETITION.truth_name)
    with pytest.raises(InputError, match="no such file"):
        score_submission(submission, sample / "nothing.csv")
