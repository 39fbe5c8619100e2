"""Matches in one's own catalogue: measured thresholds, no forced twin, contradictions, drawn catalogues."""

from pathlib import Path

import numpy as np
import pytest

from competitions.shopee_matching.candidates.pairs import CandidatePairs, joined, no_pairs, sorted_pairs
from competitions.shopee_matching.data.training_titles import training_titles, write_training_titles
from competitions.shopee_matching.decision.catalogue_rule import (
    CatalogueRule,
    catalogue_rule,
    decide,
    drawn_rows,
    pool_sizes,
    pools_of_pairs,
    tune_catalogue_rule,
)
from competitions.shopee_matching.models.attributes.titles import AttributeTable
from competitions.shopee_matching.models.reranker.catalogue import directions, names_a_product


def pairs_of(*triples: tuple[int, int, float], name: str = "a") -> CandidatePairs:
    query, match, score = (np.array(column) for column in zip(*triples, strict=True))
    return sorted_pairs(query, match, score.astype(np.float32), name)


def matched(
    pairs: CandidatePairs, rule: CatalogueRule, rows: int, titles: list[str] | None = None
) -> set[tuple[int, int]]:
    found = decide(pairs, rule, rows, AttributeTable(titles) if titles is not None else None)
    return set(zip(found.query.tolist(), found.match.tolist(), strict=True))


def test_thresholds_are_interpolated_and_stay_within_the_measured_sizes() -> None:
    rule = CatalogueRule(sizes=[50, 200, 800], thresholds={"a": [0.2, 0.4, 0.5]})
    assert rule.at(2) == rule.at(50) == {"a": pytest.approx(0.2)}
    assert rule.at(100)["a"] == pytest.approx(0.3)
    assert rule.at(10**7) == {"a": pytest.approx(0.5)}
    assert CatalogueRule(thresholds={"a": [0.7]}).at(9) == {"a": 0.7}


def test_nobody_gets_a_twin_by_force_and_no_list_is_cut() -> None:
    rule = CatalogueRule(thresholds={"a": [0.5]})
    assert matched(pairs_of((0, 1, 0.49), (1, 0, 0.49)), rule, 2) == set()
    many = pairs_of(*((0, other, 0.9) for other in range(1, 91)))
    assert len(matched(many, rule, 91)) == 180


def test_matches_go_both_ways_best_first() -> None:
    pairs = pairs_of((0, 1, 0.6), (0, 2, 0.9), (1, 0, 0.8))
    found = decide(pairs, CatalogueRule(thresholds={"a": [0.5]}), 3)
    assert list(zip(found.query.tolist(), found.match.tolist(), strict=True)) == [
        (0, 2),
        (0, 1),
        (1, 0),
        (2, 0),
    ]
    assert found.score.tolist() == pytest.approx([0.9, 0.8, 0.8, 0.9])


def test_contradicting_titles_never_match() -> None:
    titles = ["Sirup jeruk 460 ml", "Sirup jeruk 460ml", "Sirup jeruk 920 ml"]
    pairs = pairs_of((0, 1, 0.9), (0, 2, 0.95), (1, 2, 0.95))
    rule = CatalogueRule(thresholds={"a": [0.5]})
    assert matched(pairs, rule, 3, titles) == {(0, 1), (1, 0)}
    found = decide(pairs, rule, 3, AttributeTable(titles))
    assert found.apart == 2
    assert found.group.tolist() == [0, 0, 1]


def test_several_experiments_have_their_own_thresholds() -> None:
    pairs = joined([pairs_of((0, 1, 0.6), (0, 2, 0.6)), pairs_of((0, 2, 0.95), name="b")])
    rule = CatalogueRule(thresholds={"a": [0.7], "b": [0.9]})
    assert matched(pairs, rule, 3) == {(0, 2), (2, 0)}
    assert decide(no_pairs("a"), CatalogueRule(thresholds={}), 2).group.tolist() == [0, 1]


def test_a_decision_of_an_earlier_version_keeps_its_thresholds_above_zero() -> None:
    assert catalogue_rule({"thresholds": {"a": 0.6}}).at(5) == {"a": 0.6}
    assert catalogue_rule({"thresholds": {"a": 0.0}}).at(5)["a"] > 0


def test_pools_from_fifty_listings_on() -> None:
    assert pool_sizes(17_112) == [50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 17_112]
    assert pool_sizes(30) == [30]
    groups = np.repeat(np.arange(400), 3)
    rows = drawn_rows(groups, np.arange(len(groups)), 100, np.random.default_rng(0))
    assert 95 <= len(rows) <= 105
    _, counts = np.unique(groups[rows], return_counts=True)
    assert (counts == 1).any()
    assert (counts == 3).any()


def test_the_tuned_threshold_separates_and_rises_with_the_catalogue() -> None:
    random = np.random.default_rng(0)
    rows = 1_600
    groups = np.repeat(np.arange(rows // 2), 2)
    true = [
        (row, row ^ 1, float(score)) for row, score in enumerate(random.normal(0.7, 0.1, rows).clip(0, 1))
    ]
    wrong = {(int(a), int(b)) for a, b in random.integers(0, rows, (30 * rows, 2)) if a // 2 != b // 2}
    pairs = pairs_of(*true, *((a, b, float(random.normal(0.25, 0.13))) for a, b in sorted(wrong)))
    rule = tune_catalogue_rule(pools_of_pairs(pairs, None, groups, 1), {"a": 0.5})
    values = rule.thresholds["a"]
    assert values == sorted(values)
    assert 0.3 < values[0] <= values[-1] < 0.75
    assert tune_catalogue_rule({}, {"a": 0.5}).at(9) == {"a": 0.5}


def test_titles_that_name_a_product() -> None:
    titles = ["kaos pria murah", "kaos pria promo", "kaos pria Velora"] + ["kaos pria murah promo"] * 97
    assert names_a_product(titles).tolist() == [False, False, True] + [False] * 97


def test_similarity_only_raises_and_contradiction_only_lowers() -> None:
    names = [
        "a: score",
        "a: rank for query",
        "a: gap to best of match",
        "hash distance",
        "attribute: volume",
        "sift/inliers",
    ]
    assert directions(names) == [1, -1, -1, -1, 1, 0]


def test_training_titles_are_read_as_written(tmp_path: Path) -> None:
    assert training_titles(tmp_path) == []
    write_training_titles(tmp_path / "training_titles.parquet", ["Kopi É", ""])
    assert training_titles(tmp_path) == ["Kopi É", ""]
