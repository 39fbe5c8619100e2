"""Features of pairs against plain computations, quantities in titles, and both stages of the reranker."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from common.base.errors import InputError
from common.base.paths import WorkPaths
from common.learn.boosting import load_booster, save_booster
from common.run.run_record import read_record
from competitions.shopee_matching.candidates.handcrafted import fill_cosines
from competitions.shopee_matching.candidates.pairs import CandidatePairs, joined, sorted_pairs
from competitions.shopee_matching.data.listings import Listings
from competitions.shopee_matching.experiment import RerankerSettings
from competitions.shopee_matching.models.reranker.features import PairFeatures
from competitions.shopee_matching.models.reranker.gbdt import (
    SecondStageFeatures,
    probabilities,
    reverse_probability,
    symmetrised,
    train_reranker,
)

TITLES = ["kopi bubuk 200 gr", "Kopi bubuk 200gr", "kopi bubuk 1 kg", "teh celup isi 25", "teh celup", "kaos"]


def pool_of(titles: list[str]) -> Listings:
    rows = len(titles)
    return Listings(
        posting_id=[f"x_{row}" for row in range(rows)],
        image=[f"{row}.jpg" for row in range(rows)],
        title=titles,
        phash=np.arange(rows, dtype=np.uint64),
        label_group=np.full(rows, -1, dtype=np.int64),
        fold=np.full(rows, -1, dtype=np.int16),
        image_row=np.full(rows, -1, dtype=np.int32),
    )


def two_branches() -> CandidatePairs:
    a = sorted_pairs(
        np.array([0, 0, 1, 1, 2]), np.array([1, 2, 0, 2, 0]), np.array([0.9, 0.5, 0.9, 0.4, 0.5]), "a"
    )
    b = sorted_pairs(np.array([0, 3, 4]), np.array([1, 4, 3]), np.array([0.3, 0.8, 0.8]), "b")
    return joined([a, b])


def column(features: PairFeatures, name: str, query: int, match: int) -> float:
    pairs = features.pairs
    (place,) = np.flatnonzero((pairs.query == query) & (pairs.match == match))
    return float(features.at(np.array([place]))[0, features.names().index(name)])


def test_features_by_hand() -> None:
    features = PairFeatures(two_branches(), pool_of(TITLES), with_titles=True)
    assert column(features, "a: score", 0, 2) == pytest.approx(0.5)
    assert column(features, "a: rank for query", 0, 2) == 1
    assert column(features, "a: rank for match", 0, 2) == 0
    assert column(features, "a: rank for match", 1, 2) == 1
    assert column(features, "a: gap to best of query", 0, 2) == pytest.approx(0.4)
    assert np.isnan(column(features, "b: score", 0, 2))
    assert column(features, "hash distance", 1, 2) == 2
    assert column(features, "amounts", 0, 2) == -1
    assert column(features, "amounts", 0, 1) == 1
    assert column(features, "attributes that contradict", 0, 2) == 1
    assert column(features, "words: number in query", 0, 1) == 4
    assert (
        column(features, "all: neighbours shared", 0, 1)
        > column(features, "all: neighbours shared", 0, 2)
        > 0
    )
    assert column(features, "words: rarest only in match", 3, 4) == 0


def test_blocks_are_the_whole_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("competitions.shopee_matching.models.reranker.features.BLOCK_PAIRS", 2)
    features = PairFeatures(two_branches(), pool_of(TITLES), with_titles=True)
    whole = features.at(np.arange(len(features.pairs)))
    assert len(features.names()) == whole.shape[1]
    np.testing.assert_array_equal(np.concatenate([block for _, block in features.blocks()]), whole)


def test_titles_without_a_word_have_features() -> None:
    features = PairFeatures(two_branches(), pool_of(["", "!", "?", "", "", ""]), True)
    assert features.at(np.arange(len(features.pairs))).shape[1] == len(features.names())


def toy_features(seed: int) -> tuple[PairFeatures, np.ndarray]:
    """Pairs of which high scores are mostly of one product."""
    random = np.random.default_rng(seed)
    rows = 200
    query = np.repeat(np.arange(rows), 6)
    match = (query + np.tile(np.arange(1, 7), rows)) % rows
    same = (query // 4) == (match // 4)
    score = np.clip(np.where(same, 0.7, 0.4) + random.normal(0, 0.15, len(query)), 0, 1)
    pairs = sorted_pairs(query, match, score.astype(np.float32), "a")
    same = (pairs.query // 4) == (pairs.match // 4)
    return PairFeatures(pairs, pool_of([f"t{row}" for row in range(rows)]), False), same


def test_a_booster_learns_is_deterministic_and_is_read_as_written(tmp_path: Path) -> None:
    features, same = toy_features(1)
    places = np.arange(len(same))
    settings = RerankerSettings(num_boost_round=20, num_leaves=7, min_data_in_leaf=5)
    booster = train_reranker(features, places, same, settings, 3, 50)
    found = probabilities([booster], features)
    assert found[same].mean() > 0.5 > found[~same].mean()
    again = train_reranker(features, places, same, settings, 3, 50)
    np.testing.assert_array_equal(found, probabilities([again], features))
    save_booster(tmp_path / "trees.txt", booster)
    np.testing.assert_allclose(
        probabilities([load_booster(tmp_path / "trees.txt")], features), found, rtol=1e-6
    )
    look = SecondStageFeatures(features, found)
    second = train_reranker(look, places, same, settings, 3, 50)
    assert len(look.names()) == len(set(look.names())) > len(features.names())
    log_loss = [
        -np.log(np.where(same, np.clip(p, 1e-6, 1), np.clip(1 - p, 1e-6, 1))).mean()
        for p in (found, probabilities([second], look))
    ]
    assert log_loss[1] < log_loss[0]


def test_a_booster_needs_both_kinds_and_a_whole_file(tmp_path: Path) -> None:
    features, same = toy_features(1)
    with pytest.raises(InputError, match="no negative pairs"):
        train_reranker(
            features, np.arange(len(same)), np.ones(len(same), dtype=bool), RerankerSettings(), 1, 2
        )
    (tmp_path / "trees.txt").write_text("tree\nversion=v4\n")
    with pytest.raises(InputError, match="not a LightGBM model"):
        load_booster(tmp_path / "trees.txt")
    with pytest.raises(InputError, match="missing"):
        load_booster(tmp_path / "none.txt")


def test_boosters_of_other_features_are_refused() -> None:
    features, same = toy_features(1)
    settings = RerankerSettings(num_boost_round=5, num_leaves=7, min_data_in_leaf=5)
    booster = train_reranker(features, np.arange(len(same)), same, settings, 3, 50)
    pairs = CandidatePairs(
        features.pairs.query, features.pairs.match, features.pairs.scores | {"b": features.pairs.scores["a"]}
    )
    with pytest.raises(InputError, match="another version trained it"):
        probabilities([booster], PairFeatures(pairs, features.listings, False))


def test_probability_returned_is_that_of_the_reversed_pair() -> None:
    pairs = two_branches()
    probability = np.linspace(0.1, 0.9, len(pairs)).astype(np.float32)
    known = {
        (q, m): c for q, m, c in zip(pairs.query.tolist(), pairs.match.tolist(), probability, strict=True)
    }
    expected = [
        known.get((m, q), 0.0) for q, m in zip(pairs.query.tolist(), pairs.match.tolist(), strict=True)
    ]
    np.testing.assert_allclose(reverse_probability(pairs, probability), expected)
    agreed = [(c + r) / 2 if r else c for c, r in zip(probability, expected, strict=True)]
    np.testing.assert_allclose(symmetrised(pairs, probability), agreed, rtol=1e-6)


def test_similarities_are_computed_where_another_retriever_proposed_the_pair() -> None:
    pairs = two_branches()
    rows = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows[4] = 0
    full = fill_cosines(pairs, pairs.scores["b"], rows)
    for query, match, before, after in zip(pairs.query, pairs.match, pairs.scores["b"], full, strict=True):
        if np.isfinite(before):
            assert after == before
        else:
            assert after == pytest.approx(float(rows[query] @ rows[match]), abs=1e-6)


def test_fusion_beats_each_retriever_alone(trained: Callable[[str], WorkPaths]) -> None:
    paths = trained("shopee_matching")
    champion = read_record(paths.oof_record("champion"))
    alone = [
        read_record(paths.oof_record(parent)).metrics["oof_f1"] for parent in champion.experiment["parents"]
    ]
    assert champion.metrics["oof_f1"] > max(alone)
