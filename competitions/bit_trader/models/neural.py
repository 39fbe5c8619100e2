"""Training and forecasting that all neural forecasters share; each kind of network is a module of its own.

Keras on tensorflow. Nothing else imports tensorflow, so that other forecasters never load it.
"""

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from common.base.atomic import atomic_write, write_text
from common.base.console import log
from common.base.errors import InputError
from common.base.paths import display_path
from common.learn.arrays import Float32, Int64
from common.learn.seeding import derived_seed, seed_everything
from common.run.experiments import NoOptions, read_options
from competitions.bit_trader.data.bar_files import FUTURE_MINUTES
from competitions.bit_trader.data.windows import Windows
from competitions.bit_trader.experiment import BitTraderExperiment
from competitions.bit_trader.models.base import History, PricePaths
from competitions.bit_trader.models.mixup import mixup
from competitions.bit_trader.models.silent_keras import keras, tensorflow

SAMPLES_PER_BLOCK = 64
WEIGHTS = "checkpoint.safetensors"


class NetworkForecaster(ABC):
    """Maps the last open prices to the next ones, autoregressively if its horizon is below 120 minutes."""

    learns = True
    fields = ("open",)

    def __init__(self, settings: BitTraderExperiment, device: str) -> None:
        read_options(NoOptions, settings.options, f"experiment {settings.name!r}, options")
        _choose_device(device)
        self.settings, self.lookback = settings, settings.lookback
        self.learning_rate = settings.training.learning_rate
        self.horizon = FUTURE_MINUTES
        self.network = self.build()

    # ---- kinds of networks differ in these

    @abstractmethod
    def build(self) -> keras.Model:
        """The untrained network: `network_inputs` of a batch -> (batch, horizon) scaled open prices."""

    def scaled(self, past_open: Float32) -> tuple[Float32, Float32, Float32]:
        """Inputs (n, lookback), and offset and width (n, 1) that turn a scaled forecast into prices."""
        offset = np.zeros((len(past_open), 1), np.float32)
        return past_open, offset, np.ones_like(offset)

    def network_inputs(self, series: Float32) -> Float32:
        """(n, lookback) scaled prices -> (n, lookback, 1), or an image per sample; called once per batch."""
        return series[..., None]

    def search(  # noqa: B027 (most kinds have nothing to choose)
        self, inputs: Float32, targets: Float32, resume_dir: Path, seed: int
    ) -> None:
        """Choose the architecture before training."""

    # ---- and have these in common

    def fit(self, windows: Windows, rows: Int64, resume_dir: Path, seed: int) -> History:
        """Train for the experiment's epochs; an interrupted training continues after its last epoch.

        The order of samples, dropout and everything else random depend on seed and epoch only, so that an
        interrupted training ends in the same weights as an uninterrupted one.
        """
        inputs, offset, width = self.scaled(windows.past_open(rows, self.lookback))
        targets = (windows.future_open(rows)[:, : self.horizon] - offset) / width
        self.search(inputs, targets, resume_dir, seed)
        seed_everything(seed)
        self.network = self.build()
        epochs, history_file = self.settings.training.epochs, resume_dir / "history.json"
        history: History = json.loads(history_file.read_text()) if history_file.is_file() else []
        while history and not _checkpoint(resume_dir, len(history)).is_file():
            history.pop()
        if history:
            self.network = keras.saving.load_model(_checkpoint(resume_dir, len(history)))
        else:
            self.network.compile(optimizer=keras.optimizers.Adam(self.learning_rate), loss="mse")
        for epoch in range(len(history), epochs):
            epoch_seed = derived_seed(seed, "epoch", epoch)
            self._seed_epoch(epoch_seed)
            order = np.random.default_rng(epoch_seed).permutation(len(rows))
            loss = self._train_epoch(inputs[order], targets[order], epoch_seed)
            history.append({"epoch": float(epoch + 1), "loss": loss})
            log(f"  {self.settings.name}: epoch {epoch + 1} of {epochs}, loss {loss:.6g}")
            with atomic_write(_checkpoint(resume_dir, epoch + 1)) as partial:
                self.network.save(partial)
            write_text(history_file, json.dumps(history))
            _checkpoint(resume_dir, epoch).unlink(missing_ok=True)
        return history

    def save(self, folder: Path) -> list[Path]:
        """The network's weights in the order of its layers, as safetensors."""
        weights = {f"{number:03d}": array for number, array in enumerate(self.network.get_weights())}
        with atomic_write(folder / WEIGHTS) as partial:
            save_file(weights, partial)
        return [folder / WEIGHTS]

    def load(self, folder: Path) -> None:
        """Read the weights of a fold."""
        path = folder / WEIGHTS
        if not path.is_file():
            raise InputError(f"{display_path(path)} is missing: run 2_train_folds.py first")
        try:
            weights = load_file(path)
            self.network.set_weights([weights[name] for name in sorted(weights)])
        except (SafetensorError, ValueError):
            raise InputError(
                f"{display_path(path)}: not the weights of {self.settings.name}; delete it and run "
                "2_train_folds.py again"
            ) from None

    def forecast(self, windows: Windows, rows: Int64, resume_dir: Path) -> PricePaths:  # noqa: ARG002
        """120 forecast open prices per sample, block by block."""
        paths = np.empty((len(rows), FUTURE_MINUTES), np.float32)
        for first in range(0, len(rows), SAMPLES_PER_BLOCK):
            block = slice(first, first + SAMPLES_PER_BLOCK)
            paths[block] = self._autoregressive(windows.past_open(rows[block], self.lookback))
        return PricePaths(paths)

    def _autoregressive(self, past_open: Float32) -> Float32:
        """(n, lookback) -> (n, 120): forecast `horizon` minutes, append them, repeat until there are 120."""
        inputs, offset, width = self.scaled(past_open)
        course = inputs
        while course.shape[1] < self.lookback + FUTURE_MINUTES:
            step = self.network.predict_on_batch(self.network_inputs(course[:, -self.lookback :]))
            course = np.concatenate([course, np.asarray(step)], axis=1)
        return course[:, self.lookback : self.lookback + FUTURE_MINUTES] * width + offset

    def _train_epoch(self, inputs: Float32, targets: Float32, seed: int) -> float:
        """Mean training loss of one pass over the samples in the order given."""
        fitted = self.network.fit(_Batches(self, inputs, targets, seed), shuffle=False, verbose=0)
        return float(fitted.history["loss"][-1])

    def _seed_epoch(self, seed: int) -> None:
        seed_everything(seed)
        for layer in self.network.layers:
            generator: Any = getattr(layer, "seed_generator", None)
            if generator is not None:  # dropout has a random state of its own
                generator.state.assign(tensorflow.constant([seed % 2**31, 0], generator.state.dtype))


