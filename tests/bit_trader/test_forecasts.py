"""OOF forecasts on disk."""

from pathlib import Path

import numpy as np
import pytest

from competitions.bit_trader.models.forecasts import Forecasts, pooled_forecasts, write_forecasts


def forecasts(ids: list[int]) -> Forecasts:
    number = np.array(ids)
    paths = number[:, None].astype(np.float32) + np.ones((len(ids), 120), np.float32)
    return Forecasts(number, paths, number / 1000.0)


def test_pooling_needs_every_sample_once_per_repeat(tmp_path: Path) -> None:
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    write_forecasts(files[0], [(0, forecasts([12, 10])), (1, forecasts([11]))])
    write_forecasts(files[1], [(0, forecasts([13, 11])), (1, forecasts([10, 13, 12]))])
    for order in ([10, 11, 12, 13], [13, 10, 12, 11]):
        pooled = pooled_forecasts(files, np.array(order))
        assert len(pooled) == 2
        for repeat in pooled:
            assert repeat.sample_id.tolist() == order
            assert repeat.paths[:, 5].tolist() == [number + 1 for number in order]
            assert repeat.volatility.tolist() == [number / 1000 for number in order]
    for ids in ([10, 11, 12, 14], [10, 11, 12], [10, 11, 12, 13, 14]):
        with pytest.raises(ValueError, match="once"):
            pooled_forecasts(files, np.array(ids))


def test_forecasts_are_finite_and_of_the_right_horizon() -> None:
    for paths in (np.ones((2, 119)), np.full((2, 120), np.nan), np.ones((3, 120))):
        with pytest.raises(ValueError, match="forecasts"):
            Forecasts(np.arange(2), paths.astype(np.float32), np.ones(2))
