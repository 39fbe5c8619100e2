"""Interfaces of flood models, and probability maps kept as one byte per pixel."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from common.base.atomic import atomic_array
from common.base.console import progress
from common.base.errors import InputError
from common.learn.arrays import Float32, Int64, UInt8
from common.learn.device import torch_device
from common.learn.seeding import derived_seed, seed_everything
from common.run.experiments import NoOptions, read_options
from common.run.job import Job
from common.run.trained import TrainedExperiment, trained_experiment
from competitions.etci_flood.data.neighbours import PaddedTiles
from competitions.etci_flood.data.tiles import TileArrays
from competitions.etci_flood.experiment import FloodExperiment
from competitions.etci_flood.models.registry import MODEL_KINDS


class FloodModel(Protocol):
    """A trained model that predicts flood probabilities."""

    padding: int
    """Pixels around the mapped area that the model needs as context."""
    needs_scene: bool
    """Whether `scale` changes its maps, so that they depend on the rest of a scene."""

    def probability(self, layers: UInt8, scale: Float32) -> Float32:
        """Probability of flood at each pixel.

        Parameters
        ----------
        layers : (n, 3, height + 2 padding, width + 2 padding) uint8: VV, VH, permanent water (0 or 1).
        scale : (n, 2, 2), median and spread of VV and VH in the scene.

        Returns
        -------
        (n, height, width) float32.
        """


WeightedModels = Sequence[tuple[float, FloodModel]]
"""Weights and models of a weighted mean; the weights sum to 1."""


@dataclass(frozen=True)
class FittedFold:
    """The result of training one fold."""

    oof_maps: Iterable[UInt8]
    """Batches of probability maps of the held-out tiles, in their order; (batch, 256, 256) uint8."""
    outputs: list[Path] = field(default_factory=list)
    """The checkpoint; an ensemble has none."""
    metrics: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)


class ModelKind(ABC):
    """A kind of model: how it is trained on the tiles of one fold, and loaded again.

    A subclass registered with `@MODEL_KINDS.register("name")` is used by `model = "name"` in
    experiments.toml. It implements `fit` and `load_fold`; the other methods serve every kind whose folds are
    averaged.
    """

    def __init__(self, settings: FloodExperiment) -> None:
        self.settings = settings
        self.check()

    def check(self) -> None:
        """Raise InputError where the settings make no sense for this kind."""
        if self.settings.parents:
            raise InputError(f"{self.settings.name}: a {self.settings.model} model takes no parents")
        read_options(NoOptions, self.settings.options, "options")

    @abstractmethod
    def fit(
        self, job: Job[FloodExperiment], arrays: TileArrays, training: Int64, held_out: Int64
    ) -> FittedFold:
        """Train on the rows `training` of the processed table, and predict the rows `held_out`."""

    @abstractmethod
    def load_fold(self, folder: Path, device: str) -> FloodModel:
        """The model of one trained fold; InputError when its file is missing or another model's."""

    def tune(self, job: Job[FloodExperiment], arrays: TileArrays) -> dict[str, Any]:  # noqa: ARG002
        """Further decisions from the OOF maps of all folds, for later stages."""
        return {}

    def load(self, trained: TrainedExperiment[FloodExperiment], device: str) -> WeightedModels:
        """The models of all folds with equal weights."""
        device = torch_device(device)
        return equal_weights([self.load_fold(folder, device) for folder in trained.fold_folders])

    def test_maps(self, job: Job[FloodExperiment], arrays: TileArrays, rows: Int64) -> Iterator[UInt8]:
        """Batches of probability maps of the test tiles: the mean over the models of all folds."""
        trained = trained_experiment(job.competition, self.settings.name, job.paths.work)
        models = self.load(trained, job.device)
        return predict_tiles(models, arrays, rows, self.settings.prediction.batch_size)


def model_kind(settings: FloodExperiment) -> ModelKind:
    """The kind of model of an experiment; InputError where its settings make no sense."""
    kind: ModelKind = MODEL_KINDS[settings.model](settings)
    return kind


def equal_weights(models: Sequence[FloodModel]) -> WeightedModels:
    """The plain mean of models."""
    return [(1 / len(models), model) for model in models]


def max_padding(models: WeightedModels) -> int:
    """Context that is enough for every model, pixels."""
    return max(model.padding for _, model in models)


def mean_probability(models: WeightedModels, layers: UInt8, scale: Float32, padding: int) -> Float32:
    """Weighted mean of the models' probabilities; `layers` have `padding` pixels of context on each side."""
    total: Float32 | None = None
    for weight, model in models:
        spare = padding - model.padding  # each model sees its own context only
        visible = layers[..., spare : layers.shape[-2] - spare, spare : layers.shape[-1] - spare]
        probability = np.float32(weight) * model.probability(visible, scale)
        total = probability if total is None else total + probability
    if total is None:
        raise ValueError("a mean of no models")
    return total


def to_uint8(probability: Float32) -> UInt8:
    """Probability x 255, rounded, as one byte."""
    return np.rint(probability * 255).clip(0, 255).astype(np.uint8)


def predict_tiles(
    models: WeightedModels, arrays: TileArrays, rows: Int64, batch_size: int
) -> Iterator[UInt8]:
    """Yield (batch, 256, 256) uint8 probability maps of `rows`, in order.

    Tiles that could not be read are predicted as no flood.
    """
    readable = arrays.tiles["readable"].to_numpy()
    padded = PaddedTiles(arrays)
    padding = max_padding(models)
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        layers = np.stack([padded.layers_of(row, padding) for row in batch])  # (batch, 3, side, side)
        maps = to_uint8(mean_probability(models, layers, arrays.scale(batch), padding))
        maps[~readable[batch]] = 0
        yield maps


def write_maps(path: Path, tiles: int, batches: Iterable[UInt8], description: str) -> None:
    """Write batches of maps as one memory-mapped .npy, uint8 (tiles, side, side), whole or not at all."""
    given = iter(batches)
    first = list(islice(given, 1))  # its tiles have the side of all
    shape = (tiles, *first[0].shape[1:]) if first else (0, 0, 0)
    with atomic_array(path, shape, np.uint8) as maps:
        start = 0
        for batch in progress(chain(first, given), description, "batches"):
            maps[start : start + len(batch)] = batch
            start += len(batch)


def seed_fold(seed: int, fold: int) -> int:
    """Seed everything for one fold, before its network is built; returns the fold's own seed."""
    fold_seed = derived_seed(seed, "fold", fold)
    seed_everything(fold_seed)
    return fold_seed