class _Batches(keras.utils.PyDataset):
    """One epoch's batches in the order given, each made when the network asks for it."""

    def __init__(self, forecaster: NetworkForecaster, inputs: Float32, targets: Float32, seed: int) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self.forecaster, self.inputs, self.targets, self.seed = forecaster, inputs, targets, seed
        self.training = forecaster.settings.training

    def __len__(self) -> int:
        return -(-len(self.inputs) // self.training.batch_size)

    def __getitem__(self, index: int) -> tuple[Float32, Float32]:
        batch = slice(index * self.training.batch_size, (index + 1) * self.training.batch_size)
        generator = np.random.default_rng(derived_seed(self.seed, "batch", index))
        inputs = self.forecaster.network_inputs(self.inputs[batch])
        return mixup(inputs, self.targets[batch], self.training.mixup_alpha, generator)


def minmax(past_open: Float32) -> tuple[Float32, Float32]:
    """(n, lookback) -> minimum and range of each window, (n, 1) each; the range is 1 where nothing moved."""
    low = past_open.min(axis=1, keepdims=True)
    span = past_open.max(axis=1, keepdims=True) - low
    return low, np.where(span > 0, span, 1).astype(np.float32)


def _choose_device(device: str) -> None:
    """Keep tensorflow off the GPU for --device cpu; InputError when cuda is asked for and not available."""
    if device == "cuda" and not tensorflow.config.list_physical_devices("GPU"):
        raise InputError("--device cuda: tensorflow sees no CUDA device here; use --device cpu or auto")
    if device == "cpu":
        tensorflow.config.set_visible_devices([], "GPU")


def _checkpoint(resume_dir: Path, epochs: int) -> Path:
    """The whole state of a training after so many epochs: weights and optimizer."""
    return resume_dir / f"epoch{epochs}.keras"
