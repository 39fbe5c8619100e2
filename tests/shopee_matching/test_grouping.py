"""Groups of one product: no chains, contradictions stay apart, doubtful pairs of a group count on average."""

import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from competitions.shopee_matching.decision.grouping import group_pairs


def groups_of(listings: int, *triples: tuple[int, int, float], threshold: float = 0.5) -> list[int]:
    query, match, score = (np.array(column) for column in zip(*triples, strict=True))
    return group_pairs(listings, query.astype(np.int32), match.astype(np.int32), score, threshold).tolist()


def test_pairs_above_the_threshold_share_a_group() -> None:
    assert groups_of(4, (0, 2, 0.9), (1, 3, 0.4)) == [0, 1, 0, 2]


def test_a_chain_of_matches_is_no_group() -> None:
    length = 40
    chain = [(row, row + 1, 0.6) for row in range(length - 1)]
    group = groups_of(length, *chain)
    assert np.bincount(group).max() <= 3
    assert len(set(group)) >= length // 3


def test_listings_that_match_on_average_are_one_group() -> None:
    full = [(a, b, 0.8) for a in range(5) for b in range(a + 1, 5)]
    assert set(groups_of(5, *full)) == {0}
    # One pair of five listings is doubtful, the other nine are sure.
    assert set(groups_of(5, *(full[1:]), (0, 1, 0.3))) == {0}


def test_of_two_directions_the_mean_counts() -> None:
    assert groups_of(2, (0, 1, 0.9), (1, 0, 0.05)) == [0, 1]
    assert groups_of(2, (0, 1, 0.9), (1, 0, 0.3)) == [0, 0]


def test_contradicting_listings_never_share_a_group() -> None:
    """Two shirts of known colour and one of unknown: the unknown one joins the likelier of the two."""
    query, match = np.array([0, 1, 0], np.int32), np.array([2, 2, 1], np.int32)
    score = np.array([0.9, 0.8, 0.95])

    def contradict(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.asarray((np.minimum(one, other) == 0) & (np.maximum(one, other) == 1))

    group = group_pairs(3, query, match, score, 0.5, contradict)
    assert group[0] == group[2] != group[1]
    # The contradiction counts as well where the two are no candidates of each other.
    group = group_pairs(3, query[:2], match[:2], score[:2], 0.3, contradict)
    assert group[0] != group[1]


def test_nothing_to_group() -> None:
    empty = np.empty(0, dtype=np.int32)
    assert group_pairs(3, empty, empty, np.empty(0), 0.5).tolist() == [0, 1, 2]
    assert group_pairs(0, empty, empty, np.empty(0), 0.5).tolist() == []


def test_a_hundred_thousand_listings_take_seconds() -> None:
    random = np.random.default_rng(0)
    rows = 100_000
    query = np.repeat(np.arange(rows), 5)
    match = (query + random.integers(1, 5, len(query))) % rows
    same = query // 4 == match // 4
    score = np.where(same, random.uniform(0.5, 1, len(query)), random.uniform(0, 0.55, len(query)))
    start = time.perf_counter()
    group = group_pairs(rows, query.astype(np.int32), match.astype(np.int32), score, 0.5)
    assert time.perf_counter() - start < 60
    assert np.bincount(group).max() < 20


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.floats(0, 1)), max_size=40),
    st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=6),
)
def test_any_pairs_and_any_contradictions(
    triples: list[tuple[int, int, float]], apart: set[tuple[int, int]]
) -> None:
    def contradict(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        found = [
            a != b and ((a, b) in apart or (b, a) in apart)
            for a, b in zip(one.tolist(), other.tolist(), strict=True)
        ]
        return np.array(found, dtype=bool)

    query, match, score = ([triple[place] for triple in triples] for place in range(3))
    group = group_pairs(
        10, np.array(query, np.int32), np.array(match, np.int32), np.array(score, float), 0.4, contradict
    )
    assert group[0] == 0
    assert sorted(set(group.tolist())) == list(range(int(group.max()) + 1))
    assert all(group[a] != group[b] for a, b in apart if a != b)
