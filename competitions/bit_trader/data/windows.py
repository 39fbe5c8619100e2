"""The processed windows: each sample's 1,380 past bars and, in training, its 120 future bars."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from common.base.atomic import atomic_array
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
