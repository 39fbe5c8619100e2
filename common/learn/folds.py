"""Folds that keep groups together."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from common.base.errors import InputError


def assign_folds(
    groups: Sequence[object] | npt.NDArray[np.generic],
    folds: int,
    seed: int,
    strata: npt.NDArray[np.generic] | None = None,
) -> npt.NDArray[np.int16]:
    """Assign each row to one of `folds` folds; rows of one group share a fold.

    Parameters
    ----------
    groups : length n; rows with equal entries never cross folds.
    strata : length n, optional; classes whose shares are kept alike in all folds as far as groups allow.

    Returns
    -------
    int16 array of length n with values 0 .. folds - 1.

    Raises
    ------
    InputError : fewer groups than folds.
    """
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    _, codes = np.unique(np.asarray(groups), return_inverse=True)
    n_groups = int(codes.max(initial=-1)) + 1
    if n_groups < folds:
        raise InputError(f"{n_groups} groups cannot be cut into {folds} folds; give more data or fewer folds")
    if strata is None:
        splitter = GroupKFold(folds, shuffle=True, random_state=seed)
        parts = splitter.split(codes, groups=codes)
    else:
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        parts = splitter.split(codes, np.asarray(strata), groups=codes)
    assigned = np.full(len(codes), -1, dtype=np.int16)
    for fold, (_, held_out) in enumerate(parts):
        assigned[held_out] = fold
    check_folds(assigned, codes)
    return assigned


def check_folds(assigned: npt.NDArray[np.int16], groups: npt.NDArray[np.generic]) -> None:
    """Raise ValueError when a row has no fold or a group lies in two: the figures would not be honest."""
    if (assigned < 0).any():
        raise ValueError("a row belongs to no fold")
    _, codes = np.unique(groups, return_inverse=True)
    lowest = np.full(codes.max(initial=-1) + 1, np.iinfo(np.int16).max, dtype=np.int16)
    highest = np.full_like(lowest, -1)
    np.minimum.at(lowest, codes, assigned)
    np.maximum.at(highest, codes, assigned)
    if (lowest != highest).any():
        raise ValueError("a group lies in more than one fold")
