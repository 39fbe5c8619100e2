"""Catalogues drawn from labelled listings, and the reranker that learns from them."""

from pathlib import Path

import numpy as np
import pytest

from common.base.errors import InputError
from competitions.shopee_matching.candidates.base import Gallery, build_retriever
from competitions.shopee_matching.competition import COMPETITION
from competitions.shopee_matching.data.listings import Listings
from competitions.shopee_matching.experiment import RerankerSettings, ShopeeExperiment
from competitions.shopee_matching.models.reranker.catalogue import (
    CatalogueFeatures,
    CatalogueReranker,
    Drawn,
    Parent,
    drawn_catalogues,
    load_catalogue_reranker,
    pool_of,
    train_catalogue_booster,
)
from competitions.shopee_matching.sample.listing_titles import write_title
from competitions.shopee_matching.sample.synthetic_products import draw_product

PRODUCTS, SELLERS = 90, 3


@pytest.fixture(autouse=True)
def _one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("competitions.shopee_matching.models.reranker.catalogue.ROUNDS_OF_SMALL", 1)


def settings_of(name: str) -> ShopeeExperiment:
    found = COMPETITION.experiment(name, "sample")
    assert isinstance(found, ShopeeExperiment)
    return found


@pytest.fixture(scope="module")
def labelled() -> Listings:
    random = np.random.default_rng(0)
    products = [draw_product(random) for _ in range(PRODUCTS)]
    rows = PRODUCTS * SELLERS
    hashes = random.integers(0, 2**64, PRODUCTS, dtype=np.uint64)
    flips = np.uint64(1) << random.integers(0, 64, rows).astype(np.uint64)
    return Listings(
        posting_id=[f"x_{row}" for row in range(rows)],
        image=[f"{row}.jpg" for row in range(rows)],
        title=[write_title(products[row // SELLERS], random) for row in range(rows)],
        phash=hashes[np.arange(rows) // SELLERS] ^ flips,
        label_group=np.arange(rows) // SELLERS,
        fold=(np.arange(rows) // SELLERS % 2).astype(np.int16),
        image_row=np.full(rows, -1, dtype=np.int32),
    )


def drawn_of(listings: Listings, with_titles: bool, seed: int = 1) -> list[list[Drawn]]:
    parents = []
    for name in ("phash", "tfidf") if with_titles else ("phash",):
        retriever = build_retriever(settings_of(name))
        found = retriever.candidates(Gallery(listings, Path(), "train"), np.arange(len(listings)))
        parents.append(Parent(retriever, Path(), listings, found, available=True))
    champion = settings_of("champion_light")
    return [list(drawn_catalogues(champion, listings, fold, parents, with_titles, seed)) for fold in (0, 1)]


@pytest.mark.parametrize("with_titles", [True, False])
def test_catalogues_are_of_one_fold_and_hold_listings_without_a_twin(
    labelled: Listings, with_titles: bool
) -> None:
    drawn = drawn_of(labelled, with_titles)
    for fold, catalogues in enumerate(drawn):
        assert {each.with_pictures for each in catalogues} == ({True, False} if with_titles else {True})
        for each in catalogues:
            known = each.group[each.group >= 0]
            assert set((known % 2).tolist()) <= {fold}
            assert len(each.features.names()) == len(drawn[0][0].features.names())
        singles = [(np.unique(each.group, return_counts=True)[1] == 1).mean() for each in catalogues]
        assert 0.1 < np.mean(singles) < 0.95
    if with_titles:
        assert any((each.group < 0).any() for each in drawn[0]), "titles of other products are drawn"


def test_a_reranker_learns_from_them_and_contradictions_only_lower(labelled: Listings) -> None:
    first, second = drawn_of(labelled, True)
    settings = RerankerSettings(num_boost_round=40, num_leaves=15)
    booster = train_catalogue_booster(first, settings, PRODUCTS // 2, 3)
    assert booster is not None
    pools = [pool_of(each, "c", booster) for each in second]
    score = np.concatenate([pool.pairs.scores["c"] for pool in pools])
    same = np.concatenate([pool.same & pool.counted for pool in pools])
    assert score[same].mean() > 2 * score[~same].mean()
    again = train_catalogue_booster(drawn_of(labelled, True)[0], settings, PRODUCTS // 2, 3)
    assert again is not None
    assert again.model_to_string() == booster.model_to_string(), "the same seed gives the same trees"

    table = second[0].features.at(np.arange(len(second[0].features.pairs)))
    names = second[0].features.names()
    agree, contradict = table.copy(), table.copy()
    agree[:, names.index("attribute: volume")] = 1
    contradict[:, names.index("attribute: volume")] = -1
    assert (np.asarray(booster.predict(agree)) >= np.asarray(booster.predict(contradict)) - 1e-9).all()

    reranked = CatalogueReranker("c", [booster]).rerank(second[0].features)
    back = {
        (int(a), int(b)): float(value)
        for a, b, value in zip(reranked.query, reranked.match, reranked.scores["c"], strict=True)
    }
    assert all(back.get((b, a), value) == pytest.approx(value) for (a, b), value in back.items())


def test_words_of_a_pair_have_one_spelling(labelled: Listings) -> None:
    listings = Listings(
        **(
            {key: value[:2] for key, value in vars(labelled).items()}
            | {"title": ["Teh hijau 0,5 L kaleng", "teh HIJAU 500-ml kaleng"]}
        )
    )
    pairs = build_retriever(settings_of("tfidf")).candidates(Gallery(listings, Path(), "train"), np.arange(2))
    features = CatalogueFeatures(pairs, listings, True, labelled.title)
    row = features.at(np.array([0]))[0]
    assert row[features.names().index("words: share of both")] == pytest.approx(1)


def test_models_of_an_earlier_version_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="another version trained champion_light"):
        load_catalogue_reranker(settings_of("champion_light"), tmp_path)
    assert train_catalogue_booster([], RerankerSettings(), 3, 1) is None
