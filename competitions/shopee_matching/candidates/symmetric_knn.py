"""Exact nearest neighbours of all rows among themselves, at half the work: a cosine serves both rows."""

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]
BLOCK = 4096
"""Rows of a block: 67 MB of cosines at a time."""


def mutual_neighbours(vectors: Float32, most: int) -> tuple[Int64, Float32]:
    """The `most` nearest others of each row, by cosine.

    The square of cosines is symmetric. So each block on and above its diagonal is made once, and tells its
    rows and its columns what is nearer than the farthest that they hold so far.

    Parameters
    ----------
    vectors : (n, d) rows of unit length.
    most : k, fewer than n.

    Returns
    -------
    (n, k) rows and cosines, nearest first; equally near ones in the order of rows.
    """
    count = len(vectors)
    rows = np.full((count, most), -1, dtype=np.int64)
    cosines = np.full((count, most), -np.inf, dtype=np.float32)
    starts = range(0, count, BLOCK)
    for above in starts:
        for left in range(above, count, BLOCK):
            block = vectors[above : above + BLOCK] @ vectors[left : left + BLOCK].T
            if left == above:
                np.fill_diagonal(block, -np.inf)
            one, other = _worth_holding(block, cosines[above : above + BLOCK, -1], 1, most)
            _hold(rows, cosines, one + above, other + left, block[one, other])
            if left > above:
                one, other = _worth_holding(block, cosines[left : left + BLOCK, -1], 0, most)
                _hold(rows, cosines, other + left, one + above, block[one, other])
    return rows, cosines


def _worth_holding(block: Float32, farthest: Float32, axis: int, most: int) -> tuple[Int64, Int64]:
    """Places of cosines that may be among the `most` highest along `axis`, in the block's order.

    Parameters
    ----------
    farthest : the lowest cosine held so far, of each row (axis 1) or column (axis 0); all are minus infinity
        where nothing is held yet.
    """
    least = np.nextafter(farthest, np.float32(np.inf))
    if np.isneginf(farthest).any() and block.shape[axis] > most:
        least = np.maximum(least, np.partition(block, -most, axis=axis).take(-most, axis=axis))
    one, other = np.divmod(np.flatnonzero(block >= np.expand_dims(least, axis)), block.shape[1])
    return one, other


def _hold(rows: Int64, cosines: Float32, query: Int64, match: Int64, cosine: Float32) -> None:
    """Put new neighbours among those that are held, and keep the nearest.

    Blocks come in the order of rows, so what is held stands before what is as near and new.
    """
    if not len(query):
        return
    order = np.argsort(query, kind="stable")
    asked, starts, counts = np.unique(query[order], return_index=True, return_counts=True)
    place = np.repeat(np.arange(len(asked)), counts), np.arange(len(query)) - np.repeat(starts, counts)
    most, widest = rows.shape[1], int(counts.max())
    new_rows = np.full((len(asked), widest), -1, dtype=np.int64)
    new_cosines = np.full((len(asked), widest), -np.inf, dtype=np.float32)
    new_rows[place], new_cosines[place] = match[order], cosine[order]
    all_rows = np.concatenate([rows[asked], new_rows], axis=1)
    all_cosines = np.concatenate([cosines[asked], new_cosines], axis=1)
    nearest = np.argsort(-all_cosines, axis=1, kind="stable")[:, :most]
    rows[asked] = np.take_along_axis(all_rows, nearest, axis=1)
    cosines[asked] = np.take_along_axis(all_cosines, nearest, axis=1)
