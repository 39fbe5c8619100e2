"""Which candidates of one's own catalogue are matches: thresholds as measured on pools of many sizes.

The rule of the competition (`MatchRule`) knows that every official listing has a twin and that 51 names
count. A catalogue has listings without a twin and no limit, so nothing is forced here and no list is cut.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from common.learn.arrays import Bools, Float32, Float64, Floats, Int32, Int64
from common.run.experiments import Settings
from competitions.shopee_matching.candidates.pairs import CandidatePairs, restricted
from competitions.shopee_matching.decision.grouping import group_pairs
from competitions.shopee_matching.decision.match_rule import LEAST_SHARE, LOWEST, SLACK
from competitions.shopee_matching.models.attributes.titles import AttributeTable

SMALLEST_POOL = 50
"""Listings of the smallest pool that thresholds are measured on."""
ROWS_PER_SIZE, MAX_DRAWS = 1_000, 8
"""Pools of one size are drawn until they hold so many listings together."""
STEPS = 60
CLASH = "/contradict"
SINGLES = (0.1, 0.7)
"""Share of a drawn catalogue's products that keep one listing, drawn between these."""
FLAT = 0.006
"""Thresholds whose F1 is so near to the best count as the best; their mean is taken."""


class CatalogueRule(Settings):
    """Thresholds over the size of the catalogue."""

    sizes: list[int] = Field(default_factory=list)
    """Listings of the pools that were measured, ascending; empty where nothing was measured."""
    thresholds: dict[str, list[float]]
    """Experiment -> smallest score of a match at each size; one value where nothing was measured."""
    without_pictures: "CatalogueRule | None" = None
    """The rule for catalogues of titles alone, where it was measured apart."""

    def at(self, rows: int) -> dict[str, float]:
        """Thresholds for a catalogue of `rows` listings, interpolated; outside the sizes the nearest."""
        if not self.sizes:
            return {name: values[0] for name, values in self.thresholds.items()}
        place = np.log(max(rows, 1))
        known = np.log(self.sizes)
        return {name: float(np.interp(place, known, values)) for name, values in self.thresholds.items()}


@dataclass(frozen=True)
class Pool:
    """Scored candidates of a drawn catalogue whose products are known."""

    pairs: CandidatePairs
    same: Bools
    """(pairs,) one product."""
    counted: Bools
    """(pairs,) False for pairs that contradict each other: the rule drops them anyway."""
    group: Int64
    """(n,) product of each listing."""


def catalogue_rule(decision: dict[str, Any]) -> CatalogueRule:
    """The rule in a decision of the training stage; of an older one the thresholds of the competition."""
    if decision.get("catalogue"):
        return CatalogueRule.model_validate(decision["catalogue"])
    return CatalogueRule(
        thresholds={name: [max(value, LOWEST)] for name, value in decision["thresholds"].items()}
    )


def catalogue_margins(pairs: CandidatePairs, thresholds: dict[str, float]) -> Float64:
    """(pairs,) largest relative excess of a score over its threshold; -inf where none is known."""
    best = np.full(len(pairs), -np.inf)
    for experiment, threshold in thresholds.items():
        score = pairs.scores[experiment].astype(np.float64)
        np.fmax(best, (score - threshold) / (1 - threshold + SLACK), out=best)
    return best


@dataclass(frozen=True)
class CatalogueDecision:
    """Matches and groups of a catalogue."""

    query: Int32
    """(matches,) in both directions, sorted by query, best first."""
    match: Int32
    score: Float32
    group: Int32
    """(n,) product of each listing."""
    apart: int
    """Pairs alike enough to match that contradict each other."""


