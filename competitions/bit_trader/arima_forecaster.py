"""ARIMA, fitted to each series anew: two engines, many series side by side, resumable in the middle."""

import multiprocessing
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.atomic import whole_file, write_text
from common.console import progress
from competitions.bit_trader.bar_files import FUTURE_MINUTES, IntArray
from competitions.bit_trader.experiment import Arima
from competitions.bit_trader.forecasters import Forecast, History
from competitions.bit_trader.market_windows import Windows

Series = npt.NDArray[np.float64]
Chunk = tuple[npt.NDArray[np.float32], list[str]]
"""Forecasts of some series, and for each what went wrong, `` when nothing did."""
FALLBACK_ORDER = (1, 1, 1)
WILD = 2.0
"""A forecast beyond this factor of the last price has diverged."""


class ArimaForecaster:
    """auto_arima on each sample's open prices; ARIMA(1,1,1) where it fails, the last price where both do."""

    learns = False

    def __init__(self, settings: Arima, lookback: int) -> None:
        self.settings, self.lookback = settings, lookback

    def fit(self, windows: Windows, rows: IntArray, scratch: Path, seed: int) -> History:  # noqa: ARG002
        """Nothing to learn from other samples."""
        return []

    def save(self, folder: Path) -> list[Path]:  # noqa: ARG002
        """Nothing to keep."""
        return []

    def load(self, folder: Path) -> None:
        """Nothing to read."""

    def forecast(self, windows: Windows, rows: IntArray, scratch: Path) -> Forecast:
        """120 minutes at once for each sample; chunks of series are kept in `scratch` as they are done."""
        chunks = [
            rows[first : first + self.settings.chunk] for first in range(0, len(rows), self.settings.chunk)
        ]
        files = [scratch / f"series{number:05d}.npy" for number in range(len(chunks))]
        open_chunks = [number for number, file in enumerate(files) if not file.is_file()]
        series = (windows.past_open(chunks[number], self.lookback) for number in open_chunks)
        for number, (paths, troubles) in zip(
            open_chunks, self._forecast_chunks(series, len(open_chunks)), strict=True
        ):
            write_text(files[number].with_suffix(".txt"), "\n".join(troubles))
            with whole_file(files[number]) as beside:
                np.save(beside, paths)
        troubles = [line for file in files for line in file.with_suffix(".txt").read_text().split("\n")]
        told = [
            f"sample {sample}: {trouble}"
            for sample, trouble in zip(windows.sample_id[rows], troubles, strict=True)
            if trouble
        ]
        return Forecast(np.concatenate([np.load(file) for file in files]), told)

    def _forecast_chunks(self, series: Iterator[npt.NDArray[np.float32]], count: int) -> Iterator[Chunk]:
        work = partial(forecast_series, engine=self.settings.engine, max_order=self.settings.max_order)
        what = f"ARIMA ({self.settings.engine})"
        if self.settings.processes == 1 or count <= 1:
            yield from progress(map(work, series), what, "chunks", count)
            return
        # Spawned, not forked: the parent runs threads of polars.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(self.settings.processes, mp_context=context) as pool:
            yield from progress(pool.map(work, series), what, "chunks", count)


def forecast_series(series: npt.NDArray[np.float32], engine: str, max_order: int) -> Chunk:
    """Forecast 120 minutes of each row of `series` (n, lookback); never raises because of a series."""
    fits = _ENGINES[engine]()
    paths, troubles = np.empty((len(series), FUTURE_MINUTES), np.float32), []
    for row, values in enumerate(series.astype(np.float64)):
        paths[row], trouble = _forecast_one(values, partial(fits[0], max_order=max_order), fits[1])
        troubles.append(trouble)
    return paths, troubles


Fit = Callable[[Series], Series]


def _forecast_one(values: Series, automatic: Fit, fixed: Fit) -> tuple[Series, str]:
    """The forecast of one series and what went wrong on the way."""
    flat = np.full(FUTURE_MINUTES, values[-1])
    if np.ptp(values) == 0:
        return flat, ""  # nothing moved: no engine is asked (pmdarima answers zeros)
    reasons: list[str] = []
    for name, fit in (("auto_arima", automatic), (f"ARIMA{FALLBACK_ORDER}", fixed)):
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                path = fit(values)
            reason = _divergence(path, values[-1])
        except Exception as fault:
            # Whatever an engine raises (linear algebra, its own errors): one series never stops the rest.
            reason = f"{type(fault).__name__} {str(fault)[:60]}".replace("\n", " ")
        if not reason:
            return path, f"{reasons[0]}; ARIMA{FALLBACK_ORDER} used" if reasons else ""
        reasons.append(f"{name} failed ({reason})")
    return flat, f"{'; '.join(reasons)}; the last price used"


def _divergence(path: Series, last: float) -> str:
    if not np.isfinite(path).all():
        return "forecast not finite"
    return "forecast diverged" if (np.abs(np.log(np.maximum(path, 1e-9) / last)) > np.log(WILD)).any() else ""


def _statsforecast() -> tuple[Callable[..., Series], Fit]:
    from statsforecast.models import ARIMA, AutoARIMA

    def automatic(values: Series, max_order: int) -> Series:
        model = AutoARIMA(max_p=max_order, max_q=max_order, season_length=1)
        return np.asarray(model.forecast(y=values, h=FUTURE_MINUTES)["mean"])

    def fixed(values: Series) -> Series:
        return np.asarray(ARIMA(order=FALLBACK_ORDER).forecast(y=values, h=FUTURE_MINUTES)["mean"])

    return automatic, fixed


def _pmdarima() -> tuple[Callable[..., Series], Fit]:
    import pmdarima

    def automatic(values: Series, max_order: int) -> Series:
        model = pmdarima.auto_arima(
            values,
            max_p=max_order,
            max_q=max_order,
            seasonal=False,
            suppress_warnings=True,
            error_action="ignore",
        )
        return np.asarray(model.predict(FUTURE_MINUTES))

    def fixed(values: Series) -> Series:
        return np.asarray(pmdarima.ARIMA(FALLBACK_ORDER).fit(values).predict(FUTURE_MINUTES))

    return automatic, fixed


_ENGINES = {"statsforecast": _statsforecast, "pmdarima": _pmdarima}
