"""k nearest neighbours of embeddings: exact search in blocks, never the square matrix."""

from collections.abc import Sequence

import faiss
import numpy as np

from common.learn.arrays import Float32, Int64
from competitions.shopee_matching.candidates.pairs import CandidatePairs, no_pairs, sorted_pairs
from competitions.shopee_matching.candidates.symmetric_knn import symmetric_neighbours
from competitions.shopee_matching.data.availability import MAX_MATCHES

BLOCK_QUERIES = 4096
CALIBRATION_QUERIES, KNOTS = 4096, 257


def nearest(embeddings: Float32, queries: Int64, k: int = MAX_MATCHES - 1) -> tuple[Int64, Float32]:
    """The min(k, n - 1) nearest others of each query, by cosine.

    With all rows as queries each pair of rows is compared once (symmetric_neighbours), the fastest exact
    search on CPUs that `benchmarks/` measured. Otherwise faiss searches the array in place; an index would
    hold it twice.

    Parameters
    ----------
    embeddings : (n, d) rows of unit length.
    queries : (q,) rows.

    Returns
    -------
    (q, k) rows and cosines, nearest first.
    """
    count = min(k + 1, len(embeddings))
    gallery = np.ascontiguousarray(embeddings, dtype=np.float32)
    if count > 1 and np.array_equal(queries, np.arange(len(gallery))):
        return symmetric_neighbours(gallery, count - 1)
    rows = np.empty((len(queries), count - 1), dtype=np.int64)
    cosines = np.empty((len(queries), count - 1), dtype=np.float32)
    for start in range(0, len(queries), BLOCK_QUERIES):
        asked = queries[start : start + BLOCK_QUERIES]
        found_cosines, found = faiss.knn(gallery[asked], gallery, count, metric=faiss.METRIC_INNER_PRODUCT)
        other = np.not_equal(found, np.broadcast_to(asked[:, None], found.shape))
        # Each list holds the query itself, which is dropped. More than 50 equal rows can push the query out
        # of its own list; then the last entry is dropped.
        other[other.all(axis=1), -1] = False
        rows[start : start + len(asked)] = found[other].reshape(len(asked), count - 1)
        cosines[start : start + len(asked)] = found_cosines[other].reshape(len(asked), count - 1)
    return rows, cosines


def score_calibration(models: Sequence[Float32], seed: int = 0) -> Float32:
    """Maps the mean cosine of several models to the scale of a single one, on which thresholds were tuned.

    The mean of several models has less spread than one model, so a threshold tuned on single models out of
    fold would keep another number of pairs. Quantile matching gives the r-th best pair of the ensemble the
    mean score of the r-th best pairs of the single models. It uses embeddings only, no labels.

    Returns
    -------
    (2, knots) ascending cosines of the ensemble, and the scores that replace them.
    """
    rows = len(models[0])
    asked = np.sort(np.random.default_rng(seed).permutation(rows)[:CALIBRATION_QUERIES])
    levels = np.linspace(0, 1, KNOTS) ** (1 / 4)  # dense where the best pairs are
    of_ensemble = np.quantile(nearest(_concatenated(models), asked)[1], levels)
    of_single = np.mean([np.quantile(nearest(model, asked)[1], levels) for model in models], axis=0)
    return np.stack([of_ensemble, of_single]).astype(np.float32)


def _concatenated(models: Sequence[Float32]) -> Float32:
    """(n, models * d) unit rows whose inner products are the mean cosines of the models."""
    return np.concatenate(models, axis=1) / np.float32(np.sqrt(len(models)))


def ensemble_nearest(
    models: Sequence[Float32], queries: Int64, calibration: Float32 | None = None
) -> tuple[Int64, Float32]:
    """Neighbours by the mean cosine of several models, with scores on the scale of a single model.

    Parameters
    ----------
    models : one (n, d) array of unit rows per model.
    calibration : from `score_calibration` on another gallery; computed from these rows when None.

    Returns
    -------
    (q, k) rows and scores, as `nearest`.
    """
    if len(models) == 1:
        return nearest(models[0], queries)
    rows, cosines = nearest(_concatenated(models), queries)
    knots = score_calibration(models) if calibration is None else calibration
    return rows, np.interp(cosines, knots[0], knots[1]).astype(np.float32)


def embedding_pairs(
    models: Sequence[Float32], queries: Int64, experiment: str, calibration: Float32 | None = None
) -> CandidatePairs:
    """Candidates of listings by their embeddings.

    Parameters
    ----------
    models : per model, (n, d) unit rows; a row of zeros has no neighbours and is none.
    queries : rows of the gallery.
    calibration : as in `ensemble_nearest`.
    """
    known = np.asarray(models[0].any(axis=1))
    rows_known = np.flatnonzero(known)
    asked = np.searchsorted(rows_known, queries[known[queries]])
    if len(rows_known) < 2 or not len(asked):
        return no_pairs(experiment)
    rows, scores = ensemble_nearest([model[rows_known] for model in models], asked, calibration)
    query = np.repeat(rows_known[asked], rows.shape[1]).astype(np.int32)
    match = rows_known[rows.ravel()].astype(np.int32)
    return sorted_pairs(query, match, np.minimum(scores.ravel(), 1), experiment)


def class_pairs(classes: Int64, embeddings: Float32, queries: Int64, experiment: str) -> CandidatePairs:
    """Pairs of the same predicted class: how the paper matches the listings of its training set.

    Parameters
    ----------
    classes : (n,) predicted class; -1 for none.
    embeddings : (n, d) unit rows; the score is the cosine, clipped to 0, which orders classes of more than 50
        rows.
    """
    order = np.argsort(classes, kind="stable")
    starts = np.flatnonzero(np.diff(classes[order], prepend=-2))
    asked = np.zeros(len(classes), dtype=bool)
    asked[queries] = True
    query, match, score = [], [], []
    for members in np.split(order, starts[1:]):
        if len(members) < 2 or classes[members[0]] < 0:
            continue
        similarity = embeddings[members] @ embeddings[members].T
        one, other = np.nonzero(~np.eye(len(members), dtype=bool) & asked[members][:, None])
        query.append(members[one])
        match.append(members[other])
        score.append(np.clip(similarity[one, other], 0, 1))
    if not query:
        return no_pairs(experiment)
    return sorted_pairs(np.concatenate(query), np.concatenate(match), np.concatenate(score), experiment)
