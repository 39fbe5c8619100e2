"""The paper's random search over convolutional networks (Table 2), by Keras Tuner."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np

from common.base.console import log
from common.learn.arrays import Float32
from common.learn.seeding import derived_seed, seed_everything
from competitions.bit_trader.experiment import Cnn, Search
from competitions.bit_trader.models.networks import build_cnn
from competitions.bit_trader.models.silent_keras import keras


@dataclass(frozen=True)
class SearchResult:
    """The best network of a search, and all its trials."""

    cnn: Cnn
    learning_rate: float
    trials: list[dict[str, Any]]
    """One entry per trial: its number, validation loss and settings."""

    def as_json(self) -> str:
        """For search.json."""
        content = {"cnn": self.cnn.model_dump(), "learning_rate": self.learning_rate, "trials": self.trials}
        return json.dumps(content, indent=1)


def read_search_result(file: Path) -> SearchResult:
    """Read a file of `SearchResult.as_json`."""
    content = json.loads(file.read_text())
    return SearchResult(Cnn.model_validate(content["cnn"]), content["learning_rate"], content["trials"])


class _Space(keras_tuner.HyperModel):
    """Table 2: the sampled hyper-parameters, and the network built from them."""

    def __init__(self, search: Search, cnn: Cnn, lookback: int, seed: int) -> None:
        super().__init__()
        self.search, self.cnn, self.lookback, self.seed = search, cnn, lookback, seed

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        cnn, learning_rate = self.sampled(hp)
        # A trial depends on its own settings only, not on the trials or interruptions before it.
        seed_everything(derived_seed(self.seed, "trial", json.dumps(hp.values, sort_keys=True)))
        network = build_cnn(cnn, self.lookback)
        network.compile(optimizer=keras.optimizers.Adam(learning_rate), loss="mse")
        return network

    def sampled(self, hp: keras_tuner.HyperParameters) -> tuple[Cnn, float]:
        space = self.search
        minimum, maximum = space.layers
        layers = hp.Int("layers", minimum, maximum)
        filters = [hp.Int(f"filters_{number + 1}", *_stepped(space.filters)) for number in range(maximum)]
        sampled = {
            "filters": filters[:layers],
            "pooling": hp.Choice("pooling", list(space.pooling)),
            "dense_units": hp.Int("dense_units", *_stepped(space.dense_units)),
            "dropout": hp.Float("dropout", *space.dropout),
        }
        rate = hp.Float("learning_rate", *space.learning_rate, sampling="log")
        return Cnn.model_validate(self.cnn.model_dump() | sampled), rate


class _Tuner(keras_tuner.RandomSearch):
    """Random search whose trials keep their losses but no weights: the best network is retrained."""

    def run_trial(self, trial: Any, *data: Float32, **fitting: Any) -> dict[str, float]:
        network = self.hypermodel.build(trial.hyperparameters)
        losses = network.fit(*data, **fitting).history["val_loss"]
        return {"val_loss": float(min(losses))}


def _stepped(limits: list[int]) -> tuple[int, int, int]:
    return limits[0], limits[1], limits[2]


def search_cnn(
    search: Search,
    cnn: Cnn,
    inputs: Float32,
    targets: Float32,
    *,
    batch_size: int,
    folder: Path,
    seed: int,
) -> SearchResult:
    """Sample `search.max_trials` networks, train each for `search.epochs`, return the best one.

    Finished trials are kept in `folder`; an interrupted search continues after them.

    Parameters
    ----------
    cnn : the settings outside the space: kernel size, padding, pool size.
    inputs, targets : (n, lookback) and (n, 120); a random share of them, drawn by `seed`, is the validation
        set.
    """
    order = np.random.default_rng(derived_seed(seed, "search")).permutation(len(inputs))
    validation = order[: max(1, round(search.validation_split * len(order)))]
    training = order[len(validation) :]
    space = _Space(search, cnn, inputs.shape[1], seed)
    tuner = _Tuner(
        space,
        objective="val_loss",
        max_trials=search.max_trials,
        seed=derived_seed(seed, "trials") % 2**31,
        directory=folder,
        project_name="search",
        overwrite=False,
    )
    tuner.search(
        inputs[training][..., None],
        targets[training],
        validation_data=(inputs[validation][..., None], targets[validation]),
        epochs=search.epochs,
        batch_size=batch_size,
        verbose=0,
    )
    if not tuner.get_best_hyperparameters(1):
        raise RuntimeError(f"no network of the search could be trained: {_first_message(tuner)}")
    trials = sorted(tuner.oracle.trials.values(), key=lambda trial: str(trial.trial_id))
    table = [{"trial": t.trial_id, "validation_loss": t.score, **t.hyperparameters.values} for t in trials]
    best, learning_rate = space.sampled(tuner.get_best_hyperparameters(1)[0])
    lowest = min(trial["validation_loss"] for trial in table if trial["validation_loss"] is not None)
    log(
        f"  random search: {len(table)} networks, lowest validation loss {lowest:.6g} with filters "
        f"{best.filters}, {best.pooling} pooling, learning rate {learning_rate:.3g}"
    )
    return SearchResult(best, learning_rate, table)


def _first_message(tuner: keras_tuner.Tuner) -> str:
    return next((str(trial.message) for trial in tuner.oracle.trials.values() if trial.message), "no trial")
