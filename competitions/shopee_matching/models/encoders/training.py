"""One fold's training of an image network or of a text encoder."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import TruncatedSVD
from torch.utils.data import DataLoader, Dataset

from common.base.atomic import atomic_write
from common.base.errors import InputError
from common.base.paths import display_path
from common.learn.arrays import Bools, Float32, Int64, UInt8
from common.learn.device import torch_device
from common.learn.seeding import derived_seed, seed_everything
from common.learn.training import EpochSampler, History, fit
from common.run.job import Job
from competitions.shopee_matching.data.listings import Listings
from competitions.shopee_matching.data.vectors import tfidf_vectors, unit_rows
from competitions.shopee_matching.experiment import ShopeeExperiment, TfidfSettings, TrainingSettings
from competitions.shopee_matching.models.encoders.augmentation import (
    TrainingImages,
    distinct_images,
    train_transform,
)
from competitions.shopee_matching.models.encoders.classifier import GroupClassifier
from competitions.shopee_matching.models.encoders.image import initial_network
from competitions.shopee_matching.models.encoders.pair_sampler import PairSampler
from competitions.shopee_matching.models.encoders.text import TextEncoder, encoder_folder, initial_encoder

TOPICS = 32
"""Dimensions of the title vectors (latent semantic analysis) that find hard negatives."""


def train_on_images(
    job: Job[ShopeeExperiment], images: UInt8, listings: Listings, trained_on: Bools, checkpoint: Path
) -> History:
    """Train on the distinct images of some listings; `checkpoint` gets the network of the lowest-loss epoch.

    Parameters
    ----------
    images : (stored, size, size, 3) RGB.
    trained_on : (n,) which listings are trained on.

    Raises
    ------
    InputError : fewer than two products to train on.
    """
    settings = job.settings.image
    rows, classes = distinct_images(listings.image_row[trained_on], listings.label_group[trained_on])
    seed = _begin(job, classes, "images")
    network = initial_network(settings, job.stage_args.weights)
    transform = train_transform(settings.size)
    data = TrainingImages(images, rows, classes, settings.offline_augmentation, transform)
    length = len(rows) if settings.match_original_steps else len(data)
    sampler: Any = EpochSampler(data, seed, length=length, augmentations=transform)
    if settings.loss == "contrastive":
        sampler = PairSampler(data.all_classes(), None, settings.batch_size, seed, transform)
    return _train(job, network, settings, data, sampler, classes, None, checkpoint)


def train_on_titles(
    job: Job[ShopeeExperiment], listings: Listings, trained_on: Bools, checkpoint: Path
) -> History:
    """Fine-tune the text encoder on the titles of some listings; as `train_on_images`."""
    settings = job.settings.text
    titles = [title for title, kept in zip(listings.title, trained_on, strict=True) if kept]
    _, classes = np.unique(listings.label_group[trained_on], return_inverse=True)
    seed = _begin(job, classes, "titles")
    encoder = initial_encoder(settings, encoder_folder(settings.encoder, job.stage_args.weights))
    sampler: Any = EpochSampler(len(titles), seed)
    if settings.loss == "contrastive":
        sampler = PairSampler(classes, _topic_vectors(titles, seed), settings.batch_size, seed)
    data = _Titles(encoder, titles, classes)
    return _train(job, encoder.train(), settings, data, sampler, classes, data.collate, checkpoint)


def _begin(job: Job[ShopeeExperiment], classes: Int64, modality: str) -> int:
    groups = int(classes.max(initial=-1)) + 1
    if groups < 2:
        raise InputError(
            f"{display_path(job.data)}: the {modality} outside fold {job.fold} are of {groups} products; "
            f"expected two or more to train on"
        )
    seed = derived_seed(job.seed, "network", job.fold)
    seed_everything(seed)
    return seed


def _train(
    job: Job[ShopeeExperiment],
    network: Any,
    settings: TrainingSettings,
    data: Dataset[Any],
    sampler: Any,
    classes: Int64,
    collate: Any,
    checkpoint: Path,
) -> History:
    batch_size = min(settings.batch_size, len(sampler))
    loader: DataLoader[Any] = DataLoader(
        data, batch_size, sampler=sampler, drop_last=True, num_workers=0, collate_fn=collate
    )
    best = job.resume_dir / "best.safetensors"
    groups = int(classes.max()) + 1
    module = GroupClassifier(network, settings, groups, settings.epochs * len(loader), best)
    history = fit(
        module,
        loader,
        None,
        epochs=settings.epochs,
        folder=job.resume_dir,
        device=torch_device(job.device),
        what=f"{job.settings.name} fold {job.fold}",
    )
    with atomic_write(checkpoint) as partial:
        shutil.copyfile(best, partial)
    return history


def _topic_vectors(titles: Sequence[str], seed: int) -> Float32 | None:
    """(titles, 32) unit rows of a truncated SVD of TF-IDF vectors; None with too few titles or words."""
    table = tfidf_vectors(list(titles), TfidfSettings())
    if table is None or min(table.shape) <= TOPICS:
        return None
    topics = TruncatedSVD(TOPICS, random_state=seed).fit_transform(table)
    return unit_rows(topics.astype(np.float32))


class _Titles(Dataset[tuple[list[int], int]]):
    """Token ids of titles with their classes."""

    def __init__(self, encoder: TextEncoder, titles: Sequence[str], classes: Int64) -> None:
        self.ids, self.classes, self.padded = encoder.encode(titles), classes, encoder.padded

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[list[int], int]:
        return self.ids[index], int(self.classes[index])

    def collate(self, rows: list[tuple[list[int], int]]) -> list[torch.Tensor]:
        """Token tables and classes of a batch."""
        return [self.padded([ids for ids, _ in rows]), torch.tensor([group for _, group in rows])]
