"""Windows of klines: where they lie, what they hold, and that they are not all held at once."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.base.errors import InputError
from competitions.bit_trader.data.bar_files import FIELDS
from competitions.bit_trader.predict.kline_cells import MINUTE
from competitions.bit_trader.predict.kline_windows import cut_windows
from competitions.bit_trader.predict.klines import Klines
from tests.bit_trader.small_market import START, kline_table


def klines_at(minutes: np.ndarray) -> Klines:
    """Bars whose open is one more than their minute."""
    bars = np.ones((len(minutes), len(FIELDS))) * (1 + minutes[:, None])
    return Klines("a.csv", START + minutes * MINUTE, bars, [])


def ends(minutes: np.ndarray, every: int) -> list[int]:
    """Minutes of the purchases."""
    return ((cut_windows(klines_at(minutes), every).purchase_time - START) // MINUTE).tolist()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3500), max_size=3), st.integers(30, 400))
def test_no_window_spans_a_gap_and_no_long_stretch_is_without_one(missing: list[int], every: int) -> None:
    minutes = np.setdiff1d(np.arange(3500), missing)
    try:
        cut = cut_windows(klines_at(minutes), every)
    except InputError:
        borders = [-1, *sorted(set(missing)), 3500]
        assert max(np.diff(borders)) - 1 < 1380
        return
    for row in range(len(cut.windows)):
        covered = np.round(cut.windows.past[row, :, 0].astype(np.float64) * cut.price[row]) - 1
        assert np.array_equal(covered, covered[0] + np.arange(1380))
        if cut.known[row]:
            after = np.round(cut.future_open[row].astype(np.float64) * cut.price[row]) - 1
            assert np.array_equal(after, covered[-1] + 1 + np.arange(120))
    found = (cut.purchase_time - START) // MINUTE
    for end in sorted({*missing, 3500}):
        before = max([gap for gap in missing if gap < end], default=-1)
        if end <= 3500 and end - before - 1 >= 1380:
            assert end in found


def test_every_counts_minutes_back_from_the_end_of_each_stretch() -> None:
    whole = np.arange(3400)
    assert ends(whole, 500) == [1400, 1900, 2400, 2900, 3400]
    late_gap = np.setdiff1d(whole, np.arange(1500, 1510))
    assert ends(late_gap, 100) == [1400, 1500, 2900, 3000, 3100, 3200, 3300, 3400]
    short_tail = np.setdiff1d(whole, np.arange(3380, 3390))
    assert ends(short_tail, 1000) == [1380, 2380, 3380]
    assert ends(np.arange(1380), 7) == [1380]


def test_the_answer_says_how_many_windows_until_when_and_how_old() -> None:
    now = START + (3400 + 3 * 1440) * MINUTE
    cut = cut_windows(klines_at(np.setdiff1d(np.arange(3400), [1500])), 400, now)
    assert cut.understood == (
        "3 windows, one every 400 minutes in each of 2 stretches; the last one ends at 2024-05-03T08:40Z, 3 "
        "days before this run"
    )
    tail = cut_windows(klines_at(np.setdiff1d(np.arange(1500), [1450])), 400, START + 1460 * MINUTE)
    assert tail.understood == (
        "1 window; 1 stretch of under 1,380 minutes without any; the last one ends at 2024-05-02T00:10Z, 10 "
        "minutes before this run"
    )
    with pytest.raises(
        InputError, match=r"1 gap: 1 minute from 2024-05-01T12:00Z; the longest stretch has 879"
    ):
        cut_windows(klines_at(np.setdiff1d(np.arange(1600), [720])), 400)


def test_windows_made_when_they_are_looked_at_are_those_of_an_array() -> None:
    bars = kline_table(1500).select(FIELDS).to_numpy().astype(np.float64)
    klines = Klines("a.csv", START + np.arange(1500) * MINUTE, bars, [])
    cut = cut_windows(klines, 30)
    last = np.arange(1379, 1500)[::-30][::-1]
    whole = np.stack([bars[end - 1379 : end + 1] / bars[end, 0] for end in last]).astype(np.float32)
    past = cut.windows.past
    assert past.shape == whole.shape
    assert len(past) == len(whole)
    assert np.array_equal(np.asarray(past), whole)
    rows = np.array([3, 1])
    for key in (
        (slice(None),),
        (2,),
        (-1, -1, 0),
        (rows,),
        (rows, slice(-480, None)),
        (rows, slice(-15, None), 3),
        (slice(1, 3), slice(5, 9)),
        (slice(None), -1, 0),
        (slice(None), slice(None), slice(0, 4)),
        (np.arange(len(whole)) > 1, -1),
    ):
        found = past[key]
        assert found.dtype == np.float32
        assert np.array_equal(found, whole[key]), key
    assert np.array_equal(cut.windows.past_open(rows, 100), whole[rows, -100:, 0])


def test_a_window_for_every_minute_of_days_takes_little_memory() -> None:
    table = kline_table(5 * 1440)
    bars = table.select(FIELDS).to_numpy().astype(np.float64)
    tracemalloc.start()
    cut = cut_windows(Klines("a.csv", START + np.arange(len(bars)) * MINUTE, bars, []), 1)
    cut.windows.volatility(np.arange(len(cut.windows)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(cut.windows) == 5821
    assert peak < 60e6  # 289 MB as one array
