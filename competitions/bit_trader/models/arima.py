"""ARIMA, fitted to each series separately: two engines, series in parallel, resumable by chunks."""

import multiprocessing
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from common.base.atomic import atomic_write, write_text
from common.base.console import progress
from common.learn.arrays import Float32, Float64, Int64
from common.run.experiments import NoOptions, read_options
from competitions.bit_trader.data.bar_files import FUTURE_MINUTES
from competitions.bit_trader.data.windows import Windows
from competitions.bit_trader.experiment import Arima, BitTraderExperiment
from competitions.bit_trader.models.base import History, PricePaths
from competitions.bit_trader.models.registry import FORECASTERS

Series = Float64
"""(minutes,) open prices."""
Chunk = tuple[Float32, list[str]]
"""Forecasts (n, 120) of some series, and a warning for each, `` where nothing went wrong."""
FALLBACK_ORDER = (1, 1, 1)
WILD = 2.0
"""A forecast beyond this factor of the last price has diverged."""


@FORECASTERS.register("arima")
class ArimaForecaster:
    """auto_arima on each sample's open prices; ARIMA(1,1,1) where it fails, the last price where both do.

    With `prediction = "fitted_values"` the path is not a forecast but the model's fit to minutes 1 to 120 of
    x, almost the prices of a day earlier, as in the organisers' notebook.
    """

    learns = False
    fields = ("open",)

    def __init__(self, settings: BitTraderExperiment, device: str) -> None:  # noqa: ARG002
        read_options(NoOptions, settings.options, f"experiment {settings.name!r}, options")
        self.settings, self.lookback = settings.arima, settings.lookback

    def fit(self, windows: Windows, rows: Int64, resume_dir: Path, seed: int) -> History:  # noqa: ARG002
        """Nothing to learn from other samples."""
        return []

    def save(self, folder: Path) -> list[Path]:  # noqa: ARG002
        """Nothing to keep."""
        return []

    def load(self, folder: Path) -> None:
        """Nothing to read."""

    def forecast(self, windows: Windows, rows: Int64, resume_dir: Path) -> PricePaths:
        """120 minutes at once for each sample; finished chunks of series are kept in `resume_dir`."""
        size = self.settings.chunk_size
        chunks = [rows[first : first + size] for first in range(0, len(rows), size)]
        files = [resume_dir / f"series{number:05d}.npy" for number in range(len(chunks))]
        open_chunks = [number for number, file in enumerate(files) if not file.is_file()]
        series = (windows.past_open(chunks[number], self.lookback) for number in open_chunks)
        for number, (paths, chunk_warnings) in zip(
            open_chunks, self._forecast_chunks(series, len(open_chunks)), strict=True
        ):
            write_text(files[number].with_suffix(".txt"), "\n".join(chunk_warnings))
            with atomic_write(files[number]) as partial_file:
                np.save(partial_file, paths)
        messages = [line for file in files for line in file.with_suffix(".txt").read_text().split("\n")]
        named = [
            f"sample {sample}: {message}"
            for sample, message in zip(windows.sample_id[rows], messages, strict=True)
            if message
        ]
        return PricePaths(np.concatenate([np.load(file) for file in files]), named)

    def _forecast_chunks(self, series: Iterator[Float32], count: int) -> Iterator[Chunk]:
        work = partial(forecast_series, settings=self.settings)
        what = f"ARIMA ({self.settings.engine})"
        if self.settings.n_jobs == 1 or count <= 1:
            yield from progress(map(work, series), what, "chunks", count)
            return
        # Spawned, not forked: the parent runs threads of polars.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(self.settings.n_jobs, mp_context=context) as pool:
            yield from progress(pool.map(work, series), what, "chunks", count)


@dataclass(frozen=True)
class Engine:
    """One implementation of ARIMA. Each call takes a series (minutes,) and returns 120 prices."""

    automatic: Callable[[Series, int], Series]
    """(series, highest order) -> the path of the model that auto_arima chooses."""
    fixed: Callable[[Series, tuple[int, int, int]], Series]
    """(series, (p, d, q)) -> the path of that model."""


