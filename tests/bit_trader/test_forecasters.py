"""Networks that resume, ARIMA that falls back; horizons, scaling, flat series."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from competitions.bit_trader.data.windows import Windows
from competitions.bit_trader.experiment import Arima, BitTraderExperiment, Cnn, Rnn, Training
from competitions.bit_trader.models import arima
from competitions.bit_trader.models.arima import ArimaForecaster, Engine, Series, forecast_series

Fit = Callable[[Series, Any], Series]


@pytest.fixture(scope="module")
def windows() -> Windows:
    generator = np.random.default_rng(0)
    course = np.cumsum(0.001 * generator.normal(size=(16, 1500)), axis=1)
    prices = np.exp(course - course[:, 1379:1380]).astype(np.float32)
    bars = np.repeat(prices[:, :, None], 9, axis=2)
    number = np.arange(16)
    return Windows(number, number, number[:, None], bars[:, :1380], bars[:, 1380:])


def cnn(epochs: int) -> BitTraderExperiment:
    training = Training(epochs=epochs, batch_size=4)
    return BitTraderExperiment(
        name="cnn", lookback=20, cnn=Cnn(filters=[4], dense_units=8), training=training
    )


def arima_settings(lookback: int, **changes: Any) -> BitTraderExperiment:
    settings = Arima.model_validate({"chunk_size": 2} | changes)
    return BitTraderExperiment(name="arima", forecaster="arima", lookback=lookback, arima=settings)


class StoppedError(Exception):
    """A kill in the middle of a training."""


def test_an_interrupted_training_ends_in_the_same_weights(
    windows: Windows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from competitions.bit_trader.models.cnn import CnnForecaster
    from competitions.bit_trader.models.neural import NetworkForecaster

    rows, straight, broken = np.arange(12), tmp_path / "straight", tmp_path / "broken"
    straight.mkdir()
    broken.mkdir()
    uninterrupted = CnnForecaster(cnn(4), "auto")
    history = uninterrupted.fit(windows, rows, straight, seed=7)
    train_epoch = NetworkForecaster._train_epoch
    passes: list[int] = []

    def stopped_in_the_third(self: NetworkForecaster, *given: Any) -> float:
        passes.append(1)
        if len(passes) == 3:
            raise StoppedError
        return train_epoch(self, *given)

    killed = CnnForecaster(cnn(4), "auto")
    with monkeypatch.context() as patch:
        patch.setattr(NetworkForecaster, "_train_epoch", stopped_in_the_third)
        with pytest.raises(StoppedError):
            killed.fit(windows, rows, broken, seed=7)
    resumed = CnnForecaster(cnn(4), "auto")
    assert resumed.fit(windows, rows, broken, seed=7) == history
    for ours, theirs in zip(resumed.network.get_weights(), uninterrupted.network.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)
    (file,) = resumed.save(tmp_path / "fold0")
    again = CnnForecaster(cnn(4), "auto")
    again.load(tmp_path / "fold0")
    assert file.is_file()
    assert np.array_equal(
        again.forecast(windows, rows, tmp_path).paths, uninterrupted.forecast(windows, rows, tmp_path).paths
    )


@pytest.mark.parametrize("min_max", [False, True])
def test_a_recurrent_network_goes_on_from_its_own_forecast(windows: Windows, min_max: bool) -> None:
    from competitions.bit_trader.models.rnn import RnnForecaster

    rnn = Rnn(cell="gru", units=4, minmax_scaling=min_max)
    settings = BitTraderExperiment(name="gru", forecaster="rnn", lookback=30, rnn=rnn)
    forecaster = RnnForecaster(settings, "auto")

    class LastPrice:
        """Forecasts 60 times the last price."""

        def predict_on_batch(self, inputs: np.ndarray) -> np.ndarray:
            assert inputs.shape[1:] == (30, 1)
            return inputs[:, -1] + np.zeros((1, 60), np.float32)

    forecaster.network = LastPrice()
    paths = forecaster.forecast(windows, np.arange(5), Path()).paths
    assert paths.shape == (5, 120)
    assert paths == pytest.approx(np.repeat(windows.past[:5, -1:, 0], 120, axis=1), abs=1e-6)


def test_a_window_that_never_moved_is_scaled_without_harm(windows: Windows) -> None:
    from competitions.bit_trader.models.rnn import RnnForecaster

    rnn = Rnn(units=4, minmax_scaling=True)
    forecaster = RnnForecaster(
        BitTraderExperiment(name="lstm", forecaster="rnn", lookback=30, rnn=rnn), "auto"
    )
    number = np.arange(2)
    still = Windows(number, number, number[:, None], np.ones((2, 1380, 9), np.float32), None)
    assert np.isfinite(forecaster.forecast(still, np.arange(2), Path()).paths).all()


@pytest.mark.parametrize("engine", ["statsforecast", "pmdarima"])
def test_both_engines_forecast_120_minutes(engine: str, windows: Windows) -> None:
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
def test_a_failing_series_falls_back_and_is_told(
    automatic: Fit, windows: Windows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forecaster = ArimaForecaster(arima_settings(60, n_jobs=1), "cpu")
    rows = np.array([3, 5, 8])
    use_engine(monkeypatch, automatic, flat)
    (tmp_path / "one").mkdir()
    forecast = forecaster.forecast(windows, rows, tmp_path / "one")
    assert len(forecast.warnings) == 3
    assert forecast.warnings[0].startswith("sample 3: auto_arima failed")
    assert "ARIMA(1, 1, 1) used" in forecast.warnings[0]
    assert forecast.paths[:, 0] == pytest.approx(windows.past[rows, -2:, 0].mean(axis=1))
    use_engine(monkeypatch, automatic, raises)
    (tmp_path / "two").mkdir()
    forecast = forecaster.forecast(windows, rows, tmp_path / "two")
    assert "the last price used" in forecast.warnings[0]
    assert forecast.paths[:, 119] == pytest.approx(windows.past[rows, -1, 0])


def test_a_killed_arima_goes_on_at_its_last_chunk(
    windows: Windows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
        forecaster.forecast(windows, np.arange(8), tmp_path)
    assert len(list(tmp_path.glob("series*.npy"))) == 2
    forecast = forecaster.forecast(windows, np.arange(8), tmp_path)
    assert len(fitted) == 5 + 4
    assert forecast.paths[:, 0] == pytest.approx(windows.past[:8, -1, 0])
    assert forecast.warnings == []


def test_series_side_by_side_give_what_one_process_gives(windows: Windows, tmp_path: Path) -> None:
    rows = np.arange(4)
    paths = []
    for processes in (1, 2):
        (tmp_path / str(processes)).mkdir()
        settings = arima_settings(40, n_jobs=processes, chunk_size=2, max_order=1)
        paths.append(
            ArimaForecaster(settings, "cpu").forecast(windows, rows, tmp_path / str(processes)).paths
        )
    assert np.array_equal(paths[0], paths[1])


@pytest.mark.parametrize("engine", ["statsforecast", "pmdarima"])
def test_the_in_sample_prediction_is_of_the_past(engine: str) -> None:
    """What the organisers' notebook took for a forecast follows minutes 1 to 120 of x, one minute behind."""
    generator = np.random.default_rng(4)
    course = np.exp(np.cumsum(0.003 * generator.normal(size=260))).astype(np.float32)
    settings = Arima(engine=engine, order=[1, 1, 1], prediction="fitted_values")  # type: ignore[arg-type]
    (path,), (trouble,) = forecast_series(course[None, :], settings)
    assert trouble == ""
    assert np.abs(path - course[:120]).max() < 0.003
    later = course.copy()
    later[200:] *= 1.2
    (again,), _ = forecast_series(later[None, :], settings)
    assert np.abs(again - path).max() < 0.01  # but for the fitted coefficients, the last hour has no say
