"""A weighted ensemble: the weighted mean of the parents' probability maps."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from common.base.errors import InputError
from common.learn.arrays import Int64, UInt8
from common.run.experiments import NoOptions, read_options
from common.run.job import Job
from common.run.trained import TrainedExperiment
from competitions.etci_flood.data.tiles import TileArrays
from competitions.etci_flood.decision.ensemble_weights import OofMaps, blend_maps, read_oof_maps, tune_weights
from competitions.etci_flood.experiment import FloodExperiment
from competitions.etci_flood.models.base import (
    FittedFold,
    FloodModel,
    ModelKind,
    WeightedModels,
    model_kind,
)
from competitions.etci_flood.models.registry import MODEL_KINDS


@MODEL_KINDS.register("ensemble")
class EnsembleKind(ModelKind):
    """Nothing is trained; the weights are tuned on the parents' OOF maps."""

    def check(self) -> None:
        """An ensemble needs at least two parents."""
        if len(self.settings.parents) < 2:
            raise InputError(f"{self.settings.name}: parents: an ensemble needs at least two")
        read_options(NoOptions, self.settings.options, "options")

    def fit(
        self,
        job: Job[FloodExperiment],
        arrays: TileArrays,
        training: Int64,  # noqa: ARG002
        held_out: Int64,
    ) -> FittedFold:
        """Blend the parents' held-out maps with the weights that are best on the other folds (nested CV)."""
        folds = self._oof_maps(job)
        others = [fold for number, fold in enumerate(folds) if number != job.fold]
        weights = tune_weights(others, arrays.flood, len(self.settings.parents))
        rows, maps = folds[job.fold]
        if not np.array_equal(rows, held_out):
            raise InputError(
                f"{self.settings.name}: its parents hold out other tiles; give it the tiles settings and "
                "folds of its parents"
            )
        metrics = {
            f"weight_{name}": weight for name, weight in zip(self.settings.parents, weights, strict=True)
        }
        return FittedFold(blend_maps(maps, weights), metrics=metrics)

    def tune(self, job: Job[FloodExperiment], arrays: TileArrays) -> dict[str, Any]:
        """The weights that are best on the OOF maps of all folds."""
        return {"weights": tune_weights(self._oof_maps(job), arrays.flood, len(self.settings.parents))}

    def load(self, trained: TrainedExperiment[FloodExperiment], device: str) -> WeightedModels:
        """The parents' models; parents of weight 0 are left out."""
        models: list[tuple[float, FloodModel]] = []
        for weight, parent in zip(trained.decision["weights"], trained.parents(), strict=True):
            if weight:
                members = model_kind(parent.settings).load(parent, device)
                models += [(weight * member, model) for member, model in members]
        return models

    def load_fold(self, folder: Path, device: str) -> FloodModel:  # noqa: ARG002
        """An ensemble has no model of a fold."""
        raise InputError(f"{self.settings.name}: an ensemble cannot be the source of pseudo-labels")

    def test_maps(self, job: Job[FloodExperiment], arrays: TileArrays, rows: Int64) -> Iterator[UInt8]:  # noqa: ARG002
        """The weighted mean of the parents' test maps."""
        maps = [np.load(job.paths.test(parent, ".npy"), mmap_mode="r") for parent in self.settings.parents]
        return blend_maps(maps, job.upstream["oof"].decision["weights"])

    def _oof_maps(self, job: Job[FloodExperiment]) -> list[OofMaps]:
        """Of each fold the held-out rows, and the parents' maps of them."""
        return [
            read_oof_maps([job.paths.fold(parent, fold) for parent in self.settings.parents])
            for fold in range(self.settings.folds)
        ]
