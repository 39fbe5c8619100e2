"""One fold's training of a picture network."""

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch.utils.data import DataLoader

from common.atomic import whole_file
from common.errors import InputError
from common.paths import shown
from common.seeding import derived_seed, seed_everything
from common.stage import Job
from common.training import EpochSampler, History, fit
from competitions.shopee_matching.embedding_network import GroupClassifier, initial_network
from competitions.shopee_matching.experiment import Pictures
from competitions.shopee_matching.listings import Listings
from competitions.shopee_matching.training_pictures import TrainingPictures, distinct_pictures, variations


def train_on_pictures(
    job: Job,
    settings: Pictures,
    pictures: npt.NDArray[np.uint8],
    listings: Listings,
    device: str,
    checkpoint: Path,
) -> History:
    """Train on the pictures outside `job.fold`; `checkpoint` gets the network of the lowest-loss epoch.

    Raises
    ------
    InputError : fewer than two pictures or products to train on.
    """
    seen = listings.fold != job.fold
    rows, classes = distinct_pictures(listings.picture[seen], listings.label_group[seen])
    groups = int(classes.max(initial=-1)) + 1
    if groups < 2:
        raise InputError(
            f"{shown(job.data)}: the pictures outside fold {job.fold} show {groups} products; "
            f"expected two or more to train on"
        )
    seed = derived_seed(job.seed, "network", job.fold)
    seed_everything(seed)
    network = initial_network(settings, job.own.weights)
    augmentations = variations(settings.size)
    data = TrainingPictures(pictures, rows, classes, settings.copies, augmentations)
    batch = min(settings.batch, len(data))
    loader = DataLoader(
        data,
        batch,
        sampler=EpochSampler(data, seed, augmentations=augmentations),
        drop_last=True,
        num_workers=0,
    )
    best = job.scratch / "best.safetensors"
    module = GroupClassifier(network, settings, groups, settings.epochs * len(loader), best)
    what = f"{settings.network} fold {job.fold}"
    history = fit(module, loader, None, epochs=settings.epochs, folder=job.scratch, device=device, what=what)
    with whole_file(checkpoint) as partial:
        shutil.copyfile(best, partial)
    return history
