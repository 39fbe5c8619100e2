"""The processed windows: each sample's 1,380 past bars and, in training, its 120 future bars."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from common.base.atomic import atomic_array
from common.base.errors import InputError
from common.base.paths import display_path
from common.files.tables import write_table
from common.learn.arrays import Float32, Float64, Int64
from common.learn.seeding import derived_seed
from competitions.bit_trader.data.bar_files import (
    FIELDS,
    PAST_MINUTES,
    BarFile,
    check_scaling,
    count_samples,
    fill_bars,
)
from competitions.bit_trader.data.features import SHORTEST_WINDOW, Bars, window_volatility
from competitions.bit_trader.experiment import MAX_REPEATS

Split = Literal["train", "test"]
SAMPLES_PER_BLOCK = 128
ROUNDING = 1e-6
"""Of a log ratio of float32 prices."""
FAR_JUMP = 0.5
"""Log ratio from the last close of x to the first open of y, beyond which they are not of one series."""


@dataclass(frozen=True)
class Windows:
    """Samples of one split. Samples are independent: nothing here joins two of them."""

    sample_id: Int64
    """(n,)"""
    coin_index: Int64
    """(n,)"""
    fold_order: Int64
    """(n, 5) place of each sample in five random orders; place % folds is its fold. -1 in the test split."""
    past: Bars
    """(n, 1380, 9) float32, memory-mapped; the last axis is bar_files.FIELDS."""
    future: Bars | None
    """(n, 120, 9); None in the test split."""

    def __len__(self) -> int:
        return len(self.sample_id)

    def past_open(self, rows: Int64, lookback: int) -> Float32:
        """(rows, lookback): the last open prices before the purchase."""
        return np.ascontiguousarray(self.past[rows, -lookback:, FIELDS.index("open")])

    def future_open(self, rows: Int64) -> Float32:
        """(rows, 120): open prices from the minute of the purchase on; only in training."""
        if self.future is None:
            raise ValueError("the future of the test split is unknown")
        return np.ascontiguousarray(self.future[rows, :, FIELDS.index("open")])

    def volatility(self, rows: Int64) -> Float64:
        """(rows,): standard deviation of one-minute log returns over the last 480 minutes."""
        blocks = [rows[first : first + SAMPLES_PER_BLOCK] for first in range(0, len(rows), SAMPLES_PER_BLOCK)]
        found = [window_volatility(self.past[block, -SHORTEST_WINDOW:]) for block in blocks]
        return np.concatenate(found) if found else np.zeros(0)


def processed_files(processed: Path, split: Split) -> list[Path]:
    """The files of a split: samples, past bars and, in training, future bars."""
    names = [f"{split}_samples.parquet", f"{split}_x.npy"] + ([f"{split}_y.npy"] if split == "train" else [])
    return [processed / name for name in names]


def open_windows(processed: Path, split: Split) -> Windows:
    """Memory-map the processed windows of a split; only the list of samples is read."""
    samples_file, past_file, *future_file = processed_files(processed, split)
    samples = pl.read_parquet(samples_file)
    past = np.load(past_file, mmap_mode="r")
    future = np.load(future_file[0], mmap_mode="r") if future_file else None
    if len(past) != len(samples):
        raise ValueError(f"{past_file} and {samples_file} do not belong together")
    sample_id, coin_index, *orders = (samples[name].to_numpy().astype(np.int64) for name in samples.columns)
    return Windows(sample_id, coin_index, np.stack(orders, axis=1), past=past, future=future)


def store_bars(source: Path, minutes: int, target: Path) -> BarFile:
    """Stream an official file into the array `target`, (samples, minutes, 9) float32.

    Raises
    ------
    InputError : a fault found by bar_files, or past bars that do not end at an open of 1.
    """
    count = count_samples(source, minutes)
    while True:
        with atomic_array(target, (count, minutes, len(FIELDS)), np.float32) as bars:
            found = fill_bars(source, bars)
            if minutes == PAST_MINUTES:
                check_scaling(source, bars[: len(found.sample_id)], found.sample_id)
        if len(found.sample_id) == count:
            return found
        # Duplicate rows were counted as samples; write the array again in its true size.
        count = len(found.sample_id)


def check_joined(data: Path, sample_id: Int64, past: Bars, future: Bars) -> None:
    """InputError unless y goes on where x ends.

    The step from the last close of x to the first open of y is one of a sample's steps from close to open. It
    is compared with the 1,379 steps within x: nine in ten should not be above their 90 % quantile, and none
    far above all moves.

    Parameters
    ----------
    past, future : (n, 1380, 9) and (n, 120, 9), by the same divisor.
    """
    opened, closed = FIELDS.index("open"), FIELDS.index("close")
    steps, usual, largest = (np.zeros(len(past)) for _ in range(3))
    for first in range(0, len(past), SAMPLES_PER_BLOCK):
        block = slice(first, first + SAMPLES_PER_BLOCK)
        opens, closes = (np.log(past[block, :, field].astype(np.float64)) for field in (opened, closed))
        usual[block] = np.quantile(np.abs(opens[:, 1:] - closes[:, :-1]), 0.9, axis=1)
        largest[block] = np.abs(np.diff(closes, axis=1)).max(axis=1)
        steps[block] = np.abs(np.log(future[block, 0, opened].astype(np.float64)) - closes[:, -1])
    far = np.flatnonzero(steps > np.maximum(FAR_JUMP, 3 * largest))
    if len(far):
        raise InputError(
            f"{display_path(data)}: sample {sample_id[far[0]]}: the price changes by a factor of "
            f"{np.exp(steps[far[0]]):.3g} from the end of train_x_df to the start of train_y_df; expected y "
            "to go on where x ends, with the same divisor; get both files again"
        )
    apart = steps > usual + ROUNDING  # one in ten by chance; 5 standard deviations more are none
    if apart.sum() > max(0.3 * len(past), 0.1 * len(past) + 5 * np.sqrt(0.09 * len(past))):
        raise InputError(
            f"{display_path(data)}: in {apart.sum()} of {len(past)} samples train_y_df does not begin where "
            "train_x_df ends; expected y to go on in the next minute, with the same divisor; get both files "
            "again"
        )


def write_samples(path: Path, sample_id: Int64, coin_index: Int64, fold_order: Int64) -> None:
    """Write the samples of a split as parquet: sample_id, coin_index, fold_order_0 to fold_order_4."""
    columns = {f"fold_order_{repeat}": fold_order[:, repeat] for repeat in range(MAX_REPEATS)}
    write_table(path, pl.DataFrame({"sample_id": sample_id, "coin_index": coin_index} | columns))


def draw_fold_orders(samples: int, seed: int) -> Int64:
    """(samples, 5) place of each sample in five random orders; `place % folds` is its fold in that repeat."""
    orders = [
        np.random.default_rng(derived_seed(seed, "partition", repeat)).permutation(samples)
        for repeat in range(MAX_REPEATS)
    ]
    return np.stack(orders, axis=1)
