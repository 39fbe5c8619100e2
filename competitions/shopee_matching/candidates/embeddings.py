"""Embeddings on disk, per listing from per image, concatenated, and blended with their neighbours."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.base.atomic import atomic_array
from common.base.errors import InputError
from common.base.paths import display_path
from common.learn.arrays import Float32, Floats, Int32
from competitions.shopee_matching.candidates.knn import nearest
from competitions.shopee_matching.data.vectors import unit_rows
from competitions.shopee_matching.experiment import BlendingSettings


def by_image(vectors: Floats, image_row: Int32) -> Float32:
    """(n, d) unit rows of listings from the (stored, d) vectors of images; zeros without an image."""
    if not len(vectors):
        return np.zeros((len(image_row), vectors.shape[1]), dtype=np.float32)
    rows = unit_rows(np.asarray(vectors[np.maximum(image_row, 0)], dtype=np.float32))
    rows[image_row < 0] = 0
    return rows


def write_embeddings(path: Path, models: Sequence[Float32]) -> None:
    """Write the unit rows of several models as (models, n, d) float16, whole or not at all."""
    with atomic_array(path, (len(models), *models[0].shape), np.float16) as stored:
        for place, model in enumerate(models):
            stored[place] = model


def read_embeddings(path: Path) -> list[Float32]:
    """Unit rows per model that `write_embeddings` wrote; InputError when they are missing."""
    if not path.is_file():
        raise InputError(f"{display_path(path)} is missing: run the stage that writes it again")
    return [unit_rows(np.asarray(model, dtype=np.float32)) for model in np.load(path, mmap_mode="r")]


def concatenated_embeddings(parts: Sequence[list[Float32]], settings: BlendingSettings) -> list[Float32]:
    """Concatenated embeddings of several experiments, each of unit length, then blended.

    Parameters
    ----------
    parts : per experiment, (n, d) unit rows of each of its models; a single model is used for all folds.

    Returns
    -------
    Per model, (n, sum of d) unit rows.
    """
    models = max(len(part) for part in parts)
    together = []
    for place in range(models):
        rows = np.concatenate([part[min(place, len(part) - 1)] for part in parts], axis=1)
        together.append(blend_neighbours(unit_rows(rows), settings))
    return together


def blend_neighbours(embeddings: Float32, settings: BlendingSettings) -> Float32:
    """Unit rows after iterative neighbourhood blending (INB, 1st place; alpha query expansion).

    Each round adds to every row its k nearest neighbours, weighted by their cosine, and scales to length 1.
    """
    for _ in range(settings.rounds):
        known = np.flatnonzero(embeddings.any(axis=1))
        rows, cosines = nearest(embeddings[known], np.arange(len(known)))
        rows, cosines = rows[:, : settings.k], cosines[:, : settings.k]
        weights = np.where(cosines >= settings.min_similarity, cosines, 0)[..., None]
        moved = embeddings.copy()
        for place in range(rows.shape[1]):
            moved[known] += weights[:, place] * embeddings[known[rows[:, place]]]
        embeddings = unit_rows(moved)
    return embeddings
