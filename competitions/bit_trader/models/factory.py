"""From an experiment to its forecaster, and from the forecasters of all folds to one forecast."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.base.errors import InputError
from common.base.paths import display_path
from common.learn.arrays import Int64
from competitions.bit_trader.data.bar_files import FIELDS, FUTURE_MINUTES
from competitions.bit_trader.data.windows import Windows
from competitions.bit_trader.experiment import BitTraderExperiment
from competitions.bit_trader.models.base import Forecaster
from competitions.bit_trader.models.forecasts import Forecasts
from competitions.bit_trader.models.registry import FORECASTERS


def make_forecaster(settings: BitTraderExperiment, device: str) -> Forecaster:
    """The untrained forecaster of an experiment; `device` (auto, cpu, cuda) is for neural networks."""
    forecaster: Forecaster = FORECASTERS[settings.forecaster](settings, device)
    return forecaster


def needed_fields(settings: BitTraderExperiment) -> tuple[str, ...]:
    """The FIELDS that forecasts and trades of an experiment rest on: its forecaster's, open and close."""
    return (*getattr(FORECASTERS[settings.forecaster], "fields", FIELDS), "open", "close")


def mean_forecast(
    settings: BitTraderExperiment,
    device: str,
    fold_folders: Sequence[Path],
    windows: Windows,
    rows: Int64,
    resume_dir: Path,
) -> tuple[Forecasts, list[str]]:
    """Mean forecast of the models of all folds and repeats, and their warnings.

    Parameters
    ----------
    fold_folders : folders that `save` wrote to, or that have one such sub-folder per repeat or coin.

    Raises
    ------
    InputError : a fold's folder or its model is missing or damaged.
    """
    folders = [folder for fold in fold_folders for folder in _model_folders(fold)]
    forecaster = make_forecaster(settings, device)
    if not forecaster.learns:
        folders = folders[:1]
    total, warnings = np.zeros((len(rows), FUTURE_MINUTES)), []
    for folder in folders:
        forecaster.load(folder)
        forecast = forecaster.forecast(windows, rows, resume_dir)
        total += forecast.paths
        warnings += forecast.warnings
    paths = (total / len(folders)).astype(np.float32)
    return Forecasts(windows.sample_id[rows], paths, windows.volatility(rows)), warnings


def _model_folders(fold: Path) -> list[Path]:
    if not fold.is_dir():
        raise InputError(f"{display_path(fold)} is missing: run 2_train_folds.py first")
    return sorted(path for path in fold.iterdir() if path.is_dir()) or [fold]
