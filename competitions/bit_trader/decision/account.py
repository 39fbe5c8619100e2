"""One account on windows that overlap: the money of a purchase is not there again until the sale."""

from dataclasses import dataclass

import numpy as np

from common.learn.arrays import Bools, Int64
from competitions.bit_trader.rules.submission import Positions

MINUTE = 60_000


@dataclass(frozen=True)
class AccountTrades:
    """What one account can do of the positions of windows in order of time."""

    positions: Positions
    """(n,) without the purchases that fall into the time of an earlier one."""
    skipped: Bools
    """(n,) those purchases."""


def trades_of_account(purchase_time: Int64, positions: Positions) -> AccountTrades:
    """Skip purchases while the money of an earlier one is still invested.

    The official rule gives each sample the whole equity. Where windows overlap, one account does not have it
    twice: it is free again at the minute of the sale.

    Parameters
    ----------
    purchase_time : (n,) milliseconds, ascending.
    """
    skipped = np.zeros(len(positions), bool)
    free = -np.inf
    for window in np.flatnonzero(positions.buy_quantity > 0):
        if purchase_time[window] < free:
            skipped[window] = True
        else:
            free = purchase_time[window] + positions.sell_time[window] * MINUTE
    taken = Positions(
        np.where(skipped, 0.0, positions.buy_quantity), np.where(skipped, 0, positions.sell_time)
    )
    return AccountTrades(taken, skipped)
