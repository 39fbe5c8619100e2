"""Folds that do not leak: all rows of a machine share one, and failures are spread evenly.

Replace: the group. Ask which rows of the test split a model has never seen the like of: other machines here,
elsewhere other patients, other days, other scenes. Rows that resemble each other that way share a fold.
"""

import pandas as pd

from common.learn.arrays import Int16
from common.learn.folds import assign_folds
from competitions.my_competition.data.tables import GROUP, LABEL


def machine_folds(train: pd.DataFrame, folds: int, seed: int) -> Int16:
    """(rows,) fold of each labelled row; InputError when there are fewer machines than folds."""
    return assign_folds(train[GROUP].to_numpy(), folds, seed, strata=train[LABEL].to_numpy())
