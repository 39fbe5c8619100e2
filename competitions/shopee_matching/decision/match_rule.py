"""From candidate pairs to matches: thresholds or expected F1, and what to do with rows left alone."""

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from common.run.experiments import Settings
from competitions.shopee_matching.candidates.pairs import CandidatePairs, rank_in_query
from competitions.shopee_matching.data.availability import MOST_NAMES
from competitions.shopee_matching.decision.expected_f1 import expected_f1_lists, shifted

Matches = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]
SLACK = 1 / 64
"""Keeps the strength finite for a threshold of 1."""


class MatchRule(Settings):
    """Which candidates are matches."""

    thresholds: dict[str, float]
    """Experiment -> smallest score that matches; experiments that are not listed are not used. Where rows are
    chosen by expected F1: experiment -> what is added to the log odds of its chances."""
    at_least_two: bool
    """Whether a listing without any match takes its strongest candidate."""
    tuned: bool
    """False when there were no labelled listings, and the thresholds are the defaults of experiments.toml."""
    pool: int
    """Number of listings in the pool that the thresholds were tuned on; F1 falls as the pool grows."""
    slopes: dict[str, float] = Field(default_factory=dict)
    """Experiment -> rise of its threshold when the pool grows e-fold, measured on parts of the pool."""
    selection: Literal["threshold", "expected_f1"] = "threshold"
    """One threshold a branch, or per row the list of highest expected F1."""
    most: int = MOST_NAMES - 1
    """Only so many strongest candidates of a row can be matches."""
    sizes: list[float] = Field(default_factory=list)
    """Share of training rows with at least 1, 2, ... others: rows get these lengths, if given."""

    def for_pool(self, rows: int) -> "MatchRule":
        """The rule for a pool of `rows` listings: thresholds move along their slopes."""
        if not self.pool or not self.slopes:
            return self
        growth = float(np.log(rows / self.pool))
        moved = {
            name: threshold + self.slopes.get(name, 0.0) * growth
            for name, threshold in self.thresholds.items()
        }
        return self.model_copy(update={"thresholds": moved})

    def fitted_to(self, label_group: npt.NDArray[np.int64], training_sizes: bool) -> "MatchRule":
        """The rule with the labelled pool's size and, if so wished, its distribution of group sizes."""
        sizes = size_shares(label_group) if training_sizes else []
        return self.model_copy(update={"pool": len(label_group), "sizes": sizes})


def strengths(pairs: CandidatePairs, rule: MatchRule) -> npt.NDArray[np.float64]:
    """(pairs,) how far the best branch is above its threshold; -inf where no branch in use has the pair.

    Where rows are chosen by expected F1: the chance, its odds shifted by the rule, less 1.
    """
    best = np.full(len(pairs), -np.inf)
    for experiment, threshold in rule.thresholds.items():
        score = pairs.scores[experiment].astype(np.float64)
        if rule.selection == "expected_f1":
            above = np.where(np.isnan(score), np.nan, shifted(score, threshold) - 1)
        else:
            above = (score - threshold) / (1 - threshold + SLACK)
        np.fmax(best, above, out=best)
    return best


def select_matches(pairs: CandidatePairs, rule: MatchRule, rows: int | None = None) -> Matches:
    """Query and match of all matches by `rule`, sorted by query, the strongest first, at most 50 a query.

    Parameters
    ----------
    rows : number of listings in the pool; None where it is the pool that the rule was tuned on.
    """
    rule = rule if rows is None else rule.for_pool(rows)
    strength = strengths(pairs, rule)
    if rule.sizes:
        chosen = _by_sizes(pairs, strength, rule.sizes, rule.pool if rows is None else rows)
    elif rule.selection == "expected_f1":
        chosen = expected_f1_lists(pairs, np.maximum(strength + 1, 0), rule.at_least_two)
    else:
        chosen = strength >= 0
        if rule.at_least_two:
            chosen |= _strongest_of_lonely(pairs, strength, chosen)
    query, match = pairs.query[chosen], pairs.match[chosen]
    order = np.lexsort((match, -strength[chosen], query))
    query, match = query[order], match[order]
    kept = rank_in_query(query) < min(rule.most, MOST_NAMES - 1)
    return query[kept], match[kept]


def size_shares(label_group: npt.NDArray[np.int64]) -> list[float]:
    """Share of rows whose group has at least 1, 2, ... 50 others."""
    _, group, size = np.unique(label_group, return_inverse=True, return_counts=True)
    return [float((size[group] > others).mean()) for others in range(1, MOST_NAMES)]


def _by_sizes(
    pairs: CandidatePairs, strength: npt.NDArray[np.float64], sizes: list[float], rows: int
) -> npt.NDArray[np.bool_]:
    """Candidates such that as many rows have k names as in training: the strongest k-th candidates pass."""
    order = np.lexsort((pairs.match, -strength, pairs.query))
    rank = rank_in_query(pairs.query[order])
    chosen = np.zeros(len(pairs), dtype=bool)
    passed = np.ones(rows, dtype=bool)
    for others, share in enumerate(sizes):
        place = order[rank == others]
        place = place[passed[pairs.query[place]] & np.isfinite(strength[place])]
        best = place[np.argsort(-strength[place], kind="stable")][: round(share * rows)]
        chosen[best] = True
        passed[:] = False
        passed[pairs.query[best]] = True
    return chosen


def _strongest_of_lonely(
    pairs: CandidatePairs, strength: npt.NDArray[np.float64], chosen: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    lonely = np.ones(pairs.query.max(initial=-1) + 1, dtype=bool)
    lonely[pairs.query[chosen]] = False
    open_pairs = np.flatnonzero(lonely[pairs.query] & np.isfinite(strength))
    order = np.lexsort((pairs.match[open_pairs], -strength[open_pairs], pairs.query[open_pairs]))
    first = rank_in_query(pairs.query[open_pairs][order]) == 0
    added = np.zeros(len(pairs), dtype=bool)
    added[open_pairs[order[first]]] = True
    return added
