"""ARIMA: both engines, fallbacks, resuming, parallel series."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from competitions.bit_trader.data.windows import Windows
from competitions.bit_trader.experiment import Arima, BitTraderExperiment
from competitions.bit_trader.models import arima
from competitions.bit_trader.models.arima import ArimaForecaster, Engine, Series, forecast_series

Fit = Callable[[Series, Any], Series]


def arima_settings(lookback: int, **changes: Any) -> BitTraderExperiment:
    settings = Arima.model_validate({"chunk_size": 2} | changes)
    return BitTraderExperiment(name="arima", forecaster="arima", lookback=lookback, arima=settings)


@pytest.mark.parametrize("engine", ["statsforecast", "pmdarima"])
def test_both_engines_forecast_120_minutes(engine: str, random_walks: Windows) -> None:
    generator = np.random.default_rng(1)
    swing = np.zeros(150)
    for minute in range(1, 150):
        swing[minute] = 0.95 * swing[minute - 1] + 0.001 * generator.normal()
    series = np.stack([1 + swing, np.ones(150), np.linspace(0.9, 1.0, 150)]).astype(np.float32)
    paths, warnings = forecast_series(series, Arima(engine=engine, max_order=1))  # type: ignore[arg-type]
    assert paths.shape == (3, 120)
    assert np.isfinite(paths).all()
    assert abs(paths[0, -1] - 1) < 0.01
    assert (paths[1] == 1).all()  # pmdarima alone would answer zeros
    assert paths[2, 60] > 1.0
    assert len(warnings) == 3


def raises(values: Series, order: object) -> Series:
    raise np.linalg.LinAlgError("singular")


def never_ends(values: Series, order: object) -> Series:
    return np.full(120, np.nan)


def wild(values: Series, order: object) -> Series:
    return np.full(120, 50.0)


def flat(values: Series, order: object) -> Series:
    return np.full(120, 0.5 * (values[-1] + values[-2]))


def use_engine(monkeypatch: pytest.MonkeyPatch, automatic: Fit, fixed: Fit) -> None:
    monkeypatch.setitem(arima.ENGINES, "statsforecast", lambda _: Engine(automatic, fixed))


@pytest.mark.parametrize("automatic", [raises, never_ends, wild])
def test_a_failing_series_falls_back_with_a_warning(
    automatic: Fit, random_walks: Windows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forecaster = ArimaForecaster(arima_settings(60, n_jobs=1), "cpu")
    rows = np.array([3, 5, 8])
    use_engine(monkeypatch, automatic, flat)
    (tmp_path / "one").mkdir()
    forecast = forecaster.forecast(random_walks, rows, tmp_path / "one")
    assert len(forecast.warnings) == 3
    assert forecast.warnings[0].startswith("sample 3: auto_arima failed")
    assert "ARIMA(1, 1, 1) used" in forecast.warnings[0]
    assert forecast.paths[:, 0] == pytest.approx(random_walks.past[rows, -2:, 0].mean(axis=1))
    use_engine(monkeypatch, automatic, raises)
    (tmp_path / "two").mkdir()
    forecast = forecaster.forecast(random_walks, rows, tmp_path / "two")
    assert "the last price used" in forecast.warnings[0]
    assert forecast.paths[:, 119] == pytest.approx(random_walks.past[rows, -1, 0])


def test_an_interrupted_arima_continues_after_its_last_chunk(
    random_walks: Windows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[float] = []

    def last_price(values: Series, order: object) -> Series:
        fitted.append(values[-1])
        if len(fitted) == 5:
            raise KeyboardInterrupt
        return np.full(120, values[-1])

    use_engine(monkeypatch, last_price, last_price)
    forecaster = ArimaForecaster(arima_settings(60, n_jobs=1), "cpu")
    with pytest.raises(KeyboardInterrupt):
        forecaster.forecast(random_walks, np.arange(8), tmp_path)
    assert len(list(tmp_path.glob("series*.npy"))) == 2
    forecast = forecaster.forecast(random_walks, np.arange(8), tmp_path)
    assert len(fitted) == 5 + 4
    assert forecast.paths[:, 0] == pytest.approx(random_walks.past[:8, -1, 0])
    assert forecast.warnings == []


def test_parallel_series_give_the_same_as_one_process(random_walks: Windows, tmp_path: Path) -> None:
    rows = np.arange(4)
    paths = []
    for n_jobs in (1, 2):
        (tmp_path / str(n_jobs)).mkdir()
        settings = arima_settings(40, n_jobs=n_jobs, chunk_size=2, max_order=1)
        paths.append(
            ArimaForecaster(settings, "cpu").forecast(random_walks, rows, tmp_path / str(n_jobs)).paths
        )
    assert np.array_equal(paths[0], paths[1])


@pytest.mark.parametrize("engine", ["statsforecast", "pmdarima"])
def test_fitted_values_are_of_the_past(engine: str) -> None:
    """What the organisers' notebook took for a forecast follows minutes 1 to 120 of x, one minute behind."""
    generator = np.random.default_rng(4)
    course = np.exp(np.cumsum(0.003 * generator.normal(size=260))).astype(np.float32)
    settings = Arima(engine=engine, order=[1, 1, 1], prediction="fitted_values")  # type: ignore[arg-type]
    (path,), (warning,) = forecast_series(course[None, :], settings)
    assert warning == ""
    assert np.abs(path - course[:120]).max() < 0.003
    later = course.copy()
    later[200:] *= 1.2
    (again,), _ = forecast_series(later[None, :], settings)
    assert np.abs(again - path).max() < 0.01  # but for the fitted coefficients, the last hour has no say
