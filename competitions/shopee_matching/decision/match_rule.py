"""From candidate pairs to matches: thresholds or expected F1, min-2, group-size prior."""

from typing import Any

import numpy as np
from pydantic import Field

from common.learn.arrays import Bools, Float64, Int32, Int64
from common.run.experiments import Settings
from competitions.shopee_matching.candidates.pairs import CandidatePairs, rank_in_query
from competitions.shopee_matching.data.availability import MAX_MATCHES
from competitions.shopee_matching.decision.expected_f1 import expected_f1_lists, shift_log_odds
from competitions.shopee_matching.experiment import Selection

Matches = tuple[Int32, Int32]
SMALLEST_SHARE = 0.125
"""Part of the labelled gallery that slopes are measured on, at least."""
LOWEST = 0.02
"""Smallest threshold of a score."""
LEAST_SHARE = 0.5
"""A threshold moves down to this share of the tuned one. The smaller galleries are cut from the candidates of
the whole one, which lack false candidates that a small gallery proposes, so thresholds there come out low."""
SLACK = 1 / 64
"""Keeps the margin finite for a threshold of 1."""


class MatchRule(Settings):
    """Which candidates are matches."""

    thresholds: dict[str, float]
    """Experiment -> smallest score of a match; experiments not listed are not used. With selection by
    expected F1: experiment -> shift of the log odds of its probabilities."""
    min2: bool
    """Whether a listing without a match takes its best candidate."""
    tuned: bool
    """False without labelled listings: the thresholds are the defaults of experiments.toml."""
    gallery_size: int
    """Listings in the gallery that the thresholds were tuned on; F1 falls as the gallery grows."""
    gallery_slopes: dict[str, float] = Field(default_factory=dict)
    """Experiment -> rise of its threshold when the gallery grows e-fold, measured on smaller galleries."""
    measured_from: int = 0
    """Listings of the smallest gallery that the slopes were measured on; 0: an eighth of `gallery_size`."""
    small_galleries: dict[str, dict[int, float]] = Field(default_factory=dict)
    """Experiment -> listings of a still smaller gallery -> its best threshold there."""
    selection: Selection = "threshold"
    max_matches: int = MAX_MATCHES - 1
    """Others in a match list, at most."""
    group_size_prior: list[float] = Field(default_factory=list)
    """Share of training listings with at least 1, 2, ... others; match lists get these lengths, if given."""

    def for_gallery(self, rows: int) -> "MatchRule":
        """The rule for a gallery of `rows` listings, within the sizes that were measured.

        Thresholds move along their slopes down to the smallest gallery of those, below it between the small
        galleries that were measured. Outside all measured sizes the nearest one counts. No threshold of
        a score falls below half of the tuned one.
        """
        if not self.gallery_size or not self.gallery_slopes:
            return self
        first = self.measured_from or max(1, round(self.gallery_size * SMALLEST_SHARE))
        growth = float(np.log(np.clip(rows, first, self.gallery_size) / self.gallery_size))
        moved = {}
        for name, threshold in self.thresholds.items():
            value = threshold + self.gallery_slopes.get(name, 0.0) * growth
            small = self.small_galleries.get(name, {})
            if rows < first and small:
                sizes = sorted(size for size in small if size < first)
                known = [*(small[size] for size in sizes), value]
                value = float(np.interp(np.log(max(rows, 1)), np.log([*sizes, first]), known))
            # A shift of log odds may be negative, a score may not.
            floor = max(LOWEST, LEAST_SHARE * threshold)
            moved[name] = value if self.selection == "expected_f1" else max(value, floor)
        return self.model_copy(update={"thresholds": moved})

    def fitted_to(self, label_group: Int64, group_size_prior: bool) -> "MatchRule":
        """The rule with the size of the labelled gallery and, optionally, its distribution of group sizes."""
        prior = size_shares(label_group) if group_size_prior else []
        return self.model_copy(update={"gallery_size": len(label_group), "group_size_prior": prior})


