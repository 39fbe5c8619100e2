"""Features of a row: the readings, and the ratios of their pairs.

Replace: the features. They depend on one row alone, so that own data need nothing else. Statistics of
training rows (means, encodings) belong in the fold's model.
"""

from itertools import combinations

import numpy as np
import pandas as pd

from common.learn.arrays import Float64
from competitions.my_competition.data.tables import READINGS
from competitions.my_competition.experiment import FeatureSettings


def feature_names(settings: FeatureSettings) -> list[str]:
    """Names of the columns of `feature_matrix`."""
    pairs = combinations(READINGS, 2) if settings.ratios else ()
    return [*READINGS, *(f"{one}_per_{other}" for one, other in pairs)]


def feature_matrix(table: pd.DataFrame, settings: FeatureSettings) -> Float64:
    """(rows, features); NaN where a reading is missing or a ratio divides by zero."""
    readings = {name: table[name].to_numpy(np.float64) for name in READINGS}
    columns = list(readings.values())
    if settings.ratios:
        with np.errstate(divide="ignore", invalid="ignore"):
            columns += [readings[one] / readings[other] for one, other in combinations(READINGS, 2)]
    matrix = np.stack(columns, axis=1)
    matrix[~np.isfinite(matrix)] = np.nan
    return matrix
