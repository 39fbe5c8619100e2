"""Simulate a small bit-trader competition in the official layout.

    python -m competitions.bit_trader.sample.sample_data --out DIR [--seed N] [--scale X]

Writes
    train_x_df.csv  train_y_df.csv  test_x_df.csv  sample_submission.csv
    truth/test_y_df.csv   the test samples' true bars; stages 1 to 4 never read it
"""

from pathlib import Path

import numpy as np
import polars as pl

from common.learn.arrays import Float32, Int64
from common.learn.seeding import derived_seed
from common.run.sample_data import sample_data_command
from competitions.bit_trader.competition import COMPETITION
from competitions.bit_trader.data.bar_files import COLUMNS, FIELDS, FUTURE_MINUTES, PAST_MINUTES
from competitions.bit_trader.rules.submission import Positions, write_submission
from competitions.bit_trader.sample.market_simulation import COINS, bars_of, draw_coins, simulate_market

TRAIN_SAMPLES = 300
TEST_SAMPLES = 150


def write_sample_data(folder: Path, seed: int, scale: float) -> None:
    """Write about 300 training and 150 test samples times `scale` into `folder`."""
    train, test = (max(COINS, round(scale * count)) for count in (TRAIN_SAMPLES, TEST_SAMPLES))
    generator = np.random.default_rng(derived_seed(seed, "bit_trader"))
    coins = draw_coins(generator)
    coin_index = generator.integers(0, COINS, train + test)
    market = simulate_market(coins.volatility[coin_index], generator)
    bars = bars_of(market, coins.pick(coin_index), generator)
    sample_id = np.arange(train + test)
    past, future = bars[:, :PAST_MINUTES], bars[:, PAST_MINUTES:]
    _write_bars(folder / "train_x_df.csv", sample_id[:train], coin_index[:train], past[:train])
    _write_bars(folder / "train_y_df.csv", sample_id[:train], coin_index[:train], future[:train])
    _write_bars(folder / "test_x_df.csv", sample_id[train:], coin_index[train:], past[train:])
    (folder / "truth").mkdir()
    _write_bars(folder / "truth" / "test_y_df.csv", sample_id[train:], coin_index[train:], future[train:])
    arbitrary = Positions(generator.random(test).round(6), generator.integers(0, FUTURE_MINUTES, test))
    write_submission(folder / "sample_submission.csv", sample_id[train:], arbitrary)


def _write_bars(
    path: Path,
    sample_id: Int64,
    coin_index: Int64,
    bars: Float32,
) -> None:
    """The official columns: float64 text of float32 values."""
    samples, minutes, _ = bars.shape
    keys = (
        np.repeat(sample_id, minutes),
        np.tile(np.arange(minutes), samples),
        np.repeat(coin_index, minutes),
    )
    values = bars.reshape(-1, len(FIELDS)).astype(np.float64).T
    pl.DataFrame(dict(zip(COLUMNS, (*keys, *values), strict=True))).write_csv(path)


if __name__ == "__main__":
    sample_data_command(COMPETITION, __doc__)
