"""Traders that forecast nothing: what any model has to beat, and what none can."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.base.errors import InputError
from common.base.paths import display_path
from competitions.bit_trader.data.bar_files import (
    FIELDS,
    FUTURE_MINUTES,
    PAST_MINUTES,
    count_samples,
    fill_bars,
    find_bar_file,
)
from competitions.bit_trader.rules.metric import NET_OF_FEES, equities, final_equity, growth, read_truth
from competitions.bit_trader.rules.submission import Orders

Prices = npt.NDArray[np.floating]
MOMENTUM_MINUTES = 15
NAIVE_MINUTES = MOMENTUM_MINUTES + 1
"""How much of the past the naive traders look at."""
RANDOM_TRADERS = 1000
RANDOM_SEED = 760


def naive_orders(past_close: Prices, future_open: Prices) -> dict[str, Orders]:
    """Orders of each naive trader but the random ones.

    Parameters
    ----------
    past_close : (n, minutes) close prices of x, at least the last 16.
    future_open : (n, 120) open prices of y; only perfect foresight looks at them.
    """
    n = len(future_open)
    everything, last_minute = np.ones(n), FUTURE_MINUTES - 1
    trend = past_close[:, -1] / past_close[:, -1 - MOMENTUM_MINUTES]
    best = future_open.argmax(axis=1)
    gain = future_open[np.arange(n), best] / future_open[:, 0] * NET_OF_FEES
    return {
        "never buying": _orders(np.zeros(n), 0),
        "buying always, selling at once": _orders(everything, 0),
        "buying always, holding to minute 60": _orders(everything, 60),
        f"buying always, holding to minute {last_minute}": _orders(everything, last_minute),
        f"momentum over {MOMENTUM_MINUTES} minutes": _orders(trend > 1, MOMENTUM_MINUTES),
        f"reversal over {MOMENTUM_MINUTES} minutes": _orders(trend < 1, MOMENTUM_MINUTES),
        "perfect foresight (upper bound)": Orders((gain > 1).astype(np.float64), best.astype(np.int64)),
    }


def random_equities(future_open: Prices) -> npt.NDArray[np.float64]:
    """(1000,) final equity of traders that toss a coin to buy all, and sell at any minute."""
    generator = np.random.default_rng(RANDOM_SEED)
    shape = (RANDOM_TRADERS, len(future_open))
    buys = generator.integers(0, 2, shape).astype(np.float64)
    return equities(future_open, buys, generator.integers(0, FUTURE_MINUTES, shape))


def naive_equities_on(past_close: Prices, future_open: Prices) -> dict[str, float]:
    """Name -> final equity of each naive trader; of the random ones the median."""
    orders = naive_orders(past_close, future_open)
    found = {name: final_equity(growth(future_open, order)) for name, order in orders.items()}
    return found | {f"random (median of {RANDOM_TRADERS:,})": float(np.median(random_equities(future_open)))}


def naive_equities(data: Path, truth: Path) -> dict[str, float]:
    """Final equity of each naive trader on the test samples of `data`, whose y is `truth`."""
    sample_id, future_open = read_truth(truth)
    test_file = find_bar_file(data, "test_x_df")
    bars = np.empty((count_samples(test_file, PAST_MINUTES), PAST_MINUTES, len(FIELDS)), np.float32)
    test_id = fill_bars(test_file, bars).sample_id
    if not np.array_equal(test_id, sample_id):
        raise InputError(
            f"{display_path(truth)}: its samples are not those of {display_path(test_file)}, or in another order"
        )
    return naive_equities_on(bars[: len(test_id), :, FIELDS.index("close")], future_open)


def _orders(buys: npt.NDArray[np.generic], sell_time: int) -> Orders:
    return Orders(buys.astype(np.float64), np.full(len(buys), sell_time, np.int64))
