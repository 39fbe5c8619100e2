"""What every forecaster can do, and which one an experiment asks for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from competitions.bit_trader.data.bar_files import FUTURE_MINUTES, IntArray
from competitions.bit_trader.data.windows import Windows
from competitions.bit_trader.experiment import BitTraderExperiment
from competitions.bit_trader.models.forecasts import Forecasts, Paths

History = list[dict[str, float]]


@dataclass(frozen=True)
class Forecast:
    """Forecast paths of some samples."""

    paths: Paths
    """(n, 120) open prices, relative to the open of x minute 1379."""
    troubles: list[str] = field(default_factory=list)
    """Samples that had to be forecast in another way, one line each."""


class Forecaster(Protocol):
    """Learns from training samples, keeps what it learned, forecasts 120 minutes of open prices."""

    learns: bool
    """False when it is fitted to each series anew, and nothing is carried from the training samples."""

    def fit(self, windows: Windows, rows: IntArray, scratch: Path, seed: int) -> History:
        """Learn from the samples `rows`; goes on from what a killed call left in `scratch`."""
        ...

    def save(self, folder: Path) -> list[Path]:
        """Write what was learned; returns the files."""
        ...

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        ...

    def forecast(self, windows: Windows, rows: IntArray, scratch: Path) -> Forecast:
        """Forecast the samples `rows` from their own past alone."""
        ...


def make_forecaster(settings: BitTraderExperiment, device: str) -> Forecaster:
    """The untrained forecaster of an experiment; `device` (auto, cpu, cuda) is for the networks."""
    if settings.forecaster == "arima":
        from competitions.bit_trader.models.arima import ArimaForecaster

        return ArimaForecaster(settings.arima, settings.lookback)
    if settings.forecaster == "boosting":
        from competitions.bit_trader.models.gbdt import BoostingForecaster

        return BoostingForecaster(settings.boosting, settings.lookback)
    from competitions.bit_trader.models.neural import NetworkForecaster

    return NetworkForecaster(settings, device)


def mean_forecast(
    settings: BitTraderExperiment,
    device: str,
    folds: Sequence[Path],
    windows: Windows,
    rows: IntArray,
    scratch: Path,
) -> tuple[Forecasts, list[str]]:
    """Mean of what the forecasters of all folds, and of all their parts, expect; and their troubles.

    Parameters
    ----------
    folds : folders that `save` wrote to, or that hold one such folder for each part of the fold.
    """
    folders = [part for fold in folds for part in _parts(fold)]
    forecaster = make_forecaster(settings, device)
    if not forecaster.learns:
        folders = folders[:1]
    total, troubles = np.zeros((len(rows), FUTURE_MINUTES)), []
    for folder in folders:
        forecaster.load(folder)
        forecast = forecaster.forecast(windows, rows, scratch)
        total += forecast.paths
        troubles += forecast.troubles
    paths = (total / len(folders)).astype(np.float32)
    return Forecasts(windows.sample_id[rows], paths, windows.volatility(rows)), troubles


def _parts(fold: Path) -> list[Path]:
    return sorted(path for path in fold.iterdir() if path.is_dir()) or [fold]
