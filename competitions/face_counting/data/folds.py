"""The labelled pictures that each fold holds out."""

import warnings

import numpy as np

from common.learn.arrays import Bools, Integers
from common.learn.folds import assign_folds
from common.learn.seeding import derived_seed
from competitions.face_counting.experiment import FaceCountingExperiment

HOLDOUT_SHARE = 0.2
CROWD = 9
"""Head counts from here on are one stratum, because larger ones are too rare to be stratified one by one."""


def held_out(
    settings: FaceCountingExperiment, fold: int, head_counts: Integers, groups: Integers, seed: int
) -> Bools:
    """Mark the pictures that fold number `fold` does not train on.

    Parameters
    ----------
    head_counts, groups : (n,) faces and near-duplicate group of each labelled picture.

    Returns
    -------
    (n,) bool. Folds of `stratified_group_kfold` partition the pictures; each of `holdout_80_20` is a
    random fifth, as in the paper, where near duplicates may lie on both sides.

    Raises
    ------
    InputError : fewer groups than folds.
    """
    if settings.split == "stratified_group_kfold":
        strata = np.minimum(head_counts, CROWD)
        with warnings.catch_warnings():
            # Strata smaller than the number of folds are spread as far as they go.
            warnings.filterwarnings("ignore", message="The least populated class")
            return np.asarray(assign_folds(groups, settings.folds, seed, strata) == fold)
    # The label of the seed is part of the split: another text would draw other pictures.
    generator = np.random.default_rng(derived_seed(seed, "printed split", fold))
    chosen = np.zeros(len(groups), dtype=bool)
    chosen[generator.permutation(len(groups))[: max(1, round(HOLDOUT_SHARE * len(groups)))]] = True
    return chosen
