"""LightGBM on bar features: one booster a horizon, the path between the horizons by interpolation."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lightgbm
import numpy as np
import numpy.typing as npt

from common.base.atomic import write_text
from common.base.console import log
from competitions.bit_trader.data.bar_files import FIELDS, FUTURE_MINUTES, PAST_MINUTES, IntArray
from competitions.bit_trader.data.features import SHORTEST_WINDOW, bar_features, window_volatility
from competitions.bit_trader.data.windows import Bars, Windows
from competitions.bit_trader.experiment import Boosting
from competitions.bit_trader.models.base import Forecast, History

FloatArray = npt.NDArray[np.float64]
BOOSTERS = "boosters.json"
SAMPLES_A_BLOCK = 128
LARGEST_MOVE = 5.0
"""Targets, in standard deviations of their horizon, are cut here: single jumps shall not rule the trees."""


class BoostingForecaster:
    """Expected log price ratio since the purchase at several horizons.

    Targets are divided by the window's volatility times the root of the horizon: calm and wild windows weigh
    alike. Their mean is taken off: the drift of the training months is no forecast.
    """

    learns = True

    def __init__(self, settings: Boosting, lookback: int) -> None:
        if lookback < SHORTEST_WINDOW:
            raise ValueError(f"lookback must be at least {SHORTEST_WINDOW} minutes for this forecaster")
        self.settings, self.lookback = settings, lookback
        self.boosters: dict[int, lightgbm.Booster] = {}

    def fit(self, windows: Windows, rows: IntArray, scratch: Path, seed: int) -> History:
        """Train one booster a horizon, keeping each in `scratch` as soon as it is done."""
        features, targets = self._training_table(windows, rows)
        log(f"  {len(features)} training windows of {len(rows)} samples, {features.shape[1]} features")
        files = [scratch / _file_name(horizon) for horizon in self.settings.horizons]

        def train(column: int) -> dict[str, float]:
            if not files[column].is_file():
                write_text(files[column], self._boost(features, targets[:, column], seed).model_to_string())
            booster = lightgbm.Booster(model_file=str(files[column]))
            forecast = np.asarray(booster.predict(features, num_threads=1))
            error = float(np.mean((forecast - _centred(targets[:, column])) ** 2))
            return {"horizon": float(self.settings.horizons[column]), "training_error": round(error, 6)}

        # One thread a booster: LightGBM's own threads burn time in waiting where cores are shared.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            history = list(pool.map(train, range(len(files))))
        self.boosters = {
            horizon: lightgbm.Booster(model_file=str(file))
            for horizon, file in zip(self.settings.horizons, files, strict=True)
        }
        return history

    def save(self, folder: Path) -> list[Path]:
        """One file of LightGBM text models by horizon."""
        path = folder / BOOSTERS
        models = {horizon: booster.model_to_string() for horizon, booster in self.boosters.items()}
        write_text(path, json.dumps(models, indent=0))
        return [path]

    def load(self, folder: Path) -> None:
        """Read the boosters of a fold."""
        models = json.loads((folder / BOOSTERS).read_text())
        self.boosters = {int(horizon): lightgbm.Booster(model_str=text) for horizon, text in models.items()}

    def forecast(self, windows: Windows, rows: IntArray, scratch: Path) -> Forecast:  # noqa: ARG002
        """Expected path of each sample, starting at the last close before the purchase."""
        paths = np.empty((len(rows), FUTURE_MINUTES), np.float32)
        for first in range(0, len(rows), SAMPLES_A_BLOCK):
            bars = windows.past[rows[first : first + SAMPLES_A_BLOCK], -self.lookback :]
            paths[first : first + len(bars)] = self._expected_paths(bars)
        return Forecast(paths)

    def _expected_paths(self, bars: Bars) -> FloatArray:
        features = _matrix(bars)
        scale = window_volatility(bars)
        logs = np.zeros((len(bars), 1 + len(self.boosters)))
        for column, (horizon, booster) in enumerate(self.boosters.items(), start=1):
            logs[:, column] = np.asarray(booster.predict(features, num_threads=1)) * scale * np.sqrt(horizon)
        minutes = np.arange(FUTURE_MINUTES)
        knots = [0, *self.boosters]
        path = np.stack([np.interp(minutes, knots, row) for row in logs])
        last_close = bars[:, -1, FIELDS.index("close")].astype(np.float64)
        return last_close[:, None] * np.exp(path)

    def _training_table(self, windows: Windows, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Features and targets, one row a window: of the samples themselves and of cuts within them."""
        features, targets = [], []
        for first in range(0, len(rows), SAMPLES_A_BLOCK):
            block = rows[first : first + SAMPLES_A_BLOCK]
            past = windows.past[block]
            future_open = windows.future_open(block)
            for purchase in self._purchase_minutes():
                bars = past[:, purchase - self.lookback : purchase]
                if purchase < PAST_MINUTES:
                    future_open_here = past[:, purchase : purchase + FUTURE_MINUTES, FIELDS.index("open")]
                else:
                    future_open_here = future_open
                features.append(_matrix(bars))
                targets.append(self._targets(bars, future_open_here))
        return np.concatenate(features), np.concatenate(targets)

    def _purchase_minutes(self) -> list[int]:
        """Minutes of x at which training windows end: the last, and those whose future lies within x."""
        latest = PAST_MINUTES - FUTURE_MINUTES
        return [PAST_MINUTES, *range(latest, self.lookback - 1, -self.settings.cut_every)]

    def _targets(self, bars: Bars, future_open: npt.NDArray[np.float32]) -> FloatArray:
        logs = np.log(future_open[:, self.settings.horizons].astype(np.float64) / future_open[:, :1])
        scale = window_volatility(bars)[:, None] * np.sqrt(self.settings.horizons)
        return np.clip(logs / scale, -LARGEST_MOVE, LARGEST_MOVE)

    def _boost(self, features: FloatArray, target: FloatArray, seed: int) -> lightgbm.Booster:
        parameters = {
            "objective": "l2",
            "boost_from_average": False,
            "num_leaves": self.settings.leaves,
            "learning_rate": self.settings.learning_rate,
            "min_data_in_leaf": self.settings.windows_in_leaf,
            "feature_fraction": self.settings.feature_share,
            "lambda_l2": self.settings.ridge,
            "seed": seed % 2**31,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "verbosity": -1,
        }
        table = lightgbm.Dataset(features, _centred(target), params={"verbosity": -1})
        return lightgbm.train(parameters, table, num_boost_round=self.settings.rounds)


def _centred(target: FloatArray) -> FloatArray:
    return target - target.mean()


def _matrix(bars: Bars) -> FloatArray:
    return np.stack(list(bar_features(bars).values()), axis=1)


def _file_name(horizon: int) -> str:
    return f"minute{horizon}.txt"
