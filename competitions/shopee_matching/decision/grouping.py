"""Groups of one product from scored pairs, without chains: average link with pairs that must stay apart.

Connected components join everything that a chain of matches connects. Here two groups join only where their
listings match on average, a pair that is no candidate counting 0, and never where two of them contradict each
other. Kept as a sparse graph of groups and a heap, so that 100,000 listings take seconds.
"""

import heapq
from collections.abc import Callable

import numpy as np

from common.learn.arrays import Bools, Floats, Int32, Int64, Integers

Contradict = Callable[[Int32, Int32], Bools]
"""(pairs,) whether two listings can be no one product, from their rows."""
JOIN_SHARE = 0.5
"""Groups join down to this share of the threshold of a pair: a group of three may have one doubtful pair."""
ROUNDS = 6
"""Contradictions that only show within a group are looked for so many times at most."""
MAX_CHECKED = 400
"""Listings of a group that are compared with each other; of a larger group the first ones."""


def group_pairs(
    listings: int,
    query: Int32,
    match: Int32,
    score: Floats,
    threshold: float,
    contradict: Contradict | None = None,
) -> Int32:
    """(listings,) group of each listing, numbered by first listing.

    Parameters
    ----------
    query, match : (pairs,) rows of all candidate pairs, in one direction or both.
    score : (pairs,) above 0, the higher the likelier; of the two directions the mean counts.
    threshold : smallest score of a match.
    contradict : pairs that never share a group.
    """
    one, other = np.minimum(query, match).astype(np.int64), np.maximum(query, match).astype(np.int64)
    key, back, counts = np.unique(one * listings + other, return_inverse=True, return_counts=True)
    mean = np.bincount(back, weights=np.nan_to_num(score), minlength=len(key)) / np.maximum(counts, 1)
    left, right = np.divmod(key, max(listings, 1))
    kept = (left != right) & (mean >= threshold * JOIN_SHARE)
    left, right, mean = left[kept], right[kept], mean[kept]
    # Components of likely pairs are independent of each other.
    apart = np.zeros(len(left), dtype=bool)
    if contradict is not None and len(left):
        apart = contradict(left.astype(np.int32), right.astype(np.int32))
    forbidden = left[apart], right[apart]
    for _ in range(ROUNDS):
        group = _average_link(listings, left, right, mean, threshold * JOIN_SHARE, threshold, forbidden)
        if contradict is None:
            break
        inside = _pairs_within(group)
        clash = (
            contradict(inside[0].astype(np.int32), inside[1].astype(np.int32))
            if len(inside[0])
            else np.zeros(0, bool)
        )
        if not clash.any():
            break
        forbidden = (
            np.concatenate([forbidden[0], inside[0][clash]]),
            np.concatenate([forbidden[1], inside[1][clash]]),
        )
    return group


def _average_link(
    listings: int,
    left: Int64,
    right: Int64,
    score: Floats,
    lowest: float,
    threshold: float,
    forbidden: tuple[Int64, Int64],
) -> Int32:
    """Join the two groups of the highest mean score again and again, while it is at least `lowest`.

    Two single listings need `threshold`.
    """
    parent = np.arange(listings, dtype=np.int64).tolist()
    size = [1] * listings
    links: list[dict[int, float]] = [{} for _ in range(listings)]
    for a, b, value in zip(left.tolist(), right.tolist(), score.tolist(), strict=True):
        links[a][b] = links[b][a] = value
    never: dict[int, set[int]] = {}
    for a, b in zip(forbidden[0].tolist(), forbidden[1].tolist(), strict=True):
        never.setdefault(a, set()).add(b)
        never.setdefault(b, set()).add(a)
    heap = [
        (-value, a, b, 1, 1)
        for a, b, value in zip(left.tolist(), right.tolist(), score.tolist(), strict=True)
        if value >= threshold
    ]
    heapq.heapify(heap)
    while heap:
        _, a, b, size_a, size_b = heapq.heappop(heap)
        if parent[a] != a or parent[b] != b or size[a] != size_a or size[b] != size_b:
            continue  # one of the two has grown since
        if b in never.get(a, ()):
            continue
        if len(links[a]) < len(links[b]):
            a, b = b, a
        parent[b] = a
        size[a] += size[b]
        mine, theirs = links[a], links[b]
        mine.pop(b, None)
        theirs.pop(a, None)
        for third, total in theirs.items():
            links[third].pop(b, None)
            mine[third] = links[third][a] = mine.get(third, 0.0) + total
        links[b] = {}
        for third in never.pop(b, ()):
            never[third].discard(b)
            never[third].add(a)
            never.setdefault(a, set()).add(third)
        for third, total in mine.items():
            mean = total / (size[a] * size[third])
            if mean >= lowest and third not in never.get(a, ()):
                heapq.heappush(heap, (-mean, a, third, size[a], size[third]))
    return _numbered(parent)


def _numbered(parent: list[int]) -> Int32:
    """Groups from parents, numbered in the order of their first listings."""
    number: dict[int, int] = {}
    group = np.empty(len(parent), dtype=np.int32)
    for row in range(len(parent)):
        root = row
        while parent[root] != root:
            parent[root] = parent[parent[root]]
            root = parent[root]
        group[row] = number.setdefault(root, len(number))
    return group


def _pairs_within(group: Int32) -> tuple[Int64, Int64]:
    """Rows of all pairs of one group."""
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    ends = np.r_[starts[1:], len(group)]
    one: list[Integers] = [np.empty(0, dtype=np.int64)]
    other: list[Integers] = [np.empty(0, dtype=np.int64)]
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if end - start < 2:
            continue
        rows = order[start : min(end, start + MAX_CHECKED)]
        first, second = np.triu_indices(len(rows), 1)
        one.append(rows[first])
        other.append(rows[second])
    return np.concatenate(one), np.concatenate(other)
