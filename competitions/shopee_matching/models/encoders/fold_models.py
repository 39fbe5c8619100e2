"""Networks of one fold: trained, embedding the whole pool, searched for the held-out listings."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.learn.device import torch_device
from common.run.job import Job, Result
from competitions.shopee_matching.candidates.knn import class_pairs, embedding_pairs
from competitions.shopee_matching.candidates.pairs import CandidatePairs, no_pairs
from competitions.shopee_matching.candidates.registry import (
    by_picture,
    by_title,
    read_embeddings,
    write_embeddings,
)
from competitions.shopee_matching.data.listings import Listings
from competitions.shopee_matching.experiment import ShopeeExperiment
from competitions.shopee_matching.models.encoders.classifier import predicted_classes, split_state
from competitions.shopee_matching.models.encoders.image import load_network, picture_outputs
from competitions.shopee_matching.models.encoders.text import initial_encoder, load_encoder, title_outputs
from competitions.shopee_matching.models.encoders.training import train_on_pictures, train_on_titles

Float32 = npt.NDArray[np.float32]


def train_network(
    job: Job, settings: ShopeeExperiment, listings: Listings, outcome: Result
) -> CandidatePairs:
    """Train on the other folds (on all, where the split is the article's), embed the pool, find neighbours.

    An encoder that learns nothing does all listings in fold 0.
    """
    untrained = settings.training().loss == "none"
    if untrained and job.fold > 0:
        return no_pairs(settings.name)
    device = torch_device(job.device)
    checkpoint = job.fold_folder / "checkpoint.safetensors"
    if not untrained:
        seen = (listings.fold != job.fold) | (settings.split == "paper")
        if settings.branch == "text":
            history = train_on_titles(job, settings.text, listings, seen, device, checkpoint)
        else:
            pictures = np.load(job.processed / "train_pictures.npy", mmap_mode="r")
            history = train_on_pictures(job, settings.pictures, pictures, listings, seen, device, checkpoint)
        outcome.outputs.append(checkpoint)
        outcome.history.extend(history)
        outcome.metrics["loss"] = min(epoch["loss"] for epoch in history)
    pictures_file = job.processed / "train_pictures.npy"
    raw = listing_outputs(job, settings, listings, pictures_file, job.fold)
    embeddings = unit_embeddings(settings, raw, listings)
    stored = job.fold_folder / "embeddings.npy"
    write_embeddings(stored, [embeddings])
    outcome.outputs.append(stored)
    queries = np.arange(len(listings)) if untrained else np.flatnonzero(listings.fold == job.fold)
    if (
        settings.split == "paper"
        and settings.branch == "pictures"
        and settings.pictures.loss != "contrastive"
    ):
        classes = seen_classes(job, raw, embeddings)
        return class_pairs(classes, embeddings, queries, settings.name)
    return embedding_pairs(read_embeddings(stored), queries, settings.name)


def test_pairs(
    job: Job, settings: ShopeeExperiment, listings: Listings
) -> tuple[CandidatePairs, list[Float32]]:
    """Candidates of the test listings by the networks of all folds, and each network's embeddings."""
    folds = 1 if settings.training().loss == "none" else settings.folds
    file = job.processed / "test_pictures.npy"
    raw = [listing_outputs(job, settings, listings, file, fold) for fold in range(folds)]
    models = [unit_embeddings(settings, each, listings) for each in raw]
    queries = np.arange(len(listings))
    if (
        settings.split == "paper"
        and settings.branch == "pictures"
        and settings.pictures.loss != "contrastive"
    ):
        return class_pairs(seen_classes(job, raw[0], models[0]), models[0], queries, settings.name), models
    return embedding_pairs(models, queries, settings.name), models


def network_rows(
    job: Job, settings: ShopeeExperiment, listings: Listings, pictures_file: Path
) -> list[Float32]:
    """Unit rows of any listings by the networks of all folds."""
    folds = 1 if settings.training().loss == "none" else settings.folds
    return [
        unit_embeddings(settings, listing_outputs(job, settings, listings, pictures_file, fold), listings)
        for fold in range(folds)
    ]


def listing_outputs(
    job: Job, settings: ShopeeExperiment, listings: Listings, pictures_file: Path, fold: int
) -> Float32:
    """What a fold's network makes of each listing, (n, length); NaN without a picture.

    Parameters
    ----------
    pictures_file : the stored pictures, at the network's size; not read for titles.
    """
    device = torch_device(job.device)
    checkpoint = job.paths.fold(settings.name, fold) / "checkpoint.safetensors"
    weights = getattr(job.stage_args, "weights", None)
    if settings.branch == "text":
        encoder = (
            initial_encoder(settings.text, weights)
            if settings.text.loss == "none"
            else load_encoder(settings.text, checkpoint, weights)
        )
        return title_outputs(encoder, listings.title, device)
    pictures = np.load(pictures_file, mmap_mode="r")
    found = picture_outputs(load_network(settings.pictures, checkpoint), pictures, device)
    rows = np.full((len(listings), found.shape[1]), np.nan, dtype=np.float32)
    there = listings.picture >= 0
    rows[there] = found[listings.picture[there]]
    return rows


def unit_embeddings(settings: ShopeeExperiment, raw: Float32, listings: Listings) -> Float32:
    """Unit rows; zeros for listings of which the branch knows nothing."""
    if settings.branch == "text":
        return by_title(raw, listings.title)
    return by_picture(
        np.nan_to_num(raw), np.where(listings.picture >= 0, np.arange(len(raw)), -1).astype(np.int32)
    )


def seen_classes(job: Job, raw: Float32, embeddings: Float32) -> npt.NDArray[np.int64]:
    """Class of each listing by the classifier that was trained on all labelled listings; -1 where none."""
    from common.files.weights import load_weights

    checkpoint = job.paths.fold(job.settings.name, 0) / "checkpoint.safetensors"
    _, classifier = split_state(load_weights(checkpoint))
    known = embeddings.any(axis=1)
    # ArcFace compares directions, a plain classifier has a bias and knows lengths.
    inputs = np.nan_to_num(raw) if "bias" in classifier else embeddings
    return np.where(known, predicted_classes(inputs, classifier), -1)
