"""LightGBM on bar features: one booster per horizon, linear interpolation between the horizons."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from common.base.atomic import write_text
from common.base.console import log
from common.base.errors import InputError
from common.base.paths import display_path
from common.learn.arrays import Float32, Float64, Int64
from common.learn.boosting import booster_of, load_booster, save_booster, train_lightgbm
from common.run.experiments import NoOptions, read_options
from competitions.bit_trader.data.bar_files import FIELDS, FUTURE_MINUTES, PAST_MINUTES
from competitions.bit_trader.data.features import SHORTEST_WINDOW, bar_features, window_volatility
from competitions.bit_trader.data.windows import Bars, Windows
from competitions.bit_trader.experiment import BitTraderExperiment
from competitions.bit_trader.models.base import History, PricePaths
from competitions.bit_trader.models.registry import FORECASTERS

if TYPE_CHECKING:
    import lightgbm

BOOSTERS = "boosters.json"
SAMPLES_PER_BLOCK = 128
TARGET_CLIP = 5.0
"""Limit of the targets, in standard deviations of their horizon, so that single jumps do not dominate."""


@dataclass(frozen=True)
class _Seen:
    """What the boosters of all folds look at, for some windows."""

    windows: Windows
    rows: Int64
    features: Float64
    """(n, 64)"""
    scale: Float64
    """(n,) volatility."""
    last_close: Float64
    """(n,)"""


@FORECASTERS.register("gbdt")
class GbdtForecaster:
    """Expected log price ratio since the purchase at several horizons.

    Targets are divided by the window's volatility times the square root of the horizon, so that calm and
    volatile windows have equal weight. They are mean-centred, so that the training period's drift is not
    learned.
    """

    learns = True
    fields = ("high", "low", "close", "volume", "trades", "tb_base_av")

    def __init__(self, settings: BitTraderExperiment, device: str) -> None:  # noqa: ARG002
        read_options(NoOptions, settings.options, f"experiment {settings.name!r}, options")
        if settings.lookback < SHORTEST_WINDOW:
            raise InputError(
                f"experiment {settings.name!r}: lookback = {settings.lookback}; forecaster 'gbdt' needs at "
                f"least {SHORTEST_WINDOW} minutes"
            )
        self.settings, self.lookback = settings.gbdt, settings.lookback
        self.boosters: dict[int, lightgbm.Booster] = {}
        self._seen: _Seen | None = None

    def fit(self, windows: Windows, rows: Int64, resume_dir: Path, seed: int) -> History:
        """Train one booster per horizon; each is kept in `resume_dir` as soon as it is trained."""
        features, targets = self._training_table(windows, rows)
        log(f"  {len(features)} training windows of {len(rows)} samples, {features.shape[1]} features")
        files = [resume_dir / f"minute{horizon}.txt" for horizon in self.settings.horizons]

        def train(column: int) -> dict[str, float]:
            if not files[column].is_file():
                save_booster(files[column], self._train_booster(features, targets[:, column], seed))
            booster = load_booster(files[column])
            forecast = np.asarray(booster.predict(features, num_threads=1))
            error = float(np.mean((forecast - _centred(targets[:, column])) ** 2))
            return {"horizon": float(self.settings.horizons[column]), "training_error": round(error, 6)}

        # One thread per booster: LightGBM's own threads waste time waiting where cores are shared.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            history = list(pool.map(train, range(len(files))))
        self.boosters = {
            horizon: load_booster(file) for horizon, file in zip(self.settings.horizons, files, strict=True)
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
        path = folder / BOOSTERS
        if not path.is_file():
            raise InputError(f"{display_path(path)} is missing: run 2_train_folds.py first")
        try:
            models = json.loads(path.read_text(encoding="utf-8"))
            self.boosters = {int(horizon): booster_of(text) for horizon, text in models.items()}
        except (ValueError, AttributeError):  # not JSON, not a table, not a booster
            raise InputError(
                f"{display_path(path)}: holds no LightGBM models; delete it and run 2_train_folds.py again"
            ) from None

    def forecast(self, windows: Windows, rows: Int64, resume_dir: Path) -> PricePaths:  # noqa: ARG002
        """Expected path of each sample, starting at the last close before the purchase."""
        if (
            self._seen is None
            or self._seen.windows is not windows
            or not np.array_equal(self._seen.rows, rows)
        ):
            self._seen = self._look_at(windows, rows)  # once for the models of all folds
        paths = np.empty((len(rows), FUTURE_MINUTES), np.float32)
        for first in range(0, len(rows), SAMPLES_PER_BLOCK):
            block = slice(first, first + SAMPLES_PER_BLOCK)
            paths[block] = self._expected_paths(
                self._seen.features[block], self._seen.scale[block], self._seen.last_close[block]
            )
        return PricePaths(paths)

    def _look_at(self, windows: Windows, rows: Int64) -> "_Seen":
        features, scale, last_close = [], [], []
        for first in range(0, len(rows), SAMPLES_PER_BLOCK):
            bars = windows.past[rows[first : first + SAMPLES_PER_BLOCK], -self.lookback :]
            features.append(_feature_matrix(bars))
            scale.append(window_volatility(bars))
            last_close.append(bars[:, -1, FIELDS.index("close")].astype(np.float64))
        return _Seen(windows, rows, *(np.concatenate(parts) for parts in (features, scale, last_close)))

    def _expected_paths(self, features: Float64, scale: Float64, last_close: Float64) -> Float64:
        """(n, 64), (n,), (n,) -> (n, 120)."""
        # Column 0 is the purchase itself, log ratio 0; the others are the boosters' horizons.
        logs = np.zeros((len(features), 1 + len(self.boosters)))
        for column, (horizon, booster) in enumerate(self.boosters.items(), start=1):
            logs[:, column] = np.asarray(booster.predict(features, num_threads=1)) * scale * np.sqrt(horizon)
        minutes = np.arange(FUTURE_MINUTES)
        knots = [0, *self.boosters]
        path = np.stack([np.interp(minutes, knots, row) for row in logs])
        return last_close[:, None] * np.exp(path)

    def _training_table(self, windows: Windows, rows: Int64) -> tuple[Float64, Float64]:
        """Features (m, 64) and targets (m, horizons), one row per window.

        Windows are the samples themselves and, every `stride` minutes, cuts from a sample's own past.
        """
        features, targets = [], []
        for first in range(0, len(rows), SAMPLES_PER_BLOCK):
            block = rows[first : first + SAMPLES_PER_BLOCK]
            past = windows.past[block]
            future_open = windows.future_open(block)
            for purchase in self._purchase_minutes():
                bars = past[:, purchase - self.lookback : purchase]
                if purchase < PAST_MINUTES:
                    future_open_here = past[:, purchase : purchase + FUTURE_MINUTES, FIELDS.index("open")]
                else:
                    future_open_here = future_open
                features.append(_feature_matrix(bars))
                targets.append(self._targets(bars, future_open_here))
        return np.concatenate(features), np.concatenate(targets)

    def _purchase_minutes(self) -> list[int]:
        """Minutes of x at which training windows end: the last one, and those whose future lies within x."""
        latest = PAST_MINUTES - FUTURE_MINUTES
        return [PAST_MINUTES, *range(latest, self.lookback - 1, -self.settings.stride)]

    def _targets(self, bars: Bars, future_open: Float32) -> Float64:
        """(n, horizons) log price ratios in standard deviations of their horizon."""
        logs = np.log(future_open[:, self.settings.horizons].astype(np.float64) / future_open[:, :1])
        scale = window_volatility(bars)[:, None] * np.sqrt(self.settings.horizons)
        return np.clip(logs / scale, -TARGET_CLIP, TARGET_CLIP)

    def _train_booster(self, features: Float64, target: Float64, seed: int) -> "lightgbm.Booster":
        settings = self.settings
        return train_lightgbm(
            features,
            _centred(target),
            objective="l2",
            num_boost_round=settings.num_boost_round,
            num_leaves=settings.num_leaves,
            learning_rate=settings.learning_rate,
            min_data_in_leaf=settings.min_data_in_leaf,
            feature_fraction=settings.feature_fraction,
            lambda_l2=settings.lambda_l2,
            boost_from_average=False,
            seed=seed,
            num_threads=1,
        )


def _centred(target: Float64) -> Float64:
    centred: Float64 = target - target.mean()
    return centred


def _feature_matrix(bars: Bars) -> Float64:
    return np.stack(list(bar_features(bars).values()), axis=1)
