"""The processed windows: each sample's 1,380 past bars and, in training, its 120 future ones."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from common.atomic import whole_array, whole_file
from common.errors import InputError
from competitions.bit_trader.bar_files import (
    FIELDS,
    PAST_MINUTES,
    IntArray,
    check_scaling,
    count_samples,
    fill_bars,
)

Split = Literal["train", "test"]
Bars = npt.NDArray[np.float32]
NO_FOLD = -1


@dataclass(frozen=True)
class Windows:
    """Samples of one split. A sample is closed in itself: nothing here joins two of them."""

    sample_id: IntArray
    """(n,)"""
    coin_index: IntArray
    """(n,)"""
    fold: IntArray
    """(n,) fold by sample; -1 in the test split."""
    coin_fold: IntArray
    """(n,) fold by coin; -1 in the test split, and where there are fewer coins than folds."""
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

    def folds_by(self, held_out_by: str) -> IntArray:
        """(n,) the fold of each sample; InputError when coins were asked for and are too few."""
        if held_out_by == "sample":
            return self.fold
        if (self.coin_fold == NO_FOLD).any():
            raise InputError(
                f"held_out_by = coin: the training samples have {len(np.unique(self.coin_index))} coins, "
                "fewer than folds; set fewer folds in experiments.toml, or hold out by sample"
            )
        return self.coin_fold


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
    columns = {name: samples[name].to_numpy().astype(np.int64) for name in samples.columns}
    return Windows(**columns, past=past, future=future)


def store_bars(source: Path, minutes: int, target: Path) -> tuple[IntArray, IntArray]:
    """Stream an official file into the array `target`; returns sample_id and coin_index, (n,) each.

    Raises
    ------
    InputError : whatever bar_files finds wrong, or past bars that do not end at an open of 1.
    """
    shape = (count_samples(source, minutes), minutes, len(FIELDS))
    with whole_array(target, shape, np.float32) as bars:
        sample_id, coin_index = fill_bars(source, bars)
        if minutes == PAST_MINUTES:
            check_scaling(source, bars, sample_id)
    return sample_id, coin_index


def write_samples(
    path: Path, sample_id: IntArray, coin_index: IntArray, fold: IntArray, coin_fold: IntArray
) -> None:
    """Write the list of samples of a split as parquet."""
    import polars as pl

    table = pl.DataFrame(
        {"sample_id": sample_id, "coin_index": coin_index, "fold": fold, "coin_fold": coin_fold}
    )
    with whole_file(path) as partial:
        table.write_parquet(partial)


def lay_folds(sample_id: IntArray, coin_index: IntArray, folds: int, seed: int) -> tuple[IntArray, IntArray]:
    """Folds by sample and by coin, (n,) each; the latter all -1 where there are fewer coins than folds."""
    from common.folds import assign_folds

    by_sample = assign_folds(sample_id, folds, seed).astype(np.int64)
    if len(np.unique(coin_index)) < folds:
        return by_sample, np.full(len(sample_id), NO_FOLD)
    return by_sample, assign_folds(coin_index, folds, seed).astype(np.int64)
