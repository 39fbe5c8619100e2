"""Which labelled pictures a fold holds out."""

import warnings

import numpy as np
import numpy.typing as npt

from common.learn.folds import assign_folds
from common.learn.seeding import derived_seed
from competitions.face_counting.experiment import FaceCountingExperiment

HELD_OUT_SHARE = 0.2
CROWD = 9
"""Counts from here on are one stratum: larger ones are too rare to be shared out each for itself."""


def held_out(
    settings: FaceCountingExperiment,
    fold: int,
    head_counts: npt.NDArray[np.integer],
    groups: npt.NDArray[np.integer],
    seed: int,
) -> npt.NDArray[np.bool_]:
    """Mark the pictures that fold number `fold` does not train on.

    Parameters
    ----------
    head_counts, groups : (n,) faces and near-duplicate group of each labelled picture.

    Returns
    -------
    (n,) bool. `grouped` folds partition the pictures; each `printed` one is a random fifth, as in the
    article, where near duplicates may lie on both sides.

    Raises
    ------
    InputError : fewer groups than folds.
    """
    if settings.split == "grouped":
        strata = np.minimum(head_counts, CROWD)
        with warnings.catch_warnings():
            # Strata smaller than the folds are spread as far as they go.
            warnings.filterwarnings("ignore", message="The least populated class")
            return np.asarray(assign_folds(groups, settings.folds, seed, strata) == fold)
    generator = np.random.default_rng(derived_seed(seed, "printed split", fold))
    chosen = np.zeros(len(groups), dtype=bool)
    chosen[generator.permutation(len(groups))[: max(1, round(HELD_OUT_SHARE * len(groups)))]] = True
    return chosen
