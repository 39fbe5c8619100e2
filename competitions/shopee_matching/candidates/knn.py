"""Nearest neighbours of embeddings: exact search in blocks, never the square matrix."""

from collections.abc import Sequence

import faiss
import numpy as np
import numpy.typing as npt

from competitions.shopee_matching.candidates.pairs import CandidatePairs, no_pairs, sorted_pairs
from competitions.shopee_matching.candidates.symmetric_knn import mutual_neighbours
from competitions.shopee_matching.data.availability import MOST_NAMES
from competitions.shopee_matching.experiment import Blending

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]
BLOCK_QUERIES = 4096
SCALE_QUERIES, KNOTS = 4096, 257


def unit_rows(vectors: Float32) -> Float32:
    """Rows scaled to length 1; rows of zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)


def nearest(embeddings: Float32, queries: Int64, most: int = MOST_NAMES - 1) -> tuple[Int64, Float32]:
    """The k = min(most, n - 1) nearest others of each query, by cosine.

    Where all rows are asked, each pair of rows is compared once (mutual_neighbours); of what was measured
    (`benchmarks/`) nothing exact is faster on CPUs. Else faiss searches the array where it lies, without an
    index that would hold it a second time.

    Parameters
    ----------
    embeddings : (n, d) rows of unit length.
    queries : (q,) rows to look for.

    Returns
    -------
    (q, k) rows and cosines, nearest first.
    """
    count = min(most + 1, len(embeddings))
    pool = np.ascontiguousarray(embeddings, dtype=np.float32)
    if count > 1 and np.array_equal(queries, np.arange(len(pool))):
        return mutual_neighbours(pool, count - 1)
    rows = np.empty((len(queries), count - 1), dtype=np.int64)
    cosines = np.empty((len(queries), count - 1), dtype=np.float32)
    for start in range(0, len(queries), BLOCK_QUERIES):
        asked = queries[start : start + BLOCK_QUERIES]
        found_cosines, found = faiss.knn(pool[asked], pool, count, metric=faiss.METRIC_INNER_PRODUCT)
        other = np.not_equal(found, np.broadcast_to(asked[:, None], found.shape))
        # Fifty copies of a row can push itself out of its own list; then the farthest goes.
        other[other.all(axis=1), -1] = False
        rows[start : start + len(asked)] = found[other].reshape(len(asked), count - 1)
        cosines[start : start + len(asked)] = found_cosines[other].reshape(len(asked), count - 1)
    return rows, cosines


def single_scale(models: Sequence[Float32], seed: int = 0) -> Float32:
    """How the mean cosine of several models maps to the scale of a single one, on which rules were tuned.

    A mean of models is less spread than one model, so that a threshold tuned on single models out of fold
    would keep another number of pairs. The r-th best pair of the ensemble is therefore given the mean score
    of the r-th best pairs of the single models. This looks at embeddings only.

    Returns
    -------
    (2, knots) ascending cosines of the ensemble, and what they become.
    """
    rows = len(models[0])
    asked = np.sort(np.random.default_rng(seed).permutation(rows)[:SCALE_QUERIES])
    shares = np.linspace(0, 1, KNOTS) ** (1 / 4)  # dense where the best pairs are
    of_ensemble = np.quantile(nearest(_together(models), asked)[1], shares)
    of_single = np.mean([np.quantile(nearest(model, asked)[1], shares) for model in models], axis=0)
    return np.stack([of_ensemble, of_single]).astype(np.float32)


def _together(models: Sequence[Float32]) -> Float32:
    return np.concatenate(models, axis=1) / np.float32(np.sqrt(len(models)))


def ensemble_nearest(
    models: Sequence[Float32], queries: Int64, scale: Float32 | None = None
) -> tuple[Int64, Float32]:
    """Neighbours by the mean cosine of several models, with scores on the scale of a single model's.

    Parameters
    ----------
    models : one (n, d) array of unit rows per model.
    scale : as `single_scale` made it of a larger pool; made of these rows when None.

    Returns
    -------
    (q, k) rows and scores, as `nearest`.
    """
    if len(models) == 1:
        return nearest(models[0], queries)
    rows, cosines = nearest(_together(models), queries)
    knots = single_scale(models) if scale is None else scale
    return rows, np.interp(cosines, knots[0], knots[1]).astype(np.float32)


def embedding_pairs(
    models: Sequence[Float32], queries: Int64, experiment: str, scale: Float32 | None = None
) -> CandidatePairs:
    """Candidates of listings by their embeddings.

    Parameters
    ----------
    models : per model, (n, d) unit rows; a row of zeros says nothing, neither asks nor is found.
    queries : rows of the pool to look for.
    scale : as in `ensemble_nearest`.
    """
    there = np.asarray(models[0].any(axis=1))
    pool = np.flatnonzero(there)
    asked = np.searchsorted(pool, queries[there[queries]])
    if len(pool) < 2 or not len(asked):
        return no_pairs(experiment)
    rows, scores = ensemble_nearest([model[pool] for model in models], asked, scale)
    query = np.repeat(pool[asked], rows.shape[1]).astype(np.int32)
    return sorted_pairs(query, pool[rows.ravel()].astype(np.int32), np.minimum(scores.ravel(), 1), experiment)


def blended(embeddings: Float32, settings: Blending) -> Float32:
    """Unit rows after iterative neighbourhood blending (1st place of the competition).

    Each round adds to every row its nearest neighbours, weighted by their cosine, and scales to length 1.
    """
    for _ in range(settings.rounds):
        there = np.flatnonzero(embeddings.any(axis=1))
        rows, cosines = nearest(embeddings[there], np.arange(len(there)))
        rows, cosines = rows[:, : settings.nearest], cosines[:, : settings.nearest]
        weights = np.where(cosines >= settings.smallest_similarity, cosines, 0)[..., None]
        moved = embeddings.copy()
        for place in range(rows.shape[1]):
            moved[there] += weights[:, place] * embeddings[there[rows[:, place]]]
        embeddings = unit_rows(moved)
    return embeddings


def class_pairs(
    classes: npt.NDArray[np.int64], embeddings: Float32, queries: Int64, experiment: str
) -> CandidatePairs:
    """Rows of the same predicted class, as the article matches rows that its networks have seen.

    Parameters
    ----------
    classes : (n,) predicted class; -1 matches nothing.
    embeddings : (n, d) unit rows; the score is the cosine, 0 at least, which orders classes of over 50 rows.
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
