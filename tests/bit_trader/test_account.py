"""One account cannot buy while its money is invested."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from competitions.bit_trader.decision.account import trades_of_account
from competitions.bit_trader.predict.kline_cells import MINUTE
from competitions.bit_trader.rules.metric import final_equity, growth
from tests.bit_trader.small_market import positions


def minutes(*times: int) -> np.ndarray:
    return np.array(times, np.int64) * MINUTE


def test_a_purchase_waits_for_the_sale_by_hand() -> None:
    # bought at 0, sold at 90: 30 and 60 are skipped, 90 has the money of the sale in the same minute
    asked = positions([1, 1, 1, 1, 0, 1], [90, 10, 119, 5, 0, 1])
    account = trades_of_account(minutes(0, 30, 60, 90, 94, 95), asked)
    assert account.skipped.tolist() == [False, True, True, False, False, False]
    assert account.positions.buy_quantity.tolist() == [1, 0, 0, 1, 0, 1]
    assert account.positions.sell_time.tolist() == [90, 0, 0, 5, 0, 1]


def test_the_equity_is_the_one_of_a_ledger_by_hand() -> None:
    course = 100 * 1.001 ** np.arange(400)
    bought = np.arange(0, 240, 60)
    future = np.stack([course[start : start + 120] for start in bought])
    account = trades_of_account(minutes(*bought), positions([1, 1, 1, 1], [119, 119, 119, 119]))
    # 0 to 119 and 120 to 239; each pays both fees once
    assert account.skipped.tolist() == [False, True, False, True]
    by_hand = 10000 * (1.001**119 * 0.9995**2) ** 2
    assert final_equity(growth(future, account.positions)) == pytest.approx(by_hand)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 200), st.booleans(), st.integers(0, 119)), min_size=1, max_size=30))
def test_trades_never_overlap_and_no_free_purchase_is_skipped(rows: list[tuple[int, bool, int]]) -> None:
    time = minutes(*np.cumsum([row[0] for row in rows]).tolist())
    asked = positions([float(row[1]) for row in rows], [row[2] for row in rows])
    account = trades_of_account(time, asked)
    taken = np.flatnonzero(account.positions.buy_quantity > 0)
    sold = time + asked.sell_time * MINUTE
    assert (time[taken][1:] >= sold[taken][:-1]).all()
    for window in np.flatnonzero(account.skipped):
        earlier = taken[taken < window]
        assert time[window] < sold[earlier[-1]]
    assert (account.skipped | (account.positions.buy_quantity == asked.buy_quantity)).all()
