"""Match lists of highest expected F1, from the probability of each pair to be one product."""

import numpy as np

from common.learn.arrays import Bools, Float64, Floats
from competitions.shopee_matching.candidates.pairs import CandidatePairs, rank_in_query
from competitions.shopee_matching.data.availability import MAX_MATCHES

EPSILON = 1e-6
"""Probabilities are clipped this far from 0 and 1, so that their odds stay finite."""


def shift_log_odds(probability: Floats, shift: float) -> Float64:
    """Probabilities whose log odds are raised by `shift`; NaN counts as 0."""
    known = np.clip(np.nan_to_num(probability.astype(np.float64)), EPSILON, 1 - EPSILON)
    return 1 / (1 + np.exp(-(np.log(known / (1 - known)) + shift)))


def expected_f1_lists(pairs: CandidatePairs, probability: Float64, min2: bool) -> Bools:
    """(pairs,) which pairs form each row's list of highest expected F1.

    A row's best list of k others holds its k most probable candidates. With P the sum of their probabilities
    and T the sum over all candidates, the row's expected F1 is close to 2 (1 + P) / (2 + k + T), the listing
    itself being always correct; k maximises it (a ratio of expectations; Ye et al. 2012 give the exact sum).

    Parameters
    ----------
    min2 : whether each product is known to have two listings, so that T is at least 1 and a row with any
        candidate gets one.
    """
    order = np.lexsort((pairs.match, -probability, pairs.query))
    query, ordered = pairs.query[order], probability[order]
    k = rank_in_query(query) + 1
    # Sums within each row's segment of the sorted pairs.
    starts = np.flatnonzero(k == 1)
    lengths = np.diff(np.r_[starts, len(query)])
    summed = np.cumsum(ordered)
    summed -= np.repeat(summed[starts] - ordered[starts], lengths) if len(starts) else 0
    total = np.repeat(np.add.reduceat(ordered, starts), lengths) if len(starts) else summed
    if min2:
        total = np.maximum(total, 1)
    expected = 2 * (1 + summed) / (2 + k + total)
    expected[k > MAX_MATCHES - 1] = -np.inf
    if not len(query):
        return np.zeros(0, dtype=bool)
    best = np.maximum.reduceat(expected, starts)
    alone = -np.inf if min2 else 2 / (2 + total[starts])
    length = np.full(len(starts), 0)
    first_best = expected >= np.repeat(best, lengths)
    np.maximum.at(length, np.repeat(np.arange(len(starts)), lengths)[first_best], k[first_best])
    length[best <= alone] = 0
    chosen = np.zeros(len(query), dtype=bool)
    chosen[order] = k <= np.repeat(length, lengths)
    return chosen