def forecast_series(series: Float32, settings: Arima) -> Chunk:
    """The path of each row of `series` (n, lookback); never raises because of a series."""
    engine = ENGINES[settings.engine](settings.prediction)
    paths, warnings_by_series = np.empty((len(series), FUTURE_MINUTES), np.float32), []
    # Matrices are tiny here: BLAS threads would spend many times the work on waiting for each other.
    with threadpool_limits(1):
        for row, values in enumerate(series.astype(np.float64)):
            paths[row], warning = _forecast_one(values, engine, settings)
            warnings_by_series.append(warning)
    return paths, warnings_by_series


def _forecast_one(values: Series, engine: Engine, settings: Arima) -> tuple[Series, str]:
    """The path of one series, and a warning where a fallback was used."""
    flat = np.full(FUTURE_MINUTES, values[-1])
    if np.ptp(values) == 0:
        return flat, ""  # nothing moved; pmdarima would forecast zeros
    first = f"ARIMA{tuple(settings.order)}" if settings.order else "auto_arima"
    attempts: list[tuple[str, Callable[[], Series]]] = [
        (first, partial(_requested, values, engine, settings)),
        (f"ARIMA{FALLBACK_ORDER}", partial(engine.fixed, values, FALLBACK_ORDER)),
    ]
    reasons: list[str] = []
    for name, fit in attempts:
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                path = fit()
            reason = _divergence(path, values[-1])
        except Exception as fault:
            # Engines raise many kinds of errors; one series must not stop the others.
            reason = f"{type(fault).__name__} {str(fault)[:60]}".replace("\n", " ")
        if not reason:
            return path, f"{reasons[0]}; ARIMA{FALLBACK_ORDER} used" if reasons else ""
        reasons.append(f"{name} failed ({reason})")
    return flat, f"{'; '.join(reasons)}; the last price used"


def _requested(values: Series, engine: Engine, settings: Arima) -> Series:
    if settings.order:
        p, d, q = settings.order
        return engine.fixed(values, (p, d, q))
    return engine.automatic(values, settings.max_order)


def _divergence(path: Series, last: float) -> str:
    if not np.isfinite(path).all():
        return "forecast not finite"
    return "forecast diverged" if (np.abs(np.log(np.maximum(path, 1e-9) / last)) > np.log(WILD)).any() else ""


FITTED_MINUTES = slice(1, FUTURE_MINUTES + 1)
"""Minutes 1 to 120 of the series."""


def _statsforecast(prediction: str) -> Engine:
    from statsforecast.models import ARIMA, AutoARIMA

    def path(model: Any, values: Series) -> Series:
        if prediction == "forecast":
            return np.asarray(model.forecast(y=values, h=FUTURE_MINUTES)["mean"])
        return np.asarray(model.fit(y=values).predict_in_sample()["fitted"])[FITTED_MINUTES]

    def automatic(values: Series, max_order: int) -> Series:
        return path(AutoARIMA(max_p=max_order, max_q=max_order, season_length=1), values)

    def fixed(values: Series, order: tuple[int, int, int]) -> Series:
        return path(ARIMA(order=order), values)

    return Engine(automatic, fixed)


def _pmdarima(prediction: str) -> Engine:
    import pmdarima

    def path(model: Any) -> Series:
        if prediction == "forecast":
            return np.asarray(model.predict(FUTURE_MINUTES))
        return np.asarray(model.predict_in_sample())[FITTED_MINUTES]

    def automatic(values: Series, max_order: int) -> Series:
        model = pmdarima.auto_arima(
            values,
            max_p=max_order,
            max_q=max_order,
            seasonal=False,
            suppress_warnings=True,
            error_action="ignore",
        )
        return path(model)

    def fixed(values: Series, order: tuple[int, int, int]) -> Series:
        return path(pmdarima.ARIMA(order).fit(values))

    return Engine(automatic, fixed)


ENGINES: dict[str, Callable[[str], Engine]] = {"statsforecast": _statsforecast, "pmdarima": _pmdarima}
"""Name -> constructor of the engine, given `prediction`; it imports the library when called."""
