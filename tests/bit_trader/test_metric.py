"""The official metric against values computed by hand."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.base.errors import InputError
from competitions.bit_trader.competition import COMPETITION
from competitions.bit_trader.decision.backtest import score_submission
from competitions.bit_trader.rules.baselines import baseline_equities_on, baseline_positions, random_equities
from competitions.bit_trader.rules.metric import equities, final_equity, growth, read_truth
from competitions.bit_trader.rules.submission import Positions, write_submission
from tests.bit_trader.small_market import positions, prices


def test_one_full_trade_by_hand() -> None:
    # 10,000 buys at 1.25 for 0.05 % fee, sells at 1.375 for 0.05 % fee: 10,000 * 1.1 * 0.9995 * 0.9995
    assert final_equity(growth(prices(1.1), positions([1.0], [60]))) == pytest.approx(10989.00275, abs=1e-6)


def test_sold_at_once_costs_both_fees() -> None:
    assert final_equity(growth(prices(1.1), positions([1.0], [0]))) == pytest.approx(9990.0025, abs=1e-6)


def test_half_bought_then_nothing_then_a_loss_by_hand() -> None:
    factors = growth(prices(1.2, 3.0, 0.5), positions([0.5, 0.0, 1.0], [119, 60, 119]))
    # 0.5 + 0.5 * 1.2 * 0.99900025 = 1.09940015; 1; 0.5 * 0.99900025
    assert factors == pytest.approx([1.09940015, 1.0, 0.499500125])
    assert final_equity(factors) == pytest.approx(10000 * 1.09940015 * 0.499500125)


def test_the_purchase_is_at_minute_0_of_y_not_at_1() -> None:
    assert growth(prices(1.0, start=0.5), positions([1.0], [119])) == pytest.approx([0.99900025])


def test_break_even_ratio() -> None:
    assert growth(prices(1.0010007), positions([1.0], [60]))[0] == pytest.approx(1.0, abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 30))
def test_the_order_of_samples_does_not_matter_and_fees_cost(seed: int, samples: int) -> None:
    generator = np.random.default_rng(seed)
    future = np.exp(0.01 * generator.normal(size=(samples, 120)))
    placed = Positions(generator.random(samples), generator.integers(0, 120, samples))
    factors = growth(future, placed)
    shuffled = generator.permutation(samples)
    again = growth(future[shuffled], Positions(placed.buy_quantity[shuffled], placed.sell_time[shuffled]))
    assert final_equity(again) == pytest.approx(final_equity(factors))
    assert (factors <= growth(future, placed, net=1.0)).all()
    unbought = Positions(np.zeros(samples), placed.sell_time)
    assert (growth(future, unbought) == 1).all()
    # The divisor of a sample cancels.
    assert growth(7 * future, placed) == pytest.approx(factors)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 6))
def test_many_submissions_at_once_are_each_alone(seed: int, samples: int, submissions: int) -> None:
    generator = np.random.default_rng(seed)
    future = np.exp(0.01 * generator.normal(size=(samples, 120)))
    buy = generator.random((submissions, samples)) * generator.integers(0, 2, (submissions, samples))
    sell = generator.integers(0, 120, (submissions, samples))
    alone = [final_equity(growth(future, Positions(*row))) for row in zip(buy, sell, strict=True)]
    assert equities(future, buy, sell) == pytest.approx(alone, rel=1e-12)
    assert (
        equities(future, np.zeros_like(buy), sell).tolist() == [10000.0] * submissions
    )  # b = 0 costs nothing


def test_blocks_of_submissions_leave_none_out(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    future = np.exp(0.01 * generator.normal(size=(7, 120)))
    buy, sell = generator.random((23, 7)), generator.integers(0, 120, (23, 7))
    whole = equities(future, buy, sell)
    monkeypatch.setattr("competitions.bit_trader.rules.metric.FACTORS_PER_BLOCK", 30)
    assert equities(future, buy, sell) == pytest.approx(whole, rel=1e-15)
    assert len(set(whole)) == 23


def test_random_traders_pay_about_the_fees() -> None:
    still = np.ones((200, 120))
    found = random_equities(still)
    assert found.shape == (1000,)
    assert np.median(found) == pytest.approx(10000 * 0.99900025**100, rel=0.002)
    assert found.std() > 0


def test_baselines_by_hand() -> None:
    past = np.ones((3, 1380))
    past[0, -1], past[1, -1] = 1.1, 0.9
    future = prices(1.5, 0.5, 1.0005)
    placed = baseline_positions(past, future)
    assert placed["never buying"].buy_quantity.tolist() == [0, 0, 0]
    assert placed["buying always, holding to minute 60"].sell_time.tolist() == [60, 60, 60]
    assert placed["momentum over 15 minutes"].buy_quantity.tolist() == [1, 0, 0]
    assert placed["reversal over 15 minutes"].buy_quantity.tolist() == [0, 1, 0]
    foresight = placed["perfect foresight (upper bound)"]
    assert foresight.buy_quantity.tolist() == [1, 0, 0]  # 0.05 % does not pay the fees
    assert foresight.sell_time[0] == 60
    names = list(baseline_equities_on(past, future))
    for word in (
        "never",
        "at once",
        "minute 60",
        "minute 119",
        "momentum",
        "reversal",
        "foresight",
        "random",
    ):
        assert any(word in name for name in names), word


def test_score_and_baselines_of_the_sample(sample: Path, tmp_path: Path) -> None:
    truth = sample / COMPETITION.truth_name
    sample_id, future = read_truth(truth)
    submission = tmp_path / "submission.csv"
    placed = Positions(np.ones(len(sample_id)), np.full(len(sample_id), 119))
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


def test_the_score_has_the_precision_of_the_file(sample: Path, tmp_path: Path) -> None:
    truth = pl.read_csv(sample / COMPETITION.truth_name)
    opens = truth["open"].to_numpy() * (1 + 3e-9 * np.arange(len(truth)) % 1e-7)  # no float32 values
    exact = truth.with_columns(open=opens, high=pl.max_horizontal("high", pl.Series(opens)))
    path, submission = tmp_path / "test_y_df.csv", tmp_path / "submission.csv"
    exact.with_columns(low=pl.min_horizontal("low", "open")).write_csv(path)
    sample_id, future = read_truth(path)
    write_submission(submission, sample_id, positions([1.0] * len(sample_id), [119] * len(sample_id)))
    by_hand = 10000.0
    for first in range(0, len(truth), 120):
        by_hand *= opens[first + 119] / opens[first] * 0.9995**2
    assert score_submission(submission, path).value == pytest.approx(by_hand, rel=1e-13)
    assert future.dtype == np.float64


def test_score_refuses_what_does_not_belong_together(sample: Path, tmp_path: Path) -> None:
    submission = tmp_path / "submission.csv"
    write_submission(submission, np.array([1, 2]), positions([0, 0], [0, 0]))
    with pytest.raises(InputError, match="missing"):
        score_submission(submission, sample / COMPETITION.truth_name)
    with pytest.raises(InputError, match="no such file"):
        score_submission(submission, sample / "nothing.csv")
