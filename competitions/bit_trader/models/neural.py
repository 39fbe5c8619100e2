"""The article's neural forecasters: networks on open prices or their recurrence plots, trained in Keras."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

from common.base.atomic import atomic_write, write_text
from common.base.console import log
from common.base.errors import InputError
from common.learn.seeding import derived_seed, seed_everything
from competitions.bit_trader.data.bar_files import FUTURE_MINUTES, IntArray
from competitions.bit_trader.data.windows import Windows
from competitions.bit_trader.experiment import BitTraderExperiment
from competitions.bit_trader.models.base import Forecast, History
from competitions.bit_trader.models.mixup import mixed
from competitions.bit_trader.models.networks import build_cnn, build_recurrence_cnn, build_rnn
from competitions.bit_trader.models.quiet_keras import keras, tensorflow
from competitions.bit_trader.models.recurrence_plots import recurrence_plots

Array = npt.NDArray[np.float32]
SAMPLES_A_BLOCK = 64
WEIGHTS = "checkpoint.safetensors"
SEARCH = "search.json"


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
        self.on_plots = settings.forecaster == "recurrence"
        self.min_max = self.recurrent and settings.rnn.min_max
        self.minutes = settings.rnn.minutes_at_once if self.recurrent else FUTURE_MINUTES
        self.searches = settings.forecaster == "cnn" and settings.search.trials > 0
        self.cnn, self.learning_rate = settings.cnn, settings.training.learning_rate
        self.search_results = ""
        self.network = self._build()

    def fit(self, windows: Windows, rows: IntArray, scratch: Path, seed: int) -> History:
        """Train for the experiment's epochs; a killed training goes on from its last epoch in `scratch`.

        Order, dropout and all else that is random depend on seed and epoch alone, so that an interrupted
        training ends in the weights of an uninterrupted one.
        """
        inputs, low, width = self._scaled(windows.past_open(rows, self.lookback))
        targets = (windows.future_open(rows)[:, : self.minutes] - low) / width
        if self.searches:
            self._search(inputs, targets, scratch, seed)
        seed_everything(seed)
        self.network = self._build()
        epochs, kept = self.settings.training.epochs, scratch / "history.json"
        history: History = json.loads(kept.read_text()) if kept.is_file() else []
        while history and not _checkpoint(scratch, len(history)).is_file():
            history.pop()
        if history:
            self.network = keras.saving.load_model(_checkpoint(scratch, len(history)))
        else:
            self.network.compile(optimizer=keras.optimizers.Adam(self.learning_rate), loss="mse")
        for epoch in range(len(history), epochs):
            epoch_seed = derived_seed(seed, "epoch", epoch)
            self._seed_epoch(epoch_seed)
            order = np.random.default_rng(epoch_seed).permutation(len(rows))
            loss = self._pass(inputs[order], targets[order], epoch_seed)
            history.append({"epoch": float(epoch + 1), "loss": loss})
            log(f"  {self.settings.name}: epoch {epoch + 1} of {epochs}, loss {loss:.6g}")
            with atomic_write(_checkpoint(scratch, epoch + 1)) as beside:
                self.network.save(beside)
            write_text(kept, json.dumps(history))
            _checkpoint(scratch, epoch).unlink(missing_ok=True)
        return history

    def save(self, folder: Path) -> list[Path]:
        """The network's weights in the order of its layers, as safetensors; the search that found it."""
        weights = {f"{number:03d}": array for number, array in enumerate(self.network.get_weights())}
        with atomic_write(folder / WEIGHTS) as beside:
            save_file(weights, beside)
        if not self.searches:
            return [folder / WEIGHTS]
        write_text(folder / SEARCH, self.search_results)
        return [folder / WEIGHTS, folder / SEARCH]

    def load(self, folder: Path) -> None:
        """Read the weights of a fold."""
        if self.searches:
            from competitions.bit_trader.models.random_search import read_found

            self.cnn = read_found(folder / SEARCH).cnn
            self.network = self._build()
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
            step = self.network.predict_on_batch(self._network_inputs(course[:, -self.lookback :]))
            course = np.concatenate([course, np.asarray(step)], axis=1)
        return course[:, self.lookback : self.lookback + FUTURE_MINUTES] * width + low

    def _scaled(self, past_open: Array) -> tuple[Array, Array, Array]:
        """Inputs (n, lookback), and what scales a forecast back: low and width, (n, 1)."""
        low = np.zeros((len(past_open), 1), np.float32)
        width = np.ones_like(low)
        if self.min_max or self.on_plots:
            low = past_open.min(axis=1, keepdims=True)
            span = past_open.max(axis=1, keepdims=True) - low
            width = np.where(span > 0, span, 1).astype(np.float32)
        if self.on_plots:  # a plot does not tell where the path ended: what is forecast is the change since
            low = past_open[:, -1:]
        return (past_open - low) / width, low, width

    def _network_inputs(self, series: Array) -> Array:
        """(n, lookback) scaled prices -> what the network takes; plots are made here, a batch at a time."""
        return recurrence_plots(series, self.settings.recurrence) if self.on_plots else series[..., None]

    def _search(self, inputs: Array, targets: Array, scratch: Path, seed: int) -> None:
        from competitions.bit_trader.models.random_search import search_cnn

        found = search_cnn(
            self.settings.search,
            self.settings.cnn,
            inputs,
            targets,
            batch_size=self.settings.training.batch_size,
            folder=scratch,
            seed=seed,
        )
        self.cnn, self.learning_rate = found.cnn, found.learning_rate
        self.search_results = found.as_json()

    def _pass(self, inputs: Array, targets: Array, seed: int) -> float:
        batches = _Batches(self, inputs, targets, seed)
        fitted = self.network.fit(batches, shuffle=False, verbose=0)
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
        if self.on_plots:
            return build_recurrence_cnn(self.settings.recurrence)
        return build_cnn(self.cnn, self.lookback)


class _Batches(keras.utils.PyDataset):
    """One epoch's batches in the order given, each made when the network asks for it."""

    def __init__(self, forecaster: NetworkForecaster, inputs: Array, targets: Array, seed: int) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self.forecaster, self.inputs, self.targets, self.seed = forecaster, inputs, targets, seed
        self.size = forecaster.settings.training.batch_size

    def __len__(self) -> int:
        return -(-len(self.inputs) // self.size)

    def __getitem__(self, index: int) -> tuple[Array, Array]:
        part = slice(index * self.size, (index + 1) * self.size)
        generator = np.random.default_rng(derived_seed(self.seed, "batch", index))
        inputs = self.forecaster._network_inputs(self.inputs[part])
        return mixed(inputs, self.targets[part], self.forecaster.settings.training.mixup, generator)


def _checkpoint(scratch: Path, epochs: int) -> Path:
    """The whole state of a training after so many epochs: weights and optimizer."""
    return scratch / f"epoch{epochs}.keras"
