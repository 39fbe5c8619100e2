"""The official metric: F1 of each listing's match list, averaged over listings."""

import numpy as np

from common.learn.arrays import Float64, Int32, Int64
from common.learn.bootstrap import bootstrap_interval


def row_f1(query: Int32, match: Int32, label_group: Int64, itself: bool = True) -> Float64:
    """F1 = 2 |P and T| / (|P| + |T|) of each listing. T, the true matches, always holds the listing itself.

    Parameters
    ----------
    query, match : (pairs,) rows, each pair once.
    label_group : (n,) product of each listing of the gallery.
    itself : whether each listing counts as listed under its own matches, besides the pairs. False: the pairs
        are all that is listed, as in a file to be scored.

    Returns
    -------
    (n,) F1 of each row.
    """
    rows = len(label_group)
    _, group, sizes = np.unique(label_group, return_inverse=True, return_counts=True)
    correct = group[query] == group[match]
    predicted = itself + np.bincount(query, minlength=rows)
    right = itself + np.bincount(query[correct], minlength=rows)
    return 2 * right / (predicted + sizes[group])


def group_interval(f1: Float64, label_group: Int64, seed: int) -> tuple[float, float]:
    """90 % bootstrap interval of the mean F1 over label groups: rows of one group are not independent."""
    _, group = np.unique(label_group, return_inverse=True)
    totals = np.stack([np.bincount(group, weights=f1), np.bincount(group)], axis=1).astype(np.float64)
    return bootstrap_interval(totals, lambda drawn: drawn[..., 0].sum(1) / drawn[..., 1].sum(1), seed)
