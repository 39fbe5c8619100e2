"""Each retriever's candidates against a plain computation, and data that cannot be compared."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from competitions.shopee_matching.candidates import sparse_knn
from competitions.shopee_matching.candidates.embeddings import (
    blend_neighbours,
    by_image,
    concatenated_embeddings,
)
from competitions.shopee_matching.candidates.knn import (
    class_pairs,
    embedding_pairs,
    ensemble_nearest,
    nearest,
)
from competitions.shopee_matching.candidates.phash import hash_pairs, hash_score
from competitions.shopee_matching.candidates.sparse_knn import most_similar_rows
from competitions.shopee_matching.candidates.tfidf import title_pairs
from competitions.shopee_matching.competition import COMPETITION
from competitions.shopee_matching.data.availability import (
    images_unavailable,
    titles_available,
    titles_unavailable,
)
from competitions.shopee_matching.data.folds import product_folds
from competitions.shopee_matching.experiment import BlendingSettings, TfidfSettings
from competitions.shopee_matching.models.encoders.augmentation import (
    TrainingImages,
    augmented_copy,
    distinct_images,
    sobel_edges,
    train_transform,
)

GENERATOR = 3


def units(rows: int, length: int = 8) -> np.ndarray:
    vectors = np.random.default_rng(GENERATOR).normal(size=(rows, length)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_hash_pairs_are_all_pairs_within_the_radius() -> None:
    random = np.random.default_rng(GENERATOR)
    hashes = random.integers(0, 2**64, size=40, dtype=np.uint64)
    hashes[1] = hashes[0] ^ np.uint64(0b111)
    hashes[2] = hashes[0]
    pairs = hash_pairs(hashes, np.arange(40), 3, "h")
    expected = [
        (a, b)
        for a in range(40)
        for b in range(40)
        if a != b and bin(int(hashes[a]) ^ int(hashes[b])).count("1") <= 3
    ]
    assert list(zip(pairs.query.tolist(), pairs.match.tolist(), strict=True)) == expected
    assert pairs.scores["h"][expected.index((0, 1))] == hash_score(3)


def test_a_hash_that_hundreds_share_gives_fifty_candidates() -> None:
    pairs = hash_pairs(np.zeros(200, dtype=np.uint64), np.arange(200), 3, "h")
    assert np.bincount(pairs.query).tolist() == [50] * 200


def test_titles_by_the_plain_cosine() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    titles = ["kopi bubuk 200 gr", "Kopi Bubuk 200gr", "teh celup isi 25", "teh celup", "kaos pria XL", ""]
    settings = TfidfSettings()
    pairs = title_pairs(titles, np.arange(6), settings, "t")
    vectors = TfidfVectorizer(binary=True, token_pattern=settings.token_pattern).fit_transform(titles)
    cosine = (vectors @ vectors.T).toarray()
    np.fill_diagonal(cosine, 0)
    query, match = np.nonzero(cosine >= settings.min_similarity)
    assert list(zip(pairs.query, pairs.match, strict=True)) == list(zip(query, match, strict=True))
    np.testing.assert_allclose(pairs.scores["t"], cosine[query, match], rtol=1e-5)


@pytest.mark.parametrize("whole", [0, sparse_knn.MAX_DENSE_PRODUCT])
@pytest.mark.parametrize("queries", [np.arange(300), np.array([7, 3, 250])])
def test_most_similar_rows_are_those_of_the_whole_product(
    monkeypatch: pytest.MonkeyPatch, queries: np.ndarray, whole: int
) -> None:
    """Over several blocks of the pool, with full lists and one that is not, and with equal rows."""
    monkeypatch.setattr(sparse_knn, "BLOCK_COLUMNS", 70)
    monkeypatch.setattr(sparse_knn, "MAX_DENSE_PRODUCT", whole)
    random = np.random.default_rng(4)
    rows = (random.random((300, 40)) < 0.12) * random.random((300, 40))
    rows[:40] *= random.random((40, 40)) < 0.3
    rows[200:230] = rows[10]
    rows[:, 0], rows[3], rows[3, 0] = 0, 0, 1
    vectors = csr_matrix(rows, dtype=np.float32)
    query, row, score = most_similar_rows(vectors, queries, 9, 0.2, threads=2)
    product = (vectors[queries] @ vectors.T).toarray()
    passing = np.where(product >= 0.2, product, 0)
    best = np.sort(passing, axis=1)[:, ::-1][:, :9]
    np.testing.assert_array_equal(query, np.repeat(queries, (best > 0).sum(axis=1)))
    np.testing.assert_allclose(score, best[best > 0], rtol=1e-6)
    places = np.searchsorted(np.sort(queries), query)
    np.testing.assert_allclose(score, product[np.argsort(queries)[places], row], rtol=1e-6)
    assert len(set(zip(query.tolist(), row.tolist(), strict=True))) == len(query)
    assert (np.bincount(query) == 9).any()
    assert (np.bincount(query, minlength=300)[queries] < 9).any()


def test_titles_without_words_or_in_one_huge_group_give_nothing() -> None:
    assert len(title_pairs(["", "!!", "?"], np.arange(3), TfidfSettings(), "t")) == 0
    titles = ["grocery product"] * 60 + ["kopi bubuk"] * 2
    pairs = title_pairs(titles, np.arange(62), TfidfSettings(), "t")
    assert list(zip(pairs.query.tolist(), pairs.match.tolist(), strict=True)) == [(60, 61), (61, 60)]
    assert titles_available(titles).sum() == 2
    assert "grocery product" in (titles_unavailable(titles) or "")
    assert titles_unavailable(["a", "b", "c"]) is None


def test_too_few_images_are_reported() -> None:
    assert images_unavailable(np.array([0, 1, -1]), "test") is None
    assert "1 of 3 test" in (images_unavailable(np.array([0, -1, -1]), "test") or "")


@pytest.mark.parametrize("rows", [2, 3, 30, 120])
def test_nearest_is_the_plain_ranking(rows: int) -> None:
    vectors = units(rows)
    found, cosines = nearest(vectors, np.arange(rows))
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -2)
    expected = np.argsort(-similarity, axis=1, kind="stable")[:, : min(50, rows - 1)]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(cosines, np.take_along_axis(similarity, expected, 1), atol=1e-6)


def test_ensemble_keeps_the_scale_of_one_model() -> None:
    models = [units(30), units(30)[:, ::-1].copy(), units(30, 16)]
    rows, scores = ensemble_nearest(models, np.arange(30))
    singles = [np.sort(nearest(model, np.arange(30))[1], axis=None) for model in models]
    best = slice(-len(singles[0]) // 3, None)  # the scale is finest where matches are
    np.testing.assert_allclose(np.sort(scores, axis=None)[best], np.mean(singles, axis=0)[best], atol=0.02)
    assert (rows != np.arange(30)[:, None]).all()
    assert (np.diff(scores, axis=1) <= 1e-6).all()


def test_listings_without_a_picture_neither_ask_nor_are_found() -> None:
    picture = np.array([0, -1, 1, 1, -1], dtype=np.int32)
    pairs = embedding_pairs([by_image(units(2), picture)], np.arange(5), "p")
    assert set(pairs.query.tolist()) == {0, 2, 3}
    assert set(pairs.match.tolist()) == {0, 2, 3}
    assert pairs.scores["p"][(pairs.query == 2) & (pairs.match == 3)] == pytest.approx(1)
    nobody = by_image(units(2), np.full(3, -1, dtype=np.int32))
    assert len(embedding_pairs([nobody], np.arange(3), "p")) == 0


def test_a_row_with_more_twins_than_its_list_is_never_its_own_match() -> None:
    found, _ = nearest(np.full((70, 4), 0.5, dtype=np.float32), np.arange(70))
    assert found.shape == (70, 50)
    assert (found != np.arange(70)[:, None]).all()


def test_rows_of_one_predicted_class_match() -> None:
    classes = np.array([4, 7, 4, -1, 4, -1])
    pairs = class_pairs(classes, units(6), np.array([0, 1, 2, 3]), "c")
    assert list(zip(pairs.query.tolist(), pairs.match.tolist(), strict=True)) == [
        (0, 2),
        (0, 4),
        (2, 0),
        (2, 4),
    ]
    assert (pairs.scores["c"] >= 0).all()


def test_blending_moves_neighbours_together_and_leaves_strangers_alone() -> None:
    near = np.array([[1, 0, 0], [0.9, np.sqrt(1 - 0.81), 0], [0, 0, 1]], dtype=np.float32)
    moved = blend_neighbours(near, BlendingSettings(rounds=1, k=1, min_similarity=0.5))
    assert moved[0] @ moved[1] > 0.99
    np.testing.assert_allclose(moved[2], near[2])
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(blend_neighbours(near, BlendingSettings()), near)


def test_concatenated_cosines_are_the_mean_of_the_parts() -> None:
    one, other = units(6), units(6, 5)
    (both,) = concatenated_embeddings([[one], [other]], BlendingSettings())
    np.testing.assert_allclose(both @ both.T, (one @ one.T + other @ other.T) / 2, atol=1e-6)


def test_folds_keep_products_and_shared_pictures_together() -> None:
    random = np.random.default_rng(GENERATOR)
    groups = random.integers(0, 60, size=200)
    images = [f"{number}.jpg" for number in range(200)]
    images[10], images[50] = images[20], images[90]  # pictures under two labels
    folds = product_folds(groups, images, 3, 1)
    assert set(folds.tolist()) == {0, 1, 2}
    for key in (groups, np.array(images)):
        for value in np.unique(key):
            assert len(set(folds[key == value].tolist())) == 1


def test_distinct_images_have_one_class_each() -> None:
    rows, classes = distinct_images(np.array([3, 1, 3, -1, 2]), np.array([70, 80, 90, 70, 80]))
    assert rows.tolist() == [1, 2, 3]
    assert classes.tolist() == [1, 1, 0]


def test_augmented_of_a_picture() -> None:
    picture = np.zeros((8, 8, 3), dtype=np.uint8)
    picture[:, 4:] = 200
    edges = sobel_edges(picture)
    assert edges.shape == picture.shape
    assert edges[4, 4].max() > 0
    assert edges[4, 0].max() == 0
    np.testing.assert_array_equal(augmented_copy(picture, "rotation")[:4], 200)


def test_training_images_are_originals_then_copies() -> None:
    random = np.random.default_rng(GENERATOR)
    pictures = random.integers(0, 256, size=(5, 32, 32, 3), dtype=np.uint8)
    rows, classes = np.array([0, 2, 4]), np.array([1, 0, 1])
    data = TrainingImages(pictures, rows, classes, ["sobel", "rotation"], lambda image: {"image": image})
    assert len(data) == 9
    assert [data[index][1] for index in range(9)] == [1, 0, 1] * 3
    np.testing.assert_array_equal(data[1][0].numpy(), pictures[2])
    np.testing.assert_array_equal(data[4][0].numpy(), sobel_edges(pictures[2]))
    np.testing.assert_array_equal(data[7][0].numpy(), np.rot90(pictures[2]))
    assert train_transform(32)(image=pictures[0])["image"].shape == (32, 32, 3)


def test_paper_rows_carry_what_the_article_printed() -> None:
    reported = {
        name: COMPETITION.experiment(name, "full").reported
        for name in (
            "bert",
            "efficientnet",
            "efficientnet_arcface",
            "resnet",
            "nfnet",
            "nfnet_augmented_in_sample",
        )
    }
    assert list(reported.values()) == [0.466, 0.659, 0.735, 0.712, 0.876, 0.577]
