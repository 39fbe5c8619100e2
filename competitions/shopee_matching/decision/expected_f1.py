"""Match lists with the highest expected F1, from the chance of each pair to be one product."""

import numpy as np
import numpy.typing as npt

from competitions.shopee_matching.candidates.pairs import CandidatePairs, rank_in_query
from competitions.shopee_matching.data.availability import MOST_NAMES

CERTAIN = 1e-6
"""Chances are kept this far from 0 and 1, so that their odds stay finite."""


def shifted(chance: npt.NDArray[np.floating], log_odds: float) -> npt.NDArray[np.float64]:
    """Chances whose odds are multiplied by exp(`log_odds`); NaN counts as no chance."""
    known = np.clip(np.nan_to_num(chance.astype(np.float64)), CERTAIN, 1 - CERTAIN)
    return 1 / (1 + np.exp(-(np.log(known / (1 - known)) + log_odds)))


def expected_f1_lists(
    pairs: CandidatePairs, chance: npt.NDArray[np.float64], at_least_two: bool
) -> npt.NDArray[np.bool_]:
    """(pairs,) which pairs make each row's list of highest expected F1.

    A row's best list of k others holds its k likeliest candidates. With P their summed chances and T those
    of all candidates, the row's F1 is expected near 2 (1 + P) / (2 + k + T), itself being always right; the k
    that makes this largest is taken (ratio of expectations; Ye et al. 2012 give the exact sum).

    Parameters
    ----------
    at_least_two : whether each product is known to have two listings, so that T is at least 1 and a row with
        any candidate names one.
    """
    order = np.lexsort((pairs.match, -chance, pairs.query))
    query, ordered = pairs.query[order], chance[order]
    k = rank_in_query(query) + 1
    starts = np.flatnonzero(k == 1)
    lengths = np.diff(np.r_[starts, len(query)])
    summed = np.cumsum(ordered)
    summed -= np.repeat(summed[starts] - ordered[starts], lengths) if len(starts) else 0
    total = np.repeat(np.add.reduceat(ordered, starts), lengths) if len(starts) else summed
    if at_least_two:
        total = np.maximum(total, 1)
    expected = 2 * (1 + summed) / (2 + k + total)
    expected[k > MOST_NAMES - 1] = -np.inf
    if not len(query):
        return np.zeros(0, dtype=bool)
    best = np.maximum.reduceat(expected, starts)
    alone = -np.inf if at_least_two else 2 / (2 + total[starts])
    length = np.full(len(starts), 0)
    first_best = expected >= np.repeat(best, lengths)
    np.maximum.at(length, np.repeat(np.arange(len(starts)), lengths)[first_best], k[first_best])
    length[best <= alone] = 0
    taken = np.zeros(len(query), dtype=bool)
    taken[order] = k <= np.repeat(length, lengths)
    return taken
