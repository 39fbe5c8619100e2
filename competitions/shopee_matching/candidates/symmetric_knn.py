"""Exact k nearest neighbours of all rows among themselves; each cosine is computed once for both rows."""

import numpy as np

from common.learn.arrays import Float32, Int64

BLOCK = 4096
"""Rows of a block: 67 MB of cosines at a time."""


def symmetric_neighbours(vectors: Float32, k: int) -> tuple[Int64, Float32]:
    """The `k` nearest others of each row, by cosine.

    The (n, n) matrix of cosines is symmetric. Each block on and above its diagonal is computed once, and
    updates the neighbour lists of its rows and of its columns. The whole matrix is never in memory.

    Parameters
    ----------
    vectors : (n, d) rows of unit length.
    k : fewer than n.

    Returns
    -------
    (n, k) rows and cosines, nearest first; ties in the order of rows.
    """
    count = len(vectors)
    rows = np.full((count, k), -1, dtype=np.int64)
    cosines = np.full((count, k), -np.inf, dtype=np.float32)
    starts = range(0, count, BLOCK)
    for above in starts:
        for left in range(above, count, BLOCK):
            block = vectors[above : above + BLOCK] @ vectors[left : left + BLOCK].T
            if left == above:
                np.fill_diagonal(block, -np.inf)
            one, other = _candidates(block, cosines[above : above + BLOCK, -1], 1, k)
            _update(rows, cosines, one + above, other + left, block[one, other])
            if left > above:
                one, other = _candidates(block, cosines[left : left + BLOCK, -1], 0, k)
                _update(rows, cosines, other + left, one + above, block[one, other])
    return rows, cosines


def _candidates(block: Float32, farthest: Float32, axis: int, k: int) -> tuple[Int64, Int64]:
    """Row and column of cosines that may be among the `k` highest along `axis`, in the block's order.

    Parameters
    ----------
    farthest : lowest cosine in the current list of each row (axis 1) or column (axis 0); minus infinity while
        a list is empty.
    """
    # A cosine equal to the farthest one held comes later in the order of rows, so it is not needed.
    least = np.nextafter(farthest, np.float32(np.inf))
    if np.isneginf(farthest).any() and block.shape[axis] > k:
        least = np.maximum(least, np.partition(block, -k, axis=axis).take(-k, axis=axis))
    one, other = np.divmod(np.flatnonzero(block >= np.expand_dims(least, axis)), block.shape[1])
    return one, other


def _update(rows: Int64, cosines: Float32, query: Int64, match: Int64, cosine: Float32) -> None:
    """Merge new neighbours into the lists in place, and keep the k nearest.

    Blocks come in the order of rows and the sort is stable, so of equal cosines the lower row comes first.
    """
    if not len(query):
        return
    order = np.argsort(query, kind="stable")
    # The new neighbours of each query as one row of a padded (queries, widest) table.
    asked, starts, counts = np.unique(query[order], return_index=True, return_counts=True)
    place = np.repeat(np.arange(len(asked)), counts), np.arange(len(query)) - np.repeat(starts, counts)
    k, widest = rows.shape[1], int(counts.max())
    new_rows = np.full((len(asked), widest), -1, dtype=np.int64)
    new_cosines = np.full((len(asked), widest), -np.inf, dtype=np.float32)
    new_rows[place], new_cosines[place] = match[order], cosine[order]
    all_rows = np.concatenate([rows[asked], new_rows], axis=1)
    all_cosines = np.concatenate([cosines[asked], new_cosines], axis=1)
    nearest = np.argsort(-all_cosines, axis=1, kind="stable")[:, :k]
    rows[asked] = np.take_along_axis(all_rows, nearest, axis=1)
    cosines[asked] = np.take_along_axis(all_cosines, nearest, axis=1)
