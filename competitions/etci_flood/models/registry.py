"""Models of every kind: trained on the tiles of one fold, and found again by later stages."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
from torch.utils.data import DataLoader

from common.files.weights import save_weights
from common.learn.device import torch_device
from common.learn.training import fit
from common.run.job import Job
from competitions.etci_flood.data.tiles import TileArrays
from competitions.etci_flood.experiment import FloodExperiment
from competitions.etci_flood.models.base import FloodModel, Weighted, equal_shares
from competitions.etci_flood.models.network_model import NetworkModel
from competitions.etci_flood.models.networks import build_network, trained_network
from competitions.etci_flood.models.pixel_gbdt import PixelModel, train_trees
from competitions.etci_flood.models.pseudo_labels import pseudo_labels
from competitions.etci_flood.models.training import (
    FloodTiles,
    FloodTraining,
    seed_of_fold,
    settle_batch_statistics,
    settling_loader,
    training_loader,
)

Rows = npt.NDArray[np.int64]
NETWORK, TREES = "checkpoint.safetensors", "checkpoint.txt"


@dataclass(frozen=True)
class TrainedFold:
    """A model of one fold, and what its training left behind."""

    model: FloodModel
    checkpoint: Path
    history: list[dict[str, float]] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)


def train_network(job: Job, arrays: TileArrays, training: Rows, held_out: Rows) -> TrainedFold:
    """Train a segmentation network, going on where a killed training stopped."""
    settings = cast(FloodExperiment, job.settings)
    device = torch_device(job.device)
    extra = {}
    if settings.training.pseudo_labels:
        extra = pseudo_labels(_teacher(job, device), arrays, settings.prediction.batch)
    seed = seed_of_fold(job.seed, job.fold)
    network = build_network(settings.network, settings.channels, job.stage_args.weights)
    settling = settling_loader(arrays, training, settings)
    watched = DataLoader(FloodTiles(arrays, held_out, settings), batch_size=settings.prediction.batch)
    history = fit(
        FloodTraining(network, settings.training, settling),
        training_loader(arrays, training, settings, seed, extra),
        watched if len(held_out) else None,
        epochs=settings.training.epochs,
        folder=job.resume_dir,
        device=device,
        what=f"fold {job.fold}",
        validate_every=settings.training.validate_every,
    )
    settle_batch_statistics(network, settling)
    checkpoint = job.fold_folder / NETWORK
    save_weights(checkpoint, network.state_dict())
    metrics = {"pseudo_labelled_tiles": float(len(extra))} if settings.training.pseudo_labels else {}
    return TrainedFold(NetworkModel(network, settings, device), checkpoint, history, metrics)


def train_pixels(job: Job, arrays: TileArrays, training: Rows, held_out: Rows) -> TrainedFold:  # noqa: ARG001
    """Grow boosted trees on pixels of the training tiles."""
    settings = cast(FloodExperiment, job.settings)
    checkpoint = job.fold_folder / TREES
    trees = train_trees(arrays, training, settings.pixels, seed_of_fold(job.seed, job.fold), checkpoint)
    return TrainedFold(PixelModel(trees), checkpoint)


TRAINERS: dict[str, Callable[[Job, TileArrays, Rows, Rows], TrainedFold]] = {
    "network": train_network,
    "pixels": train_pixels,
}


def trained_model(settings: FloodExperiment, fold_folder: Path, device: str) -> FloodModel:
    """The model of one finished fold; InputError when its file is missing or another model's."""
    if settings.model == "pixels":
        return PixelModel.load(fold_folder / TREES)
    network = trained_network(settings.network, settings.channels, fold_folder / NETWORK)
    return NetworkModel(network, settings, device)


def models_of(job: Job) -> Weighted:
    """All models of a finished experiment with their shares: its folds', or its parents' folds'."""
    settings, device = cast(FloodExperiment, job.settings), torch_device(job.device)
    if settings.model != "mixture":
        return equal_shares([trained_model(settings, folder, device) for folder in job.fold_folders])
    weighted: list[tuple[float, FloodModel]] = []
    for parent, share in zip(settings.parents, job.upstream["oof"].decision["shares"], strict=True):
        theirs = FloodExperiment.model_validate(job.upstream[f"{parent}/oof"].experiment)
        for fold in range(theirs.folds) if share else ():
            model = trained_model(theirs, job.paths.fold(parent, fold), device)
            weighted.append((share / theirs.folds, model))
    return weighted


def _teacher(job: Job, device: str) -> FloodModel:
    (parent,) = job.settings.parents
    theirs = FloodExperiment.model_validate(job.upstream[f"{parent}/oof"].experiment)
    return trained_model(theirs, job.paths.fold(parent, job.fold), device)
