"""Candidate pairs of the branches that learn from no labels, and of embeddings that are there already."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.base.atomic import atomic_array
from common.base.errors import InputError
from common.base.paths import display_path
from common.run.job import Job
from competitions.shopee_matching.candidates.knn import blended, embedding_pairs, unit_rows
from competitions.shopee_matching.candidates.pairs import CandidatePairs, no_pairs, read_pairs, restricted
from competitions.shopee_matching.candidates.phash import hash_pairs
from competitions.shopee_matching.candidates.sift_matching import ALIGNED
from competitions.shopee_matching.candidates.tfidf import title_pairs
from competitions.shopee_matching.data.availability import informative_titles
from competitions.shopee_matching.data.listings import Listings
from competitions.shopee_matching.experiment import Blending, ShopeeExperiment

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]
BLOCK_CELLS = 8_000_000
MODEL_FREE = ("phash", "titles", "descriptors", "alignment")
"""Branches that this module searches by itself."""


def model_free_pairs(
    settings: ShopeeExperiment,
    listings: Listings,
    queries: Int64,
    processed: Path,
    split: str,
    further: Sequence[str] = (),
) -> CandidatePairs:
    """Candidates of a branch of `MODEL_FREE`.

    Parameters
    ----------
    processed : folder of what 1_preprocess made for the branch.
    split : train or test.
    further : titles outside the pool, from which word frequencies are learned too.
    """
    if settings.branch == "phash":
        return hash_pairs(listings.phash, queries, settings.phash.largest_distance, settings.name)
    if settings.branch == "titles":
        return title_pairs(listings.title, queries, settings.titles, settings.name, further)
    if settings.branch == "alignment":
        return _aligned(settings.name, processed / f"{split}_aligned.parquet", queries)
    descriptors = np.load(processed / f"{split}_{settings.descriptors.kind}.npy", mmap_mode="r")
    return embedding_pairs([by_picture(descriptors, listings.picture)], queries, settings.name)


def _aligned(experiment: str, file: Path, queries: Int64) -> CandidatePairs:
    pairs = read_pairs(file)
    kept = restricted(pairs, np.isin(pairs.query, queries))
    return CandidatePairs(
        kept.query,
        kept.match,
        {name.replace(ALIGNED, experiment, 1): score for name, score in kept.scores.items()},
    )


def by_picture(vectors: npt.NDArray[np.floating], picture: npt.NDArray[np.int32]) -> Float32:
    """(n, d) unit rows of listings from those of the stored pictures; zeros without a picture."""
    if not len(vectors):
        return np.zeros((len(picture), vectors.shape[1]), dtype=np.float32)
    rows = unit_rows(np.asarray(vectors[np.maximum(picture, 0)], dtype=np.float32))
    rows[picture < 0] = 0
    return rows


def filled(pairs: CandidatePairs, score: Float32, rows: Float32) -> Float32:
    """(pairs,) scores with the cosine of (n, d) unit rows where they are NaN and both rows say something."""
    known = np.asarray(rows.any(axis=1))
    missing = np.flatnonzero(np.isnan(score) & known[pairs.query] & known[pairs.match])
    full = score.copy()
    length = max(1, BLOCK_CELLS // rows.shape[1])
    for start in range(0, len(missing), length):
        block = missing[start : start + length]
        full[block] = np.einsum("ij,ij->i", rows[pairs.query[block]], rows[pairs.match[block]])
    return full


def by_title(vectors: Float32, titles: Sequence[str]) -> Float32:
    """Unit rows of titles; zeros where a title names no product."""
    rows = unit_rows(vectors)
    rows[~informative_titles(titles)] = 0
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


def concatenated_embeddings(parts: Sequence[list[Float32]], settings: Blending) -> list[Float32]:
    """Embeddings of several experiments side by side, each of unit length, then blended.

    Parameters
    ----------
    parts : per experiment, (n, d) unit rows of each of its models; a single model stands for all.
    """
    models = max(len(part) for part in parts)
    together = []
    for place in range(models):
        rows = np.concatenate([part[min(place, len(part) - 1)] for part in parts], axis=1)
        together.append(blended(unit_rows(rows), settings))
    return together


def concatenate_fold(job: Job, settings: ShopeeExperiment, queries: npt.NDArray[np.int64]) -> CandidatePairs:
    """Neighbours by the parents' embeddings of this fold, side by side and blended."""
    parts = []
    for parent in settings.parents:
        own = job.paths.fold(parent, job.fold) / "embeddings.npy"
        file = own if own.is_file() else job.paths.fold(parent, 0) / "embeddings.npy"
        if file.is_file():
            parts.append(read_embeddings(file))
    if not parts:
        return no_pairs(settings.name)
    return embedding_pairs(concatenated_embeddings(parts, settings.blending), queries, settings.name)