def rule_of(decision: dict[str, Any]) -> MatchRule:
    """The rule in the decision that the training stage recorded."""
    return MatchRule.model_validate({key: decision[key] for key in MatchRule.model_fields if key in decision})


def margins(pairs: CandidatePairs, rule: MatchRule) -> Float64:
    """(pairs,) largest relative excess of a score over its threshold; -inf where no score in use is known.

    With selection by expected F1: the probability, its log odds shifted by the rule, less 1.
    """
    best = np.full(len(pairs), -np.inf)
    for experiment, threshold in rule.thresholds.items():
        score = pairs.scores[experiment].astype(np.float64)
        if rule.selection == "expected_f1":
            above = np.where(np.isnan(score), np.nan, shift_log_odds(score, threshold) - 1)
        else:
            above = (score - threshold) / (1 - threshold + SLACK)
        np.fmax(best, above, out=best)
    return best


def select_matches(pairs: CandidatePairs, rule: MatchRule, rows: int | None = None) -> Matches:
    """Query and match of all matches by `rule`, sorted by query, best first, at most 50 per query.

    Parameters
    ----------
    rows : listings in the gallery; None for the gallery that the rule was tuned on.
    """
    rule = rule if rows is None else rule.for_gallery(rows)
    margin = margins(pairs, rule)
    if rule.group_size_prior:
        chosen = _by_size_prior(
            pairs, margin, rule.group_size_prior, rule.gallery_size if rows is None else rows
        )
    elif rule.selection == "expected_f1":
        chosen = expected_f1_lists(pairs, np.maximum(margin + 1, 0), rule.min2)
    else:
        chosen = margin >= 0
        if rule.min2:
            chosen |= _forced_top1(pairs, margin, chosen)
    query, match = pairs.query[chosen], pairs.match[chosen]
    order = np.lexsort((match, -margin[chosen], query))
    query, match = query[order], match[order]
    kept = rank_in_query(query) < min(rule.max_matches, MAX_MATCHES - 1)
    return query[kept], match[kept]


def size_shares(label_group: Int64) -> list[float]:
    """Share of rows whose group has at least 1, 2, ... 50 others."""
    _, group, size = np.unique(label_group, return_inverse=True, return_counts=True)
    return [float((size[group] > others).mean()) for others in range(1, MAX_MATCHES)]


def _by_size_prior(pairs: CandidatePairs, margin: Float64, prior: list[float], rows: int) -> Bools:
    """(pairs,) as many rows get k matches as in training: the k-th candidates of largest margin pass."""
    order = np.lexsort((pairs.match, -margin, pairs.query))
    rank = rank_in_query(pairs.query[order])
    chosen = np.zeros(len(pairs), dtype=bool)
    passed = np.ones(rows, dtype=bool)
    for others, share in enumerate(prior):
        place = order[rank == others]
        place = place[passed[pairs.query[place]] & np.isfinite(margin[place])]
        best = place[np.argsort(-margin[place], kind="stable")][: round(share * rows)]
        chosen[best] = True
        passed[:] = False
        passed[pairs.query[best]] = True
    return chosen


def _forced_top1(pairs: CandidatePairs, margin: Float64, chosen: Bools) -> Bools:
    """(pairs,) the best candidate of each row without a match."""
    unmatched = np.ones(pairs.query.max(initial=-1) + 1, dtype=bool)
    unmatched[pairs.query[chosen]] = False
    open_pairs = np.flatnonzero(unmatched[pairs.query] & np.isfinite(margin))
    order = np.lexsort((pairs.match[open_pairs], -margin[open_pairs], pairs.query[open_pairs]))
    first = rank_in_query(pairs.query[open_pairs][order]) == 0
    added = np.zeros(len(pairs), dtype=bool)
    added[open_pairs[order[first]]] = True
    return added
