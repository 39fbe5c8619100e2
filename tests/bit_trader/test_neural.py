"""Neural forecasters: interrupted trainings, autoregression, scaling."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from competitions.bit_trader.data.windows import Windows
from competitions.bit_trader.experiment import BitTraderExperiment, Cnn, Rnn, Training


def cnn(epochs: int) -> BitTraderExperiment:
    training = Training(epochs=epochs, batch_size=4)
    return BitTraderExperiment(
        name="cnn", lookback=20, cnn=Cnn(filters=[4], dense_units=8), training=training
    )


class StoppedError(Exception):
    """A kill in the middle of a training."""


def test_an_interrupted_training_ends_in_the_same_weights(
    random_walks: Windows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from competitions.bit_trader.models.cnn import CnnForecaster
    from competitions.bit_trader.models.neural import NetworkForecaster

    rows, straight, broken = np.arange(12), tmp_path / "straight", tmp_path / "broken"
    straight.mkdir()
    broken.mkdir()
    uninterrupted = CnnForecaster(cnn(4), "auto")
    history = uninterrupted.fit(random_walks, rows, straight, seed=7)
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
            killed.fit(random_walks, rows, broken, seed=7)
    resumed = CnnForecaster(cnn(4), "auto")
    assert resumed.fit(random_walks, rows, broken, seed=7) == history
    for ours, theirs in zip(resumed.network.get_weights(), uninterrupted.network.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)
    (file,) = resumed.save(tmp_path / "fold0")
    again = CnnForecaster(cnn(4), "auto")
    again.load(tmp_path / "fold0")
    assert file.is_file()
    assert np.array_equal(
        again.forecast(random_walks, rows, tmp_path).paths,
        uninterrupted.forecast(random_walks, rows, tmp_path).paths,
    )


@pytest.mark.parametrize("minmax_scaling", [False, True])
def test_a_recurrent_network_continues_from_its_own_forecast(
    random_walks: Windows, minmax_scaling: bool
) -> None:
    from competitions.bit_trader.models.rnn import RnnForecaster

    rnn = Rnn(cell="gru", units=4, minmax_scaling=minmax_scaling)
    settings = BitTraderExperiment(name="gru", forecaster="rnn", lookback=30, rnn=rnn)
    forecaster = RnnForecaster(settings, "auto")

    class LastPrice:
        """Forecasts 60 times the last price."""

        def predict_on_batch(self, inputs: np.ndarray) -> np.ndarray:
            assert inputs.shape[1:] == (30, 1)
            return inputs[:, -1] + np.zeros((1, 60), np.float32)

    forecaster.network = LastPrice()
    paths = forecaster.forecast(random_walks, np.arange(5), Path()).paths
    assert paths.shape == (5, 120)
    assert paths == pytest.approx(np.repeat(random_walks.past[:5, -1:, 0], 120, axis=1), abs=1e-6)


def test_a_window_that_never_moved_is_scaled_without_harm(random_walks: Windows) -> None:
    from competitions.bit_trader.models.rnn import RnnForecaster

    rnn = Rnn(units=4, minmax_scaling=True)
    forecaster = RnnForecaster(
        BitTraderExperiment(name="lstm", forecaster="rnn", lookback=30, rnn=rnn), "auto"
    )
    number = np.arange(2)
    still = Windows(number, number, number[:, None], np.ones((2, 1380, 9), np.float32), None)
    assert np.isfinite(forecaster.forecast(still, np.arange(2), Path()).paths).all()
