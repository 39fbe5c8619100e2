"""From candidate pairs to matches: a threshold per branch, and the nearest candidate for rows left alone."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from common.experiments import Settings
from competitions.shopee_matching.candidate_pairs import CandidatePairs, rank_in_query
from competitions.shopee_matching.information import MOST_NAMES
from competitions.shopee_matching.row_f1 import row_f1

Matches = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]
SLACK = 1 / 64
"""Keeps the strength finite for a threshold of 1."""
FEWEST_A_ROW, MOST_A_ROW, GRID = 0.02, 50.0, 40
"""Thresholds are tried where they keep from 0.02 to 50 candidates a row, in 40 geometric steps."""
ROUNDS = 3


class MatchRule(Settings):
    """Which candidates are matches."""

    thresholds: dict[str, float]
    """Experiment -> smallest score that matches; experiments that are not listed are not used."""
    at_least_two: bool
    """Whether a listing without any match takes its strongest candidate."""
    tuned: bool
    """False when there were no labelled listings, and the thresholds are the defaults of experiments.toml."""
    pool: int
    """Number of listings in the pool that the thresholds were tuned on; F1 falls as the pool grows."""


def strengths(pairs: CandidatePairs, thresholds: dict[str, float]) -> npt.NDArray[np.float64]:
    """(pairs,) how far the best branch is above its threshold; -inf where no branch in use has the pair."""
    best = np.full(len(pairs), -np.inf)
    for experiment, threshold in thresholds.items():
        score = pairs.scores[experiment].astype(np.float64)
        above = (score - threshold) / (1 - threshold + SLACK)
        np.fmax(best, above, out=best)
    return best


def select_matches(pairs: CandidatePairs, rule: MatchRule) -> Matches:
    """Query and match of all matches by `rule`, sorted by query, the strongest first, at most 50 a query."""
    strength = strengths(pairs, rule.thresholds)
    chosen = strength >= 0
    if rule.at_least_two:
        chosen |= _strongest_of_lonely(pairs, strength, chosen)
    query, match = pairs.query[chosen], pairs.match[chosen]
    order = np.lexsort((match, -strength[chosen], query))
    query, match = query[order], match[order]
    kept = rank_in_query(query) < MOST_NAMES - 1
    return query[kept], match[kept]


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


def threshold_grid(scores: npt.NDArray[np.float32], rows: int) -> list[float]:
    """Scores at which from 0.02 to 50 candidates a row remain, highest first."""
    ordered = np.sort(scores[np.isfinite(scores)])[::-1]
    if not len(ordered):
        return []
    ranks = (np.geomspace(FEWEST_A_ROW, MOST_A_ROW, GRID) * rows).astype(int)
    picked = ordered[ranks[ranks < len(ordered)]]
    return sorted({float(score) for score in (*picked, ordered[-1])}, reverse=True)


def tune_rule(
    pairs: CandidatePairs,
    label_group: npt.NDArray[np.int64],
    start: dict[str, float],
    try_two_matches: bool,
) -> MatchRule:
    """Thresholds, and whether rows take at least two names, with the highest mean F1 on held-out listings.

    One threshold after the other is moved over its grid, or its branch switched off, until nothing improves.

    Parameters
    ----------
    pairs : candidates of all labelled listings, each found without its label.
    start : experiment -> threshold to begin with.
    """
    rows = len(label_group)
    useful = {name: value for name, value in start.items() if np.isfinite(pairs.scores[name]).any()}
    rule = MatchRule(thresholds=useful, at_least_two=False, tuned=True, pool=rows)

    def mean_f1(candidate: MatchRule) -> float:
        return float(row_f1(*select_matches(pairs, candidate), label_group).mean())

    best = mean_f1(rule)
    grids = {name: threshold_grid(pairs.scores[name], rows) for name in useful}
    for _ in range(ROUNDS):
        before = best
        for name in useful:
            rule, best = _better(
                [_moved(rule, name, value) for value in (None, *grids[name])], rule, best, mean_f1
            )
        if try_two_matches:
            flipped = rule.model_copy(update={"at_least_two": not rule.at_least_two})
            rule, best = _better([flipped], rule, best, mean_f1)
        if best <= before:
            break
    return rule


def _moved(rule: MatchRule, name: str, threshold: float | None) -> MatchRule:
    thresholds = {other: value for other, value in rule.thresholds.items() if other != name}
    return rule.model_copy(
        update={"thresholds": thresholds | ({} if threshold is None else {name: threshold})}
    )


def _better(
    candidates: Sequence[MatchRule], rule: MatchRule, best: float, mean_f1: Callable[[MatchRule], float]
) -> tuple[MatchRule, float]:
    for candidate in candidates:
        value = mean_f1(candidate)
        if value > best:
            rule, best = candidate, value
    return rule, best
