"""Row F1 by hand, thresholds, at most 51 names, and rows that would stay alone."""

from pathlib import Path

import numpy as np
import pytest

from competitions.shopee_matching.candidate_pairs import (
    CandidatePairs,
    joined,
    no_pairs,
    read_pairs,
    sorted_pairs,
    write_pairs,
)
from competitions.shopee_matching.match_rule import MatchRule, select_matches, tune_rule
from competitions.shopee_matching.row_f1 import group_interval, row_f1


def pairs_of(*triples: tuple[int, int, float], name: str = "a") -> CandidatePairs:
    query, match, score = (np.array(column) for column in zip(*triples, strict=True))
    return sorted_pairs(query, match, score.astype(np.float32), name)


def rule_of(two: bool = False, **thresholds: float) -> MatchRule:
    return MatchRule(thresholds=thresholds, at_least_two=two, tuned=True, pool=0)


def chosen(pairs: CandidatePairs, rule: MatchRule) -> list[tuple[int, int]]:
    query, match = select_matches(pairs, rule)
    return list(zip(query.tolist(), match.tolist(), strict=True))


def test_row_f1_by_hand() -> None:
    groups = np.array([7, 7, 7, 9, 9])
    query = np.array([0, 0, 1, 3], dtype=np.int32)
    match = np.array([1, 3, 2, 4], dtype=np.int32)
    # Names right of named and wanted: 2 of 3 and 3, 2 of 2 and 3, 1 of 1 and 3, 2 of 2 and 2, 1 of 1 and 2.
    expected = [2 * 2 / 6, 2 * 2 / 5, 2 * 1 / 4, 1, 2 * 1 / 3]
    assert row_f1(query, match, groups) == pytest.approx(expected)


def test_interval_holds_the_mean_and_is_reproducible() -> None:
    groups = np.repeat(np.arange(40), 3)
    f1 = np.random.default_rng(0).random(120)
    low, high = group_interval(f1, groups, 1)
    assert low < f1.mean() < high
    assert (low, high) == group_interval(f1, groups, 1)


def test_threshold_is_inclusive_and_a_row_never_matches_itself() -> None:
    pairs = pairs_of((0, 1, 0.5), (0, 2, 0.49), (1, 0, 0.9))
    assert chosen(pairs, rule_of(a=0.5)) == [(0, 1), (1, 0)]


def test_lonely_rows_take_their_strongest_candidate() -> None:
    pairs = pairs_of((0, 1, 0.3), (0, 2, 0.4), (1, 2, 0.8))
    assert chosen(pairs, rule_of(two=True, a=0.7)) == [(0, 2), (1, 2)]


def test_at_most_fifty_others_the_strongest_first() -> None:
    pairs = pairs_of(*((0, other, other / 100) for other in range(1, 81)))
    matches = [match for _, match in chosen(pairs, rule_of(a=0.0))]
    assert matches == list(range(80, 30, -1))


def test_union_takes_what_any_branch_takes() -> None:
    union = joined(
        [pairs_of((0, 1, 0.9), (0, 2, 0.2)), pairs_of((0, 2, 0.8), (2, 0, 0.8), name="b"), no_pairs("c")]
    )
    assert set(union.scores) == {"a", "b", "c"}
    assert chosen(union, rule_of(a=0.5, b=0.5, c=0.1)) == [(0, 1), (0, 2), (2, 0)]
    assert chosen(union, rule_of(b=0.5)) == [(0, 2), (2, 0)]


def test_pairs_survive_their_file(tmp_path: Path) -> None:
    union = joined([pairs_of((0, 1, 0.9)), pairs_of((1, 0, 0.8), name="b")])
    write_pairs(tmp_path / "pairs.parquet", union)
    again = read_pairs(tmp_path / "pairs.parquet")
    assert again.query.tolist() == [0, 1]
    np.testing.assert_array_equal(again.scores["b"], union.scores["b"])


def test_tuning_finds_the_separating_threshold_and_drops_a_harmful_branch() -> None:
    groups = np.repeat(np.arange(20), 2)
    good = [(row, row ^ 1, 0.7) for row in range(40)] + [(row, (row + 2) % 40, 0.4) for row in range(40)]
    noise = [(row, (row + 4) % 40, 0.99) for row in range(40)]
    rule = tune_rule(
        joined([pairs_of(*good), pairs_of(*noise, name="noise")]), groups, {"a": 0.1, "noise": 0.5}, True
    )
    assert 0.4 < rule.thresholds["a"] <= 0.7 + 1e-6
    assert "noise" not in rule.thresholds
    assert rule.pool == 40


def test_tuning_without_any_candidate_names_only_oneself() -> None:
    rule = tune_rule(no_pairs("a"), np.repeat(np.arange(3), 2), {"a": 0.5}, True)
    assert rule.thresholds == {}
    assert chosen(no_pairs("a"), rule) == []