def decide(
    pairs: CandidatePairs,
    rule: CatalogueRule,
    rows: int,
    attributes: AttributeTable | None = None,
    pictures: bool = True,
) -> CatalogueDecision:
    """Matches above the threshold for a catalogue of `rows` listings, and groups without chains.

    Parameters
    ----------
    attributes : of the listings' titles; pairs that contradict each other are dropped.
    pictures : whether most listings have one.
    """
    if not pictures and rule.without_pictures is not None:
        rule = rule.without_pictures
    thresholds = rule.at(rows)
    margin = catalogue_margins(pairs, thresholds)
    near = np.flatnonzero(margin >= 0)
    apart = np.zeros(len(pairs), dtype=bool)
    if attributes is not None and len(near):
        apart[near] = attributes.contradict(pairs.query[near], pairs.match[near])
    query, match, _ = both_directions(pairs.query, pairs.match, margin, (margin >= 0) & ~apart)
    used = [pairs.scores[name] for name in thresholds] or [np.full(len(pairs), np.nan, dtype=np.float32)]
    with np.errstate(invalid="ignore"):
        best = np.fmax.reduce(used)
    back_query, back_match, back_score = both_directions(
        pairs.query, pairs.match, best, (margin >= 0) & ~apart
    )
    place = np.lexsort((back_match, back_query))
    wanted = np.searchsorted(_key(back_query[place], back_match[place]), _key(query, match))
    score = back_score[place][wanted].astype(np.float32) if len(query) else np.empty(0, dtype=np.float32)
    # Several experiments have scores of their own scales: their margins are put on one, threshold at 1/2.
    one = len(thresholds) == 1
    common = np.nan_to_num(best) if one else np.clip(0.5 + 0.5 * margin, 0, 1)
    threshold = next(iter(thresholds.values())) if one else 0.5
    contradict = attributes.contradict if attributes is not None else None
    group = group_pairs(rows, pairs.query, pairs.match, common, threshold, contradict)
    return CatalogueDecision(query, match, score, group, int(apart.sum()))


def both_directions(query: Int32, match: Int32, value: Floats, chosen: Bools) -> tuple[Int32, Int32, Float64]:
    """Chosen pairs in both directions with the higher of their two values; by query, highest value first."""
    one = np.concatenate([query[chosen], match[chosen]])
    other = np.concatenate([match[chosen], query[chosen]])
    both = np.tile(value[chosen].astype(np.float64), 2)
    order = np.lexsort((-both, other, one))
    one, other, both = one[order], other[order], both[order]
    if len(one):
        first = np.r_[True, (one[1:] != one[:-1]) | (other[1:] != other[:-1])]
        one, other, both = one[first], other[first], both[first]
    order = np.lexsort((other, -both, one))
    return one[order], other[order], both[order]


def _key(query: Int32, match: Int32) -> Int64:
    return (query.astype(np.int64) << 32) | match


def pool_sizes(rows: int) -> list[int]:
    """Sizes of the pools to measure: 50, doubled while it is below `rows`, and `rows` itself."""
    sizes = []
    size = SMALLEST_POOL
    while size < rows / np.sqrt(2):
        sizes.append(size)
        size *= 2
    return [*sizes, rows]


