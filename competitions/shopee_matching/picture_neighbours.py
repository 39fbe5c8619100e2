"""Nearest neighbours of picture embeddings, by exact search in blocks."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from competitions.shopee_matching.candidate_pairs import CandidatePairs, no_pairs, sorted_pairs
from competitions.shopee_matching.information import MOST_NAMES

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]
BLOCK_CELLS = 32_000_000


def nearest(embeddings: Float32, queries: Int64) -> tuple[Int64, Float32]:
    """The k = min(50, n - 1) nearest others of each query, by cosine.

    Parameters
    ----------
    embeddings : (n, d) rows of unit length.
    queries : (q,) rows to look for.

    Returns
    -------
    (q, k) rows and cosines, nearest first.
    """
    pool = torch.from_numpy(embeddings)
    count = min(MOST_NAMES - 1, len(embeddings) - 1)
    rows = np.empty((len(queries), count), dtype=np.int64)
    cosines = np.empty((len(queries), count), dtype=np.float32)
    block = max(1, BLOCK_CELLS // max(1, len(embeddings)))
    for start in range(0, len(queries), block):
        asked = torch.from_numpy(queries[start : start + block])
        similarity = pool[asked] @ pool.T
        similarity[torch.arange(len(asked)), asked] = -torch.inf  # not itself
        best = similarity.topk(count)
        rows[start : start + block] = best.indices.numpy()
        cosines[start : start + block] = best.values.numpy()
    return rows, cosines


def ensemble_nearest(models: Sequence[Float32], queries: Int64) -> tuple[Int64, Float32]:
    """Neighbours by the mean cosine of several models, with scores on the scale of a single model's.

    A mean of models is less spread than one model, so that a threshold tuned on single models out of fold
    would keep another number of pairs. The r-th best pair of the ensemble therefore gets the mean score of
    the r-th best pairs of the single models. This looks at embeddings only.

    Parameters
    ----------
    models : one (n, d) array of unit rows per model.

    Returns
    -------
    (q, k) rows and scores, as `nearest`.
    """
    if len(models) == 1:
        return nearest(models[0], queries)
    together = np.concatenate(models, axis=1) / np.float32(np.sqrt(len(models)))
    rows, cosines = nearest(together, queries)
    single = np.mean([np.sort(nearest(model, queries)[1], axis=None) for model in models], axis=0)
    scores = np.empty(cosines.size, dtype=np.float32)
    scores[np.argsort(cosines, axis=None, kind="stable")] = single
    return rows, scores.reshape(cosines.shape)


def picture_pairs(
    models: Sequence[Float32], picture: npt.NDArray[np.int32], queries: Int64, experiment: str
) -> CandidatePairs:
    """Candidates of listings by their pictures' embeddings.

    Parameters
    ----------
    models : per model, (stored pictures, d) unit rows.
    picture : (n,) picture of each listing of the pool, -1 without one; those neither ask nor are found.
    queries : rows of the pool to look for.
    """
    pool = np.flatnonzero(picture >= 0)
    asked = np.searchsorted(pool, queries[picture[queries] >= 0])
    if len(pool) < 2 or not len(asked):
        return no_pairs(experiment)
    rows, scores = ensemble_nearest([model[picture[pool]] for model in models], asked)
    query = np.repeat(pool[asked], rows.shape[1]).astype(np.int32)
    return sorted_pairs(query, pool[rows.ravel()].astype(np.int32), np.minimum(scores.ravel(), 1), experiment)
