"""The rule of highest OOF mean F1, and how its thresholds depend on the size of the gallery."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from common.learn.arrays import Bools, Float32, Int64
from competitions.shopee_matching.candidates.pairs import CandidatePairs, subset
from competitions.shopee_matching.decision.match_rule import MatchRule, select_matches
from competitions.shopee_matching.experiment import Selection, ShopeeExperiment
from competitions.shopee_matching.rules.metric import row_f1

MIN_PER_ROW, MAX_PER_ROW, GRID = 0.02, 50.0, 40
"""Thresholds are tried where they keep from 0.02 to 50 candidates per listing, in 40 geometric steps."""
LOG_ODDS = tuple(float(step) for step in np.round(np.arange(-3, 3.01, 0.25), 2))
"""Shifts of the log odds that are tried with selection by expected F1."""
ROUNDS = 3
FINE_STEPS = 4
"""Steps that are tried between the best threshold and its neighbours in the grid."""
PARTS = (0.5, 0.25, 0.125)
"""Shares of the products that form smaller galleries, to measure how a threshold depends on the size."""
MIN_PART = 300
"""Listings that a smaller gallery needs."""
SMALL = (50, 100, 200, 400, 800, 1_600, 3_200)
"""Listings of still smaller galleries: all listings are cut into such, and each is searched by itself."""


def initial_rule(settings: ShopeeExperiment, parents: dict[str, dict[str, Any]], labelled: bool) -> MatchRule:
    """Starting point of the tuning: the defaults of experiments.toml; for a fusion the parents' thresholds.

    A reranker without labelled listings to learn from is the union of its parents' matches.
    """
    if settings.fusion == "union" or (settings.fusion == "reranker" and not labelled):
        thresholds = {name: value for each in parents.values() for name, value in each["thresholds"].items()}
        selection: Selection = "threshold"
    else:
        selection = settings.rule.selection
        thresholds = {settings.name: 0.0 if selection == "expected_f1" else settings.default_threshold}
    return MatchRule(
        thresholds=thresholds,
        min2=False,
        tuned=False,
        gallery_size=0,
        selection=selection,
        max_matches=settings.rule.max_matches,
    )


def threshold_grid(scores: Float32, rows: int) -> list[float]:
    """Scores that keep from 0.02 to 50 candidates per row, highest first."""
    ordered = np.sort(scores[np.isfinite(scores)])[::-1]
    if not len(ordered):
        return []
    ranks = (np.geomspace(MIN_PER_ROW, MAX_PER_ROW, GRID) * rows).astype(int)
    picked = ordered[ranks[ranks < len(ordered)]]
    return sorted({float(score) for score in (*picked, ordered[-1])}, reverse=True)


def tune_rule(pairs: CandidatePairs, label_group: Int64, start: MatchRule, try_min2: bool) -> MatchRule:
    """Thresholds, and whether min-2 is used, of the highest OOF mean F1.

    Coordinate ascent: one threshold after the other is moved over its grid, or its retriever switched off,
    until nothing improves.

    Parameters
    ----------
    pairs : candidates of all labelled listings, each found without its label.
    start : the rule to begin with; its thresholds name the experiments whose scores are used.
    """
    rows = len(label_group)
    useful = {
        name: value for name, value in start.thresholds.items() if np.isfinite(pairs.scores[name]).any()
    }
    rule = start.model_copy(update={"thresholds": useful, "tuned": True, "gallery_size": rows})

    def mean_f1(candidate: MatchRule) -> float:
        return float(row_f1(*select_matches(pairs, candidate), label_group).mean())

    best = mean_f1(rule)
    grids = {name: _grid(pairs, rule, name, rows) for name in useful}
    for _ in range(ROUNDS):
        before = best
        for name in useful:
            rule, best = _better(
                [_moved(rule, name, value) for value in (None, *grids[name])], rule, best, mean_f1
            )
        if try_min2:
            flipped = rule.model_copy(update={"min2": not rule.min2})
            rule, best = _better([flipped], rule, best, mean_f1)
        for name in list(rule.thresholds):
            rule, best = _better(
                [_moved(rule, name, value) for value in _between(grids[name], rule.thresholds[name])],
                rule,
                best,
                mean_f1,
            )
        if best <= before or (len(useful) == 1 and not try_min2):
            break
    return rule


def with_slopes(pairs: CandidatePairs, label_group: Int64, rule: MatchRule, seed: int) -> MatchRule:
    """The rule with the slope of each threshold over the logarithm of the gallery's size.

    Half, a quarter and an eighth of the products form smaller galleries, in which each threshold is tuned
    again with the others fixed. A line through the whole gallery's threshold is fitted to them. False
    candidates grow with the gallery and true ones do not, so a slope of the wrong sign is noise and set to
    zero.
    """
    growths, thresholds = [], {name: list[float]() for name in rule.thresholds}
    smallest = len(label_group)
    for part in PARTS:
        kept = part_of(label_group, part, seed)
        if kept.sum() < MIN_PART:
            continue
        smaller, groups = within(pairs, kept), label_group[kept]
        growths.append(float(np.log(kept.sum() / len(kept))))
        smallest = int(kept.sum())
        for name, chosen in thresholds.items():
            chosen.append(_threshold_there(smaller, groups, rule, name) - rule.thresholds[name])
    if not growths:
        return rule
    slopes = {
        name: float(np.dot(growths, moves) / np.dot(growths, growths)) for name, moves in thresholds.items()
    }
    sign = -1 if rule.selection == "expected_f1" else 1
    line = {name: sign * max(0.0, sign * slope) for name, slope in slopes.items()}
    rule = rule.model_copy(update={"gallery_slopes": line, "measured_from": smallest})
    return rule.model_copy(update={"small_galleries": _small_galleries(pairs, label_group, rule, seed)})


def _small_galleries(
    pairs: CandidatePairs, label_group: Int64, rule: MatchRule, seed: int
) -> dict[str, dict[int, float]]:
    """Thresholds in galleries from 50 listings on, which are too small to tune on one by one.

    They do not rise as the gallery shrinks: what does is noise.
    """
    end = rule.for_gallery(rule.measured_from)
    found: dict[str, dict[int, float]] = {name: {} for name in rule.thresholds}
    for size in sorted((size for size in SMALL if size < rule.measured_from), reverse=True):
        pool = pools_of_products(label_group, size, seed)
        inside = subset(pairs, pool[pairs.query] == pool[pairs.match])
        for name, sizes in found.items():
            best = _threshold_there(inside, label_group, end, name)
            highest = min([end.thresholds[name], *sizes.values()])
            sizes[size] = max(best, highest) if rule.selection == "expected_f1" else min(best, highest)
    return found


def pools_of_products(label_group: Int64, size: int, seed: int) -> Int64:
    """(n,) number of the pool of each listing: whole products at random, about `size` listings a pool."""
    _, group, counts = np.unique(label_group, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(counts))
    pool = np.empty(len(counts), dtype=np.int64)
    pool[order] = (np.cumsum(counts[order]) - 1) // size
    return pool[group]


def within(pairs: CandidatePairs, kept: Bools) -> CandidatePairs:
    """Pairs among the `kept` (n,) listings, renumbered from 0."""
    number = np.cumsum(kept, dtype=np.int32) - 1
    both = kept[pairs.query] & kept[pairs.match]
    return CandidatePairs(
        number[pairs.query[both]],
        number[pairs.match[both]],
        {name: score[both] for name, score in pairs.scores.items()},
    )


def part_of(label_group: Int64, part: float, seed: int) -> Bools:
    """(n,) listings of a share of the products, drawn at random."""
    groups, group = np.unique(label_group, return_inverse=True)
    drawn = np.random.default_rng(seed).permutation(len(groups)) < round(part * len(groups))
    return np.asarray(drawn[group])


def _threshold_there(pairs: CandidatePairs, label_group: Int64, rule: MatchRule, name: str) -> float:
    """The best threshold of one experiment in this gallery: the mean of those within 0.001 of the best F1."""
    grid = _grid(pairs, rule, name, len(label_group))
    if not grid:
        return rule.thresholds[name]
    f1 = np.array(
        [
            row_f1(*select_matches(pairs, _moved(rule, name, value)), label_group).mean()
            for value in grid
        ]
    )  # fmt: skip
    return float(np.mean(np.array(grid)[f1 >= f1.max() - 0.001]))


def _grid(pairs: CandidatePairs, rule: MatchRule, name: str, rows: int) -> Sequence[float]:
    return LOG_ODDS if rule.selection == "expected_f1" else threshold_grid(pairs.scores[name], rows)


def _between(grid: Sequence[float], chosen: float) -> list[float]:
    """Thresholds on both sides of the chosen one, up to its neighbours in the grid."""
    ordered = sorted({*grid, chosen})
    place = ordered.index(chosen)
    ends = ordered[max(0, place - 1)], ordered[min(len(ordered) - 1, place + 1)]
    return [
        float(chosen + (end - chosen) * step / (FINE_STEPS + 1))
        for end in ends
        for step in range(1, FINE_STEPS + 1)
    ]


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