def draws_of(size: int) -> int:
    """How many pools of a size are drawn."""
    return int(np.clip(ROWS_PER_SIZE // max(size, 1), 1, MAX_DRAWS))


def drawn_rows(groups: Int64, rows: Int64, size: int, random: np.random.Generator) -> Int64:
    """Rows of a drawn catalogue of about `size` listings; some of its products keep one listing."""
    products, group = np.unique(groups[rows], return_inverse=True)
    order = random.permutation(len(products))
    single = np.zeros(len(products), dtype=bool)
    single[random.random(len(products)) < random.uniform(*SINGLES)] = True
    place = random.permutation(len(rows))
    _, first = np.unique(group[place], return_index=True)
    alone = np.zeros(len(rows), dtype=bool)
    alone[place[first]] = True
    usable = ~single[group] | alone
    # Whole products until the size is reached; a large fold gives what it has.
    counts = np.bincount(group[usable], minlength=len(products))[order]
    taken = np.zeros(len(products), dtype=bool)
    taken[order[: int(np.searchsorted(np.cumsum(counts), size)) + 1]] = True
    return rows[np.flatnonzero(usable & taken[group])]


def pools_of_pairs(
    pairs: CandidatePairs, titles: Sequence[str] | None, group: Int64, seed: int
) -> dict[int, list[Pool]]:
    """Drawn catalogues with the candidates of the labelled gallery, for scores that depend on no gallery."""
    random = np.random.default_rng(seed)
    rows = np.arange(len(group))
    clash = (
        AttributeTable(titles).contradict(pairs.query, pairs.match)
        if titles is not None
        else np.zeros(len(pairs), bool)
    )
    marked = CandidatePairs(pairs.query, pairs.match, pairs.scores | {CLASH: clash.astype(np.float32)})
    found: dict[int, list[Pool]] = {}
    for size in pool_sizes(len(rows)):
        for _ in range(draws_of(size)):
            kept = drawn_rows(group, rows, size, random)
            inside = restricted(marked, kept, len(rows))
            apart = inside.scores.pop(CLASH) > 0
            own = group[kept]
            found.setdefault(size, []).append(
                Pool(inside, own[inside.query] == own[inside.match], ~apart, own)
            )
    return found


def tune_catalogue_rule(pools: Mapping[int, Sequence[Pool]], start: dict[str, float]) -> CatalogueRule:
    """Thresholds of the highest F1 at each size; over the sizes they do not fall.

    A small pool of the labelled listings holds goods of all kinds, a small shop often goods of one kind. So
    no threshold is below half of that of the largest pools.

    Parameters
    ----------
    pools : size -> drawn catalogues of that size, with scores that did not see their products.
    start : experiments whose scores are used, with thresholds to begin with.
    """
    from sklearn.isotonic import IsotonicRegression

    merged: dict[int, list[Pool]] = {}
    for size, drawn in pools.items():
        merged.setdefault(_round_size(size), []).extend(drawn)
    pools = {size: drawn for size, drawn in merged.items() if drawn}
    sizes = sorted(pools)
    useful = {
        name: value
        for name, value in start.items()
        if any(np.isfinite(pool.pairs.scores[name]).any() for drawn in pools.values() for pool in drawn)
    }
    if not sizes or not useful:
        return CatalogueRule(thresholds={name: [max(value, LOWEST)] for name, value in start.items()})
    found: dict[str, list[float]] = {name: [] for name in useful}
    for size in sizes:
        chosen = dict(useful)
        for name in useful:
            chosen[name] = _best_threshold(pools[size], chosen, name)
        for name, value in chosen.items():
            found[name].append(value)
    logs = np.log(sizes)
    rising = {}
    for name, values in found.items():
        smooth = IsotonicRegression(y_min=LOWEST, y_max=1.0).fit(logs, values).predict(logs)
        rising[name] = [float(value) for value in np.maximum(smooth, LEAST_SHARE * smooth[-1])]
    return CatalogueRule(sizes=sizes, thresholds=rising)


def _round_size(size: int) -> int:
    """The nearest of 50, 100, 200, ...: folds of 198 and 202 listings are one size."""
    return int(SMALLEST_POOL * 2 ** round(np.log2(max(size, SMALLEST_POOL) / SMALLEST_POOL)))


def _best_threshold(pools: Sequence[Pool], thresholds: dict[str, float], name: str) -> float:
    """The threshold of `name` with the highest F1 of the pools, the others fixed; a flat top's mean."""
    others = {key: value for key, value in thresholds.items() if key != name}
    scores, same, weight, taken, wanted = [], [], [], 0.0, 0.0
    wrong_taken = 0.0
    for pool in pools:
        _, place, size = np.unique(pool.group, return_inverse=True, return_counts=True)
        twins = (size[place] - 1).astype(np.float64)
        wanted += float((twins > 0).sum())
        # The twins of a listing count 1 together, so that a large group does not decide alone.
        each = np.where(pool.same, 1 / np.maximum(twins[pool.pairs.query], 1), 1.0)
        by_others = catalogue_margins(pool.pairs, others) >= 0 if others else np.zeros(len(pool.same), bool)
        free = pool.counted & ~by_others
        taken += float(each[pool.counted & by_others & pool.same].sum())
        wrong_taken += float(each[pool.counted & by_others & ~pool.same].sum())
        wanted -= float(each[~pool.counted & pool.same].sum())
        scores.append(np.nan_to_num(pool.pairs.scores[name][free], nan=-1.0))
        same.append(pool.same[free])
        weight.append(each[free])
    score, is_same, weights = np.concatenate(scores), np.concatenate(same), np.concatenate(weight)
    order = np.argsort(-score, kind="stable")
    score, is_same, weights = score[order], is_same[order], weights[order]
    right = taken + np.cumsum(np.where(is_same, weights, 0))
    wrong = wrong_taken + np.cumsum(np.where(is_same, 0, weights))
    f1 = 2 * right / np.maximum(right + wrong + max(wanted, 1e-9), 1e-9)
    allowed = score >= LOWEST
    if not allowed.any():
        return thresholds[name]
    grid = np.linspace(LOWEST, float(score[allowed].max()), STEPS)
    # Pairs at or above each threshold of the grid.
    reached = np.searchsorted(-score, -grid, side="right")
    at_grid = np.where(reached > 0, f1[np.maximum(reached, 1) - 1], 0.0)
    return float(grid[at_grid >= at_grid.max() - FLAT].mean())
