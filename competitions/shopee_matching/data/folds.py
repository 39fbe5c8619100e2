"""Folds that keep a product, and products that share an image, together."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from common.learn.arrays import Int16, Int64
from common.learn.folds import assign_folds


def product_folds(label_group: Int64, image: Sequence[str], folds: int, seed: int) -> Int16:
    """Assign listings to folds; neither a label group nor an image crosses folds.

    The official labels hold some images under several groups; a network would have seen those of its
    validation fold.

    Parameters
    ----------
    image : file name of each listing's image.

    Returns
    -------
    (n,) fold of each listing.
    """
    if folds == 1:  # in-sample evaluation: nothing is held out
        return np.zeros(len(label_group), dtype=np.int16)
    _, group = np.unique(label_group, return_inverse=True)
    _, name = np.unique(np.asarray(image), return_inverse=True)
    groups, names = group.max() + 1, name.max() + 1
    # A graph of groups and images, one edge per listing: its components never cross folds.
    links = coo_array((np.ones(len(group)), (group, groups + name)), shape=(groups + names,) * 2)
    _, component = connected_components(links, directed=False)
    return assign_folds(component[group], folds, seed)
