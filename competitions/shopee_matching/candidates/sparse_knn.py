"""Top-k rows of a sparse matrix by inner product, without the product of the matrix with itself in memory.

Sparse products (scipy, sparse_dot_topn) walk a linked list through memory for each row. Titles have so many
words in common that adding into a dense array is faster, if the array is short enough for the L1 cache. numba
compiles the loop at its first use, in two seconds.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np

from common.learn.arrays import Float32, Int64

BLOCK_COLUMNS = 8192
"""Gallery rows whose similarities to one query are held at once: 32 kB."""
MAX_DENSE_PRODUCT = 4_000_000
"""Up to this many inner products the dense matrix of them is faster than compiling."""
LANES = 32
"""Columns that are compared with the threshold at once (SIMD); mostly none of them passes."""
CHUNKS_PER_THREAD = 8
"""More chunks than threads, so that no thread waits long for the last."""


def most_similar_rows(
    vectors: Any, queries: Int64, k: int, min_similarity: float, threads: int | None = None
) -> tuple[Int64, Int64, Float32]:
    """For each query the `k` gallery rows of highest inner product, itself among them.

    Parameters
    ----------
    vectors : (gallery, features) CSR matrix of float32.
    queries : rows of the gallery.
    k : of ties at the end of a list the first rows are kept.
    min_similarity : smaller inner products are left out; above 0.

    Returns
    -------
    Query row, gallery row and inner product of each pair; queries in their order, best first.
    """
    gallery, asked = vectors.shape[0], vectors[queries]
    if len(queries) * gallery <= MAX_DENSE_PRODUCT:
        return _dense_top_k(asked, vectors, queries, k, min_similarity)
    starts = list(range(0, gallery, BLOCK_COLUMNS))
    # Transposed blocks: row f of a block lists the gallery rows that have feature f.
    blocks = [vectors[start : start + BLOCK_COLUMNS].T.tocsr() for start in starts]
    best = np.full((len(queries), k), -1, np.int64)
    score = np.zeros((len(queries), k), np.float32)
    found = np.zeros(len(queries), np.int64)
    add = _compiled()
    threads = threads or os.cpu_count() or 1
    chunks = np.linspace(0, len(queries), threads * CHUNKS_PER_THREAD + 1).astype(np.int64)

    def search(chunk: int) -> None:
        rows = slice(chunks[chunk], chunks[chunk + 1])
        for start, block in zip(starts, blocks, strict=True):
            add(
                asked.indptr[chunks[chunk] : chunks[chunk + 1] + 1], asked.indices, asked.data,
                block.indptr, block.indices, block.data, block.shape[1],
                start, np.float32(min_similarity), best[rows], score[rows], found[rows],
            )  # fmt: skip

    with ThreadPoolExecutor(threads) as threaded:
        list(threaded.map(search, range(len(chunks) - 1)))
    order = np.lexsort((best, -score), axis=1)
    kept = np.arange(k)[None] < found[:, None]
    # Empty places of a list have score 0, below all found ones, so sorting puts them last.
    best, score = np.take_along_axis(best, order, 1), np.take_along_axis(score, order, 1)
    return np.repeat(queries, found), best[kept], score[kept]


def _dense_top_k(
    asked: Any, vectors: Any, queries: Int64, k: int, min_similarity: float
) -> tuple[Int64, Int64, Float32]:
    product = (asked @ vectors.T).toarray()
    product[product < np.float32(min_similarity)] = 0
    best = np.argsort(-product, axis=1, kind="stable")[:, :k]
    score = np.take_along_axis(product, best, 1)
    kept = score > 0
    return np.repeat(queries, kept.sum(axis=1)), best[kept], score[kept]


@cache
def _compiled() -> Callable[..., None]:
    """Kernel: updates the top-k lists of some queries with one block of the gallery; releases the GIL."""
    import numba

    @numba.njit(nogil=True)
    def add(  # type: ignore[no-untyped-def]
        starts,
        features,
        values,
        block_starts,
        block_rows,
        block_values,
        columns,
        first,
        min_similarity,
        best,
        score,
        found,
    ):
        product = np.zeros(columns, np.float32)
        passing = np.empty(columns, np.int64)
        k = best.shape[1]
        for query in range(len(starts) - 1):
            # Inner products of the query with every row of the block, feature by feature.
            product[:] = 0
            for place in range(starts[query], starts[query + 1]):
                value = values[place]
                for other in range(block_starts[features[place]], block_starts[features[place] + 1]):
                    product[block_rows[other]] += value * block_values[other]
            # A list is a min-heap: its worst entry is at place 0 and is the threshold of a full list.
            full = found[query] == k
            floor = score[query, 0] if full else min_similarity
            # Collect the columns that pass, without a jump per column.
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
                if held < k:  # append and sift up
                    at = held
                    found[query] = held + 1
                    while at > 0 and score[query, (at - 1) // 2] > value:
                        above = (at - 1) // 2
                        score[query, at], best[query, at] = score[query, above], best[query, above]
                        at = above
                elif value > score[query, 0]:  # replace the worst and sift down
                    at = 0
                    while True:
                        below = 2 * at + 1
                        if below >= k:
                            break
                        if below + 1 < k and score[query, below + 1] < score[query, below]:
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
