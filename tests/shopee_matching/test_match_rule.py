"""Row F1 by hand, thresholds, at most 51 names, and rows that would stay alone."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.report.results_table import ResultRow, read_results, results_file
from common.run.experiments import experiment_names
from competitions.shopee_matching.candidates.pairs import (
    CandidatePairs,
    joined,
    no_pairs,
    read_pairs,
    sorted_pairs,
    write_pairs,
)
from competitions.shopee_matching.competition import COMPETITION
from competitions.shopee_matching.decision.expected_f1 import expected_f1_lists
from competitions.shopee_matching.decision.match_rule import MatchRule, select_matches, size_shares
from competitions.shopee_matching.decision.match_rule import rule_of as read_rule
from competitions.shopee_matching.decision.tuning import tune_rule, with_slopes
from competitions.shopee_matching.report.ablation import ROWS, ablation_table
from competitions.shopee_matching.rules.metric import group_interval, row_f1


def pairs_of(*triples: tuple[int, int, float], name: str = "a") -> CandidatePairs:
    query, match, score = (np.array(column) for column in zip(*triples, strict=True))
    return sorted_pairs(query, match, score.astype(np.float32), name)


def rule_of(two: bool = False, **thresholds: float) -> MatchRule:
    return MatchRule(thresholds=thresholds, min2=two, tuned=True, gallery_size=0)


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


def test_min2_gives_unmatched_rows_their_best_candidate() -> None:
    pairs = pairs_of((0, 1, 0.3), (0, 2, 0.4), (1, 2, 0.8))
    assert chosen(pairs, rule_of(two=True, a=0.7)) == [(0, 2), (1, 2)]


def test_at_most_fifty_others_the_strongest_first() -> None:
    pairs = pairs_of(*((0, other, other / 100) for other in range(1, 81)))
    matches = [match for _, match in chosen(pairs, rule_of(a=0.0))]
    assert matches == list(range(80, 30, -1))


def test_union_matches_what_any_retriever_matches() -> None:
    union = joined(
        [pairs_of((0, 1, 0.9), (0, 2, 0.2)), pairs_of((0, 2, 0.8), (2, 0, 0.8), name="b"), no_pairs("c")]
    )
    assert set(union.scores) == {"a", "b", "c"}
    assert chosen(union, rule_of(a=0.5, b=0.5, c=0.1)) == [(0, 1), (0, 2), (2, 0)]
    assert chosen(union, rule_of(b=0.5)) == [(0, 2), (2, 0)]


def test_pairs_are_read_as_written(tmp_path: Path) -> None:
    union = joined([pairs_of((0, 1, 0.9)), pairs_of((1, 0, 0.8), name="b")])
    write_pairs(tmp_path / "pairs.parquet", union)
    again = read_pairs(tmp_path / "pairs.parquet")
    assert again.query.tolist() == [0, 1]
    np.testing.assert_array_equal(again.scores["b"], union.scores["b"])


def test_tuning_finds_the_separating_threshold_and_drops_a_harmful_retriever() -> None:
    groups = np.repeat(np.arange(20), 2)
    good = [(row, row ^ 1, 0.7) for row in range(40)] + [(row, (row + 2) % 40, 0.4) for row in range(40)]
    noise = [(row, (row + 4) % 40, 0.99) for row in range(40)]
    rule = tune_rule(
        joined([pairs_of(*good), pairs_of(*noise, name="noise")]), groups, rule_of(a=0.1, noise=0.5), True
    )
    assert 0.4 < rule.thresholds["a"] <= 0.7 + 1e-6
    assert "noise" not in rule.thresholds
    assert rule.gallery_size == 40


def test_tuning_without_any_candidate_names_only_oneself() -> None:
    rule = tune_rule(no_pairs("a"), np.repeat(np.arange(3), 2), rule_of(a=0.5), True)
    assert rule.thresholds == {}
    assert chosen(no_pairs("a"), rule) == []


def test_thresholds_move_with_the_gallery() -> None:
    rule = MatchRule(
        thresholds={"a": 0.5}, min2=False, tuned=True, gallery_size=1000, gallery_slopes={"a": 0.1}
    )
    assert rule.for_gallery(1000).thresholds == {"a": 0.5}
    assert rule.for_gallery(368).thresholds["a"] == pytest.approx(0.4, abs=1e-3)
    pairs = pairs_of((0, 1, 0.45))
    assert chosen(pairs, rule) == []
    assert len(select_matches(pairs, rule, rows=368)[0]) == 1


def test_thresholds_stay_within_what_was_measured() -> None:
    rule = MatchRule(
        thresholds={"a": 0.4}, min2=False, tuned=True, gallery_size=17_000, gallery_slopes={"a": 0.15}
    )
    for rows in (1, 3, 48, 2_000, 17_000, 70_000, 10**7):
        assert 0 < rule.for_gallery(rows).thresholds["a"] <= 0.4
    assert rule.for_gallery(10**7).thresholds == rule.for_gallery(17_000).thresholds
    assert rule.for_gallery(3).thresholds == rule.for_gallery(17_000 // 8).thresholds
    steep = rule.model_copy(update={"gallery_slopes": {"a": 0.5}})
    assert steep.for_gallery(3).thresholds["a"] == pytest.approx(0.2)
    small = rule.model_copy(
        update={
            "gallery_slopes": {"a": 0.05},
            "measured_from": 2_100,
            "small_galleries": {"a": {50: 0.22, 400: 0.27}},
        }
    )
    at = {rows: small.for_gallery(rows).thresholds["a"] for rows in (3, 50, 100, 400, 2_100)}
    assert at[3] == at[50] == pytest.approx(0.22)
    assert at[50] < at[100] < at[400] < at[2_100]


def test_a_rule_of_an_earlier_version_is_read() -> None:
    decision = rule_of(a=0.5).model_dump() | {"labelled": True, "unavailable": {}}
    for new in ("measured_from", "small_galleries"):
        del decision[new]
    assert read_rule(decision).for_gallery(7).thresholds == {"a": 0.5}


def test_slope_is_found_where_false_candidates_grow_with_the_gallery() -> None:
    random = np.random.default_rng(0)
    rows = 1200
    groups = np.repeat(np.arange(rows // 2), 2)
    true = [(row, row ^ 1, score) for row, score in enumerate(random.normal(0.7, 0.12, rows).clip(0, 1))]
    false = {(int(a), int(b)) for a, b in random.integers(0, rows, (40 * rows, 2)) if a // 2 != b // 2}
    pairs = pairs_of(
        *true, *((a, b, float(np.clip(random.normal(0.2, 0.13), 0, 1))) for a, b in sorted(false))
    )
    tuned = tune_rule(pairs, groups, rule_of(a=0.5), try_min2=False)
    rule = with_slopes(pairs, groups, tuned, seed=1)
    assert 0 < rule.gallery_slopes["a"] < 0.1
    assert rule.measured_from >= 300
    assert sorted(rule.small_galleries["a"]) == [50, 100, 200]
    tiny, half = rule.for_gallery(60).thresholds["a"], rule.for_gallery(rows // 2).thresholds["a"]
    assert 0 < tiny <= half < rule.thresholds["a"]


def test_rows_get_the_lengths_of_training_groups() -> None:
    shares = size_shares(np.array([1, 1, 1, 1, 2, 2]))
    assert shares[:3] == pytest.approx([1, 4 / 6, 4 / 6])
    pairs = pairs_of(
        *((row, other, 0.1 * row + 0.01 * other) for row in range(6) for other in range(6) if row != other)
    )
    rule = MatchRule(thresholds={"a": 0.9}, min2=False, tuned=True, gallery_size=6, group_size_prior=shares)
    query, _ = select_matches(pairs, rule)
    assert sorted(np.bincount(query, minlength=6).tolist()) == [1, 1, 3, 3, 3, 3]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=8), st.booleans())
def test_expected_f1_takes_the_best_of_all_prefixes(probability: list[float], two: bool) -> None:
    pairs = pairs_of(*((0, other + 1, value) for other, value in enumerate(probability)))
    taken = expected_f1_lists(pairs, np.array(probability), two)
    ordered = np.sort(probability)[::-1]
    total = max(1.0, ordered.sum()) if two else ordered.sum()
    expected = [2 * (1 + ordered[:k].sum()) / (2 + k + total) for k in range(len(ordered) + 1)]
    least = 1 if two else 0
    assert expected[int(taken.sum())] == pytest.approx(max(expected[least:]))
    assert taken.sum() == len(probability) or min(np.array(probability)[taken], default=1) >= max(
        np.array(probability)[~taken]
    )


def test_max_matches_keeps_the_best_of_a_row() -> None:
    pairs = pairs_of((0, 1, 0.97), (0, 2, 0.96), (0, 3, 0.99), (1, 0, 0.97))
    rule = rule_of(a=0.95).model_copy(update={"max_matches": 2})
    assert chosen(pairs, rule) == [(0, 3), (0, 1), (1, 0)]


def test_ablation_shows_what_was_run_and_what_was_not() -> None:
    empty: dict[str, None] = dict.fromkeys(("oof_low", "oof_high", "test", "baseline_score"))
    row = ResultRow(
        experiment="tfidf", data="titles", profile="full", oof=0.7205, baseline="", seconds=1,
        peak_memory_mb=1, hardware="h", git_commit="c", date="2026-01-01", **empty,
    )  # fmt: skip
    table = ablation_table([row, row.model_copy(update={"data": "photos", "oof": 0.1})])
    (line,) = [line for line in table.splitlines() if line.startswith("| `tfidf` ")]
    assert line.endswith("| 0.7205 | 0.1000 |")
    assert "not run" in table
    assert set(ROWS) <= set(experiment_names(COMPETITION.experiments_file))


def test_the_readme_shows_the_ablation_of_the_kept_results() -> None:
    readme = (COMPETITION.folder / "README.md").read_text(encoding="utf-8")
    assert ablation_table(read_results(results_file(COMPETITION))) in readme
