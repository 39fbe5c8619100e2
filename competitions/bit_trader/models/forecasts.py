"""Forecast open prices of the 120 minutes after the purchase, one row per sample, kept as parquet."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from common.files.tables import write_table
from common.learn.arrays import AnyArray, Float32, Float64, Int64
from competitions.bit_trader.data.bar_files import FUTURE_MINUTES


@dataclass(frozen=True)
class Forecasts:
    """Forecast paths of some samples and their volatility: everything that a strategy looks at."""

    sample_id: Int64
    """(n,)"""
    paths: Float32
    """(n, 120) open prices, relative to the open of x minute 1379, as the data are."""
    volatility: Float64
    """(n,) standard deviation of one-minute log returns in the sample's own past."""

    def __post_init__(self) -> None:
        n = len(self.sample_id)
        if self.paths.shape != (n, FUTURE_MINUTES) or not np.isfinite(self.paths).all():
            raise ValueError(f"forecasts must be finite and of shape ({n}, {FUTURE_MINUTES})")
        if self.volatility.shape != (n,) or not (self.volatility > 0).all():
            raise ValueError(f"volatility must be positive and of shape ({n},)")

    def __len__(self) -> int:
        return len(self.sample_id)

    def rows(self, chosen: AnyArray) -> "Forecasts":
        """The forecasts of some samples: a mask, or row numbers."""
        return Forecasts(self.sample_id[chosen], self.paths[chosen], self.volatility[chosen])


def write_forecasts(path: Path, parts: Sequence[tuple[int, Forecasts]]) -> None:
    """Write (repeat, forecasts) as repeat, sample_id, volatility and minute_0 ... minute_119."""
    write_table(path, pl.concat([_table(repeat, forecasts) for repeat, forecasts in parts]))


def _table(repeat: int, forecasts: Forecasts) -> pl.DataFrame:
    columns = {f"minute_{minute}": forecasts.paths[:, minute] for minute in range(FUTURE_MINUTES)}
    keys = {
        "repeat": np.full(len(forecasts), repeat),
        "sample_id": forecasts.sample_id,
        "volatility": forecasts.volatility,
    }
    return pl.DataFrame(keys | columns)


def read_forecasts(path: Path) -> Forecasts:
    """The forecasts of a file that holds each sample once."""
    return _forecasts(pl.read_parquet(path))


def pooled_forecasts(files: Sequence[Path], sample_id: Int64) -> list[Forecasts]:
    """OOF forecasts of all folds, one entry per repeat, in the order of `sample_id`.

    ValueError unless each repeat forecasts each sample once.
    """
    table = pl.concat([pl.read_parquet(file) for file in files])
    return [
        _ordered(_forecasts(table.filter(pl.col("repeat") == repeat)), sample_id)
        for repeat in table["repeat"].unique().sort()
    ]


def _ordered(found: Forecasts, sample_id: Int64) -> Forecasts:
    """`found` in the order of `sample_id`: its sorted rows, placed by the ranks of the wanted ids."""
    order = np.argsort(found.sample_id, kind="stable")
    place = np.argsort(np.argsort(sample_id, kind="stable"), kind="stable")
    pooled = order[place] if len(found) == len(sample_id) else order
    if not np.array_equal(found.sample_id[pooled], sample_id):
        raise ValueError("the folds' forecasts do not cover every training sample once")
    return found.rows(pooled)


def _forecasts(table: pl.DataFrame) -> Forecasts:
    paths = table.drop("repeat", "sample_id", "volatility").to_numpy()
    return Forecasts(table["sample_id"].to_numpy(), paths, table["volatility"].to_numpy())
