"""Gradient-boosted trees for the little that a thousand pictures tell (LightGBM, Ke et al. 2017)."""

from typing import Literal

import numpy as np
import numpy.typing as npt

SEED = 2021

Numbers = npt.NDArray[np.float64]


def grown_trees(
    figures: Numbers,
    wanted: Numbers,
    objective: Literal["regression", "binary"],
    *,
    trees: int,
    leaves: int,
    rate: float,
    fewest: int,
) -> str:
    """Grow trees that are held small and drawn apart, and give them as LightGBM's own text.

    Parameters
    ----------
    figures : (rows, figures).
    wanted : (rows,) values, or 0 and 1.
    fewest : rows of a leaf.
    """
    import lightgbm

    settings = {
        "objective": objective,
        "num_leaves": leaves,
        "learning_rate": rate,
        "min_data_in_leaf": fewest,
        "feature_fraction": 0.5,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "seed": SEED,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbose": -1,
    }
    grown = lightgbm.train(settings, lightgbm.Dataset(figures, wanted), trees)
    return str(grown.model_to_string())
