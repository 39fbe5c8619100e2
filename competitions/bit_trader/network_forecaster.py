"""The article's neural forecasters in Keras: convolutional and recurrent networks on open prices."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

from common.atomic import whole_file, write_text
from common.console import say
from common.errors import InputError
from common.seeding import derived_seed, seed_everything
from competitions.bit_trader.bar_files import FUTURE_MINUTES, IntArray
from competitions.bit_trader.experiment import BitTraderExperiment, Cnn, Rnn
from competitions.bit_trader.forecasters import Forecast, History
from competitions.bit_trader.market_windows import Windows
from competitions.bit_trader.quiet_keras import keras, tensorflow

Array = npt.NDArray[np.float32]
SAMPLES_A_BLOCK = 64
WEIGHTS = "checkpoint.safetensors"


def build_cnn(settings: Cnn, lookback: int) -> keras.Model:
    """Convolutions, each followed by pooling; flattened, one dense layer, dropout, 120 open prices.

    (batch, lookback, 1) -> (batch, 120)
    """
    pooling = keras.layers.MaxPooling1D if settings.pooling == "max" else keras.layers.AveragePooling1D
    layers: list[keras.layers.Layer] = [keras.Input((lookback, 1))]
    for filters in settings.filters:
        layers.append(
            keras.layers.Conv1D(filters, settings.kernel, padding=settings.padding, activation="relu")
        )
        layers.append(pooling(settings.pool_size))
    layers += [
        keras.layers.Flatten(),
        keras.layers.Dense(settings.dense_units, activation="relu"),
        keras.layers.Dropout(settings.dropout),
        keras.layers.Dense(FUTURE_MINUTES),
    ]
    return keras.Sequential(layers)


def build_rnn(settings: Rnn, lookback: int) -> keras.Model:
    """Recurrent layers, dense layers, the next open prices.

    (batch, lookback, 1) -> (batch, minutes_at_once)
    """
    cell = keras.layers.LSTM if settings.cell == "lstm" else keras.layers.GRU
    layers: list[keras.layers.Layer] = [keras.Input((lookback, 1))]
    for number in range(settings.layers):
        layers.append(cell(settings.units, return_sequences=number < settings.layers - 1))
    for _ in range(settings.dense_layers - 1):
        layers.append(keras.layers.Dense(settings.units, activation="relu"))
    layers.append(keras.layers.Dense(settings.minutes_at_once))
    return keras.Sequential(layers)


def _choose_device(device: str) -> None:
    """Keep tensorflow off the GPU for --device cpu; InputError when cuda is asked for and not there."""
    if device == "cuda" and not tensorflow.config.list_physical_devices("GPU"):
        raise InputError("--device cuda: tensorflow sees no CUDA device here; use --device cpu or auto")
    if device == "cpu":
        tensorflow.config.set_visible_devices([], "GPU")


class NetworkForecaster:
    """Maps the last open prices to the next ones; a recurrent network goes on from its own output."""

    learns = True

    def __init__(self, settings: BitTraderExperiment, device: str) -> None:
        _choose_device(device)
        self.settings, self.lookback = settings, settings.lookback
        self.recurrent = settings.forecaster == "rnn"
        self.min_max = self.recurrent and settings.rnn.min_max
        self.minutes = settings.rnn.minutes_at_once if self.recurrent else FUTURE_MINUTES
        self.network = self._build()

    def fit(self, windows: Windows, rows: IntArray, scratch: Path, seed: int) -> History:
        """Train for the experiment's epochs; a killed training goes on from its last epoch in `scratch`.

        Order, dropout and all else that is random depend on seed and epoch alone, so that an interrupted
        training ends in the weights of an uninterrupted one.
        """
        seed_everything(seed)
        self.network = self._build()
        inputs, low, width = self._scaled(windows.past_open(rows, self.lookback))
        targets = (windows.future_open(rows)[:, : self.minutes] - low) / width
        epochs, kept = self.settings.training.epochs, scratch / "history.json"
        history: History = json.loads(kept.read_text()) if kept.is_file() else []
        while history and not _checkpoint(scratch, len(history)).is_file():
            history.pop()
        if history:
            self.network = keras.saving.load_model(_checkpoint(scratch, len(history)))
        else:
            optimizer = keras.optimizers.Adam(self.settings.training.learning_rate)
            self.network.compile(optimizer=optimizer, loss="mse")
        for epoch in range(len(history), epochs):
            epoch_seed = derived_seed(seed, "epoch", epoch)
            self._seed_epoch(epoch_seed)
            order = np.random.default_rng(epoch_seed).permutation(len(rows))
            loss = self._pass(inputs[order], targets[order])
            history.append({"epoch": float(epoch + 1), "loss": loss})
            say(f"  {self.settings.name}: epoch {epoch + 1} of {epochs}, loss {loss:.6g}")
            with whole_file(_checkpoint(scratch, epoch + 1)) as beside:
                self.network.save(beside)
            write_text(kept, json.dumps(history))
            _checkpoint(scratch, epoch).unlink(missing_ok=True)
        return history

    def save(self, folder: Path) -> list[Path]:
        """The network's weights in the order of its layers, as safetensors."""
        weights = {f"{number:03d}": array for number, array in enumerate(self.network.get_weights())}
        with whole_file(folder / WEIGHTS) as beside:
            save_file(weights, beside)
        return [folder / WEIGHTS]

    def load(self, folder: Path) -> None:
        """Read the weights of a fold."""
        weights = load_file(folder / WEIGHTS)
        self.network.set_weights([weights[name] for name in sorted(weights)])

    def forecast(self, windows: Windows, rows: IntArray, scratch: Path) -> Forecast:  # noqa: ARG002
        """120 forecast open prices a sample, block by block."""
        paths = np.empty((len(rows), FUTURE_MINUTES), np.float32)
        for first in range(0, len(rows), SAMPLES_A_BLOCK):
            block = slice(first, first + SAMPLES_A_BLOCK)
            paths[block] = self._continued(windows.past_open(rows[block], self.lookback))
        return Forecast(paths)

    def _continued(self, past_open: Array) -> Array:
        """(n, lookback) -> (n, 120): forecast, append, forecast again until 120 minutes are there."""
        inputs, low, width = self._scaled(past_open)
        course = inputs
        while course.shape[1] < self.lookback + FUTURE_MINUTES:
            step = self.network.predict_on_batch(course[:, -self.lookback :, None])
            course = np.concatenate([course, np.asarray(step)], axis=1)
        return course[:, self.lookback : self.lookback + FUTURE_MINUTES] * width + low

    def _scaled(self, past_open: Array) -> tuple[Array, Array, Array]:
        """Inputs (n, lookback), and what scales a forecast back: low and width, (n, 1)."""
        low = np.zeros((len(past_open), 1), np.float32)
        width = np.ones_like(low)
        if self.min_max:
            low = past_open.min(axis=1, keepdims=True)
            span = past_open.max(axis=1, keepdims=True) - low
            width = np.where(span > 0, span, 1).astype(np.float32)
        return (past_open - low) / width, low, width

    def _pass(self, inputs: Array, targets: Array) -> float:
        size = self.settings.training.batch_size
        fitted = self.network.fit(inputs[..., None], targets, batch_size=size, shuffle=False, verbose=0)
        return float(fitted.history["loss"][-1])

    def _seed_epoch(self, seed: int) -> None:
        seed_everything(seed)
        for layer in self.network.layers:
            generator: Any = getattr(layer, "seed_generator", None)
            if generator is not None:  # dropout keeps a random state of its own
                generator.state.assign(tensorflow.constant([seed % 2**31, 0], generator.state.dtype))

    def _build(self) -> keras.Model:
        if self.recurrent:
            return build_rnn(self.settings.rnn, self.lookback)
        return build_cnn(self.settings.cnn, self.lookback)


def _checkpoint(scratch: Path, epochs: int) -> Path:
    """The whole state of a training after so many epochs: weights and optimizer."""
    return scratch / f"epoch{epochs}.keras"
