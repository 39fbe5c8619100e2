"""The processed windows: each sample's 1,380 past bars and, in training, its 120 future ones."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from common.base.atomic import atomic_array, atomic_write
from common.learn.seeding import derived_seed
from competitions.bit_trader.data.bar_files import (
    FIELDS,
    PAST_MINUTES,
    BarFile,
    IntArray,
    check_scaling,
    count_samples,
    fill_bars,
)
from competitions.bit_trader.data.features import SHORTEST_WINDOW, window_volatility
from competitions.bit_trader.experiment import PARTITIONS

Split = Literal["train", "test"]
Bars = npt.NDArray[np.float32]
SAMPLES_A_BLOCK = 128


@dataclass(frozen=True)
class Windows:
    """Samples of one split. A sample is closed in itself: nothing here joins two of them."""

    sample_id: IntArray
    """(n,)"""
    coin_index: IntArray
    """(n,)"""
    partition: IntArray
    """(n, 5) place of each sample in five random orders, which cut into folds; -1 in the test split."""
    past: Bars
    """(n, 1380, 9) float32, memory-mapped; the last axis is bar_files.FIELDS."""
    future: Bars | None
    """(n, 120, 9); None in the test split."""

    def __len__(self) -> int:
        return len(self.sample_id)

    def past_open(self, rows: IntArray, lookback: int) -> npt.NDArray[np.float32]:
        """(rows, lookback): the last open prices before the purchase."""
        return np.ascontiguousarray(self.past[rows, -lookback:, FIELDS.index("open")])

    def future_open(self, rows: IntArray) -> npt.NDArray[np.float32]:
        """(rows, 120): open prices from the minute of the purchase on; only in training."""
        if self.future is None:
            raise ValueError("the future of the test split is unknown")
        return np.ascontiguousarray(self.future[rows, :, FIELDS.index("open")])

    def volatility(self, rows: IntArray) -> npt.NDArray[np.float64]:
        """(rows,): standard deviation of a minute's log return over the last 480 minutes."""
        blocks = [rows[first : first + SAMPLES_A_BLOCK] for first in range(0, len(rows), SAMPLES_A_BLOCK)]
        found = [window_volatility(self.past[block, -SHORTEST_WINDOW:]) for block in blocks]
        return np.concatenate(found) if found else np.zeros(0)


def processed_files(processed: Path, split: Split) -> list[Path]:
    """The files of a split: samples, past bars and, in training, future bars."""
    names = [f"{split}_samples.parquet", f"{split}_x.npy"] + ([f"{split}_y.npy"] if split == "train" else [])
    return [processed / name for name in names]


def open_windows(processed: Path, split: Split) -> Windows:
    """Map the processed windows of a split; nothing but the list of samples is read."""
    import polars as pl

    samples_file, past_file, *future_file = processed_files(processed, split)
    samples = pl.read_parquet(samples_file)
    past = np.load(past_file, mmap_mode="r")
    future = np.load(future_file[0], mmap_mode="r") if future_file else None
    if len(past) != len(samples):
        raise ValueError(f"{past_file} and {samples_file} do not belong together")
    sample_id, coin_index, *partition = (
        samples[name].to_numpy().astype(np.int64) for name in samples.columns
    )
    return Windows(sample_id, coin_index, np.stack(partition, axis=1), past=past, future=future)


def store_bars(source: Path, minutes: int, target: Path) -> BarFile:
    """Stream an official file into the array `target`, (samples, minutes, 9) float32.

    Raises
    ------
    InputError : whatever bar_files finds wrong, or past bars that do not end at an open of 1.
    """
    count = count_samples(source, minutes)
    while True:
        with atomic_array(target, (count, minutes, len(FIELDS)), np.float32) as bars:
            found = fill_bars(source, bars)
            if minutes == PAST_MINUTES:
                check_scaling(source, bars[: len(found.sample_id)], found.sample_id)
        if len(found.sample_id) == count:
            return found
        # Doubled rows were counted as samples: the array is made again in the true size.
        count = len(found.sample_id)


def write_samples(path: Path, sample_id: IntArray, coin_index: IntArray, partition: IntArray) -> None:
    """Write the list of samples of a split as parquet: sample_id, coin_index, partition_0 to partition_4."""
    import polars as pl

    columns = {f"partition_{number}": partition[:, number] for number in range(PARTITIONS)}
    table = pl.DataFrame({"sample_id": sample_id, "coin_index": coin_index} | columns)
    with atomic_write(path) as partial:
        table.write_parquet(partial)


def lay_partitions(samples: int, seed: int) -> IntArray:
    """(samples, 5) place of each sample in five random orders; `place % folds` is its fold, whole samples."""
    orders = [
        np.random.default_rng(derived_seed(seed, "partition", number)).permutation(samples)
        for number in range(PARTITIONS)
    ]
    return np.stack(orders, axis=1)
