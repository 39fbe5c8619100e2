"""Forecast open prices of the 120 minutes after the purchase, one row a sample, on disk as parquet."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from common.atomic import whole_file
from competitions.bit_trader.bar_files import FUTURE_MINUTES, IntArray

Paths = npt.NDArray[np.float32]
"""(n, 120) forecast open prices, relative to the open of x minute 1379 as the data are."""


def write_forecasts(path: Path, sample_id: IntArray, paths: Paths) -> None:
    """Write sample_id and the 120 forecast prices (minute_0 ... minute_119)."""
    if paths.shape != (len(sample_id), FUTURE_MINUTES) or not np.isfinite(paths).all():
        raise ValueError(f"forecasts must be finite and of shape ({len(sample_id)}, {FUTURE_MINUTES})")
    columns = {f"minute_{minute}": paths[:, minute] for minute in range(FUTURE_MINUTES)}
    with whole_file(path) as partial:
        pl.DataFrame({"sample_id": sample_id} | columns).write_parquet(partial)


def read_forecasts(path: Path) -> tuple[IntArray, Paths]:
    """sample_id (n,) and forecast prices (n, 120)."""
    table = pl.read_parquet(path)
    return table["sample_id"].to_numpy(), table.drop("sample_id").to_numpy()


def pooled_forecasts(files: list[Path], sample_id: IntArray) -> Paths:
    """Out-of-fold forecasts of all folds in the order of `sample_id`; ValueError unless each occurs once."""
    parts = [read_forecasts(file) for file in files]
    ids = np.concatenate([part[0] for part in parts])
    paths = np.concatenate([part[1] for part in parts])
    order = np.argsort(ids, kind="stable")
    place = np.argsort(np.argsort(sample_id, kind="stable"), kind="stable")
    pooled = order[place] if len(ids) == len(sample_id) else order
    if not np.array_equal(ids[pooled], sample_id):
        raise ValueError("the folds' forecasts do not cover every training sample once")
    return paths[pooled]
