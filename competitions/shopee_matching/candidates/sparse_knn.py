"""The most similar rows of a sparse matrix, without ever holding the product of the matrix with itself.

Products of sparse matrices, scipy's and sparse_dot_topn's, walk a linked list through memory for each row.
Titles have so many words in common that it pays to add into a plain array instead, short enough for the
processor's nearest memory, and to look through it. numba compiles the loop at its first use, in two seconds.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]

COLUMNS_AT_ONCE = 8192
"""Pool rows whose similarities to one row are held at once: 32 kB."""
WHOLE_PRODUCT = 4_000_000
"""Up to so many inner products the whole matrix of them is quicker than compiling."""
LANES = 32
"""Columns that are compared at once; mostly none of them passes."""
CHUNKS_A_THREAD = 8
"""More parts than threads, so that none waits long for the last."""


def most_similar_rows(
    vectors: Any, queries: Rows, most: int, smallest: float, threads: int | None = None
) -> tuple[Rows, Rows, Scores]:
    """For each query the rows of the pool with the highest inner product, itself among them.

    Parameters
    ----------
    vectors : (pool, features) CSR matrix of float32.
    queries : rows of the pool.
    most : how many are kept of a query; of equals at the end the first rows.
    smallest : inner products below are left out; above 0.

    Returns
    -------
    Query row, pool row and inner product of each pair; queries in their order, of each the best first.
    """
    pool, asked = vectors.shape[0], vectors[queries]
    if len(queries) * pool <= WHOLE_PRODUCT:
        return _of_the_whole_product(asked, vectors, queries, most, smallest)
    starts = list(range(0, pool, COLUMNS_AT_ONCE))
    blocks = [vectors[start : start + COLUMNS_AT_ONCE].T.tocsr() for start in starts]
    best = np.full((len(queries), most), -1, np.int64)
    score = np.zeros((len(queries), most), np.float32)
    found = np.zeros(len(queries), np.int64)
    add = _compiled()
    threads = threads or os.cpu_count() or 1
    parts = np.linspace(0, len(queries), threads * CHUNKS_A_THREAD + 1).astype(np.int64)

    def search(part: int) -> None:
        rows = slice(parts[part], parts[part + 1])
        for start, block in zip(starts, blocks, strict=True):
            add(
                asked.indptr[parts[part] : parts[part + 1] + 1], asked.indices, asked.data,
                block.indptr, block.indices, block.data, block.shape[1],
                start, np.float32(smallest), best[rows], score[rows], found[rows],
            )  # fmt: skip

    with ThreadPoolExecutor(threads) as threaded:
        list(threaded.map(search, range(len(parts) - 1)))
    order = np.lexsort((best, -score), axis=1)
    kept = np.arange(most)[None] < found[:, None]
    # What is not found has score 0, below all that are.
    best, score = np.take_along_axis(best, order, 1), np.take_along_axis(score, order, 1)
    return np.repeat(queries, found), best[kept], score[kept]


def _of_the_whole_product(
    asked: Any, vectors: Any, queries: Rows, most: int, smallest: float
) -> tuple[Rows, Rows, Scores]:
    product = (asked @ vectors.T).toarray()
    product[product < np.float32(smallest)] = 0
    best = np.argsort(-product, axis=1, kind="stable")[:, :most]
    score = np.take_along_axis(product, best, 1)
    kept = score > 0
    return np.repeat(queries, kept.sum(axis=1)), best[kept], score[kept]


@cache
def _compiled() -> Callable[..., None]:
    """Adds one block of the pool to the best rows of some queries; lets other threads run meanwhile."""
    import numba

    @numba.njit(nogil=True)
    def add(  # type: ignore[no-untyped-def]
        starts,
        features,
        values,
        pool_starts,
        pool_rows,
        pool_values,
        columns,
        first,
        smallest,
        best,
        score,
        found,
    ):
        product = np.zeros(columns, np.float32)
        passing = np.empty(columns, np.int64)
        most = best.shape[1]
        for query in range(len(starts) - 1):
            product[:] = 0
            for place in range(starts[query], starts[query + 1]):
                value = values[place]
                for other in range(pool_starts[features[place]], pool_starts[features[place] + 1]):
                    product[pool_rows[other]] += value * pool_values[other]
            # Full lists are heaps, the worst of a list at its top.
            full = found[query] == most
            floor = score[query, 0] if full else smallest
            number = 0
            for begin in range(0, columns, LANES):
                end = min(begin + LANES, columns)
                hits = 0
                for column in range(begin, end):
                    hits += product[column] >= floor
                if hits:
                    for column in range(begin, end):
                        passing[number] = column
                        number += product[column] >= floor
            for place in range(number):
                value, row = product[passing[place]], first + passing[place]
                held = found[query]
                if held < most:
                    at = held
                    found[query] = held + 1
                    while at > 0 and score[query, (at - 1) // 2] > value:
                        above = (at - 1) // 2
                        score[query, at], best[query, at] = score[query, above], best[query, above]
                        at = above
                elif value > score[query, 0]:
                    at = 0
                    while True:
                        below = 2 * at + 1
                        if below >= most:
                            break
                        if below + 1 < most and score[query, below + 1] < score[query, below]:
                            below += 1
                        if score[query, below] >= value:
                            break
                        score[query, at], best[query, at] = score[query, below], best[query, below]
                        at = below
                else:
                    continue
                score[query, at], best[query, at] = value, row

    compiled: Callable[..., None] = add
    return compiled
