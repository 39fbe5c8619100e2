"""Trading rules without a model: baselines, and perfect foresight as the upper bound."""

from pathlib import Path

import numpy as np

from common.base.errors import InputError
from common.base.paths import display_path
from common.learn.arrays import AnyArray, Float64, Floats
from competitions.bit_trader.data.bar_files import (
    FIELDS,
    FUTURE_MINUTES,
    PAST_MINUTES,
    count_samples,
    fill_bars,
    find_bar_file,
)
from competitions.bit_trader.rules.metric import NET_OF_FEES, equities, final_equity, growth, read_truth
from competitions.bit_trader.rules.submission import Positions

MOMENTUM_MINUTES = 15
BASELINE_MINUTES = MOMENTUM_MINUTES + 1
"""Minutes of the past that the baselines use."""
RANDOM_TRADERS = 1000
RANDOM_SEED = 760


def baseline_positions(past_close: Floats, future_open: Floats) -> dict[str, Positions]:
    """Name -> positions of each baseline except the random ones.

    Parameters
    ----------
    past_close : (n, minutes) close prices of x, at least the last 16.
    future_open : (n, 120) open prices of y; only perfect foresight uses them.
    """
    n = len(future_open)
    all_in, last_minute = np.ones(n), FUTURE_MINUTES - 1
    trend = past_close[:, -1] / past_close[:, -1 - MOMENTUM_MINUTES]
    best = future_open.argmax(axis=1)
    gain = future_open[np.arange(n), best] / future_open[:, 0] * NET_OF_FEES
    return {
        "never buying": _positions(np.zeros(n), 0),
        "buying always, selling at once": _positions(all_in, 0),
        "buying always, holding to minute 60": _positions(all_in, 60),
        f"buying always, holding to minute {last_minute}": _positions(all_in, last_minute),
        f"momentum over {MOMENTUM_MINUTES} minutes": _positions(trend > 1, MOMENTUM_MINUTES),
        f"reversal over {MOMENTUM_MINUTES} minutes": _positions(trend < 1, MOMENTUM_MINUTES),
        "perfect foresight (upper bound)": Positions((gain > 1).astype(np.float64), best.astype(np.int64)),
    }


def random_equities(future_open: Floats) -> Float64:
    """(1000,) final equity of traders that buy with probability 1/2 and sell at a random minute."""
    generator = np.random.default_rng(RANDOM_SEED)
    shape = (RANDOM_TRADERS, len(future_open))
    buys = generator.integers(0, 2, shape).astype(np.float64)
    return equities(future_open, buys, generator.integers(0, FUTURE_MINUTES, shape))


def baseline_equities_on(past_close: Floats, future_open: Floats) -> dict[str, float]:
    """Name -> final equity of each baseline; the median for the random ones."""
    found = {
        name: final_equity(growth(future_open, positions))
        for name, positions in baseline_positions(past_close, future_open).items()
    }
    return found | {f"random (median of {RANDOM_TRADERS:,})": float(np.median(random_equities(future_open)))}


def baseline_equities(data: Path, truth: Path) -> dict[str, float]:
    """Final equity of each baseline on the test samples of `data`, whose y is `truth`."""
    sample_id, future_open = read_truth(truth)
    test_file = find_bar_file(data, "test_x_df")
    bars = np.empty((count_samples(test_file, PAST_MINUTES), PAST_MINUTES, len(FIELDS)), np.float32)
    test_id = fill_bars(test_file, bars).sample_id
    if not np.array_equal(test_id, sample_id):
        raise InputError(
            f"{display_path(truth)}: its samples or their order differ from {display_path(test_file)}"
        )
    return baseline_equities_on(bars[: len(test_id), :, FIELDS.index("close")], future_open)


def _positions(buys: AnyArray, sell_time: int) -> Positions:
    return Positions(buys.astype(np.float64), np.full(len(buys), sell_time, np.int64))
