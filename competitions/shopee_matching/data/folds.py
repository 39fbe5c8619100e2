"""Folds that keep a product, and products that share a picture, together."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from common.learn.folds import assign_folds


def product_folds(
    label_group: npt.NDArray[np.int64], image: Sequence[str], folds: int, seed: int
) -> npt.NDArray[np.int16]:
    """Assign listings to folds; label groups never cross folds, nor does a picture.

    The official labels hold some pictures under several groups; a network would have seen those of its
    held-out fold.

    Returns
    -------
    (n,) fold of each listing.
    """
    if folds == 1:  # the article's split: nothing is held out
        return np.zeros(len(label_group), dtype=np.int16)
    _, group = np.unique(label_group, return_inverse=True)
    _, picture = np.unique(np.asarray(image), return_inverse=True)
    groups, pictures = group.max() + 1, picture.max() + 1
    links = coo_array((np.ones(len(group)), (group, groups + picture)), shape=(groups + pictures,) * 2)
    _, component = connected_components(links, directed=False)
    return assign_folds(component[group], folds, seed)
