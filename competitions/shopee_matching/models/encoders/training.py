"""One fold's training of a picture network or of a text encoder."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.decomposition import TruncatedSVD
from torch.utils.data import DataLoader, Dataset

from common.base.atomic import atomic_write
from common.base.errors import InputError
from common.base.paths import display_path
from common.learn.seeding import derived_seed, seed_everything
from common.learn.training import EpochSampler, History, fit
from common.run.stage import Job
from competitions.shopee_matching.candidates.knn import unit_rows
from competitions.shopee_matching.candidates.tfidf import title_vectors
from competitions.shopee_matching.data.listings import Listings
from competitions.shopee_matching.experiment import Pictures, Text, Titles, Training
from competitions.shopee_matching.models.encoders.augmentation import (
    TrainingPictures,
    distinct_pictures,
    variations,
)
from competitions.shopee_matching.models.encoders.classifier import GroupClassifier
from competitions.shopee_matching.models.encoders.image import initial_network
from competitions.shopee_matching.models.encoders.pair_sampler import PairSampler
from competitions.shopee_matching.models.encoders.text import TextEncoder, initial_encoder

Int64 = npt.NDArray[np.int64]
WORD_TOPICS = 32


def train_on_pictures(
    job: Job,
    settings: Pictures,
    pictures: npt.NDArray[np.uint8],
    listings: Listings,
    seen: npt.NDArray[np.bool_],
    device: str,
    checkpoint: Path,
) -> History:
    """Train on the pictures of the `seen` listings; `checkpoint` gets the network of the lowest-loss epoch.

    Raises
    ------
    InputError : fewer than two pictures or products to train on.
    """
    rows, classes = distinct_pictures(listings.picture[seen], listings.label_group[seen])
    seed = _begin(job, classes, "pictures")
    network = initial_network(settings, job.stage_args.weights)
    augmentations = variations(settings.size)
    data = TrainingPictures(pictures, rows, classes, settings.copies, augmentations)
    length = len(rows) if settings.steps_of_originals else len(data)
    sampler: Any = EpochSampler(data, seed, length=length, augmentations=augmentations)
    if settings.loss == "contrastive":
        sampler = PairSampler(data.all_classes(), None, settings.batch, seed, augmentations)
    return _train(job, network, settings, data, sampler, classes, None, device, checkpoint)


def train_on_titles(
    job: Job,
    settings: Text,
    listings: Listings,
    seen: npt.NDArray[np.bool_],
    device: str,
    checkpoint: Path,
) -> History:
    """Fine-tune the encoder on the titles of the `seen` listings; as `train_on_pictures`."""
    titles = [title for title, kept in zip(listings.title, seen, strict=True) if kept]
    _, classes = np.unique(listings.label_group[seen], return_inverse=True)
    seed = _begin(job, classes, "titles")
    encoder = initial_encoder(settings, job.stage_args.weights)
    sampler: Any = EpochSampler(len(titles), seed)
    if settings.loss == "contrastive":
        sampler = PairSampler(classes, _word_vectors(titles, seed), settings.batch, seed)
    data = _Titles(encoder, titles, classes)
    return _train(job, encoder.train(), settings, data, sampler, classes, data.collate, device, checkpoint)


def _begin(job: Job, classes: Int64, what: str) -> int:
    groups = int(classes.max(initial=-1)) + 1
    if groups < 2:
        raise InputError(
            f"{display_path(job.data)}: the {what} outside fold {job.fold} show {groups} products; "
            f"expected two or more to train on"
        )
    seed = derived_seed(job.seed, "network", job.fold)
    seed_everything(seed)
    return seed


def _train(
    job: Job,
    network: Any,
    settings: Training,
    data: Dataset[Any],
    sampler: Any,
    classes: Int64,
    collate: Any,
    device: str,
    checkpoint: Path,
) -> History:
    batch = min(settings.batch, len(sampler))
    loader: DataLoader[Any] = DataLoader(
        data, batch, sampler=sampler, drop_last=True, num_workers=0, collate_fn=collate
    )
    best = job.resume_dir / "best.safetensors"
    groups = int(classes.max()) + 1
    module = GroupClassifier(network, settings, groups, settings.epochs * len(loader), best)
    what = f"{job.settings.name} fold {job.fold}"
    history = fit(
        module, loader, None, epochs=settings.epochs, folder=job.resume_dir, device=device, what=what
    )
    with atomic_write(checkpoint) as partial:
        shutil.copyfile(best, partial)
    return history


def _word_vectors(titles: Sequence[str], seed: int) -> npt.NDArray[np.float32] | None:
    """(titles, at most 32) vectors by which titles with like words lie together; None without words."""
    table = title_vectors(list(titles), Titles())
    if table is None or min(table.shape) <= WORD_TOPICS:
        return None
    topics = TruncatedSVD(WORD_TOPICS, random_state=seed).fit_transform(table)
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
