"""Each branch's candidates against a plain computation, and data that say nothing."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from competitions.shopee_matching.competition import COMPETITION
from competitions.shopee_matching.experiment import ShopeeExperiment, Titles
from competitions.shopee_matching.hash_distance import hash_pairs, hash_score
from competitions.shopee_matching.information import (
    informative_titles,
    pictures_without_information,
    titles_without_information,
)
from competitions.shopee_matching.picture_neighbours import ensemble_nearest, nearest, picture_pairs
from competitions.shopee_matching.product_folds import product_folds
from competitions.shopee_matching.title_similarity import title_pairs
from competitions.shopee_matching.training_pictures import (
    TrainingPictures,
    copied,
    distinct_pictures,
    sobel_edges,
    variations,
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
    settings = Titles()
    pairs = title_pairs(titles, np.arange(6), settings, "t")
    vectors = TfidfVectorizer(binary=True, token_pattern=settings.word_pattern).fit_transform(titles)
    cosine = (vectors @ vectors.T).toarray()
    np.fill_diagonal(cosine, 0)
    query, match = np.nonzero(cosine >= settings.smallest_similarity)
    assert list(zip(pairs.query, pairs.match, strict=True)) == list(zip(query, match, strict=True))
    np.testing.assert_allclose(pairs.scores["t"], cosine[query, match], rtol=1e-5)


def test_titles_without_words_or_in_one_huge_group_give_nothing() -> None:
    assert len(title_pairs(["", "!!", "?"], np.arange(3), Titles(), "t")) == 0
    titles = ["grocery product"] * 60 + ["kopi bubuk"] * 2
    pairs = title_pairs(titles, np.arange(62), Titles(), "t")
    assert list(zip(pairs.query.tolist(), pairs.match.tolist(), strict=True)) == [(60, 61), (61, 60)]
    assert informative_titles(titles).sum() == 2
    assert "grocery product" in (titles_without_information(titles) or "")
    assert titles_without_information(["a", "b", "c"]) is None


def test_too_few_pictures_are_told() -> None:
    assert pictures_without_information(np.array([0, 1, -1]), "test") is None
    assert "1 of 3 test" in (pictures_without_information(np.array([0, -1, -1]), "test") or "")


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
    np.testing.assert_allclose(np.sort(scores, axis=None), np.mean(singles, axis=0), atol=1e-6)
    assert (rows != np.arange(30)[:, None]).all()
    assert (np.diff(scores, axis=1) <= 1e-6).all()


def test_listings_without_a_picture_neither_ask_nor_are_found() -> None:
    picture = np.array([0, -1, 1, 1, -1], dtype=np.int32)
    pairs = picture_pairs([units(2)], picture, np.arange(5), "p")
    assert set(pairs.query.tolist()) == {0, 2, 3}
    assert set(pairs.match.tolist()) == {0, 2, 3}
    assert pairs.scores["p"][(pairs.query == 2) & (pairs.match == 3)] == pytest.approx(1)
    assert len(picture_pairs([units(2)], np.full(3, -1, dtype=np.int32), np.arange(3), "p")) == 0


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


def test_distinct_pictures_have_one_class_each() -> None:
    rows, classes = distinct_pictures(np.array([3, 1, 3, -1, 2]), np.array([70, 80, 90, 70, 80]))
    assert rows.tolist() == [1, 2, 3]
    assert classes.tolist() == [1, 1, 0]


def test_copies_of_a_picture() -> None:
    picture = np.zeros((8, 8, 3), dtype=np.uint8)
    picture[:, 4:] = 200
    edges = sobel_edges(picture)
    assert edges.shape == picture.shape
    assert edges[4, 4].max() > 0
    assert edges[4, 0].max() == 0
    np.testing.assert_array_equal(copied(picture, "rotation")[:4], 200)


def test_training_pictures_stand_once_a_kind() -> None:
    random = np.random.default_rng(GENERATOR)
    pictures = random.integers(0, 256, size=(5, 32, 32, 3), dtype=np.uint8)
    rows, classes = np.array([0, 2, 4]), np.array([1, 0, 1])
    data = TrainingPictures(pictures, rows, classes, ["sobel", "rotation"], lambda image: {"image": image})
    assert len(data) == 9
    assert [data[index][1] for index in range(9)] == [1, 0, 1] * 3
    np.testing.assert_array_equal(data[1][0].numpy(), pictures[2])
    np.testing.assert_array_equal(data[4][0].numpy(), sobel_edges(pictures[2]))
    np.testing.assert_array_equal(data[7][0].numpy(), np.rot90(pictures[2]))
    assert variations(32)(image=pictures[0])["image"].shape == (32, 32, 3)


@pytest.mark.parametrize("profile", ["sample", "full"])
def test_every_experiment_parses_and_its_network_builds(profile: str) -> None:
    import tomllib

    import torch

    from competitions.shopee_matching.embedding_network import EmbeddingNetwork

    names = list(tomllib.loads(COMPETITION.experiments_file.read_text())["experiments"])
    assert {"champion", "phash", "tfidf", "nfnet_arcface"} <= set(names)
    built: set[str] = set()
    for name in names:
        experiment = COMPETITION.experiment(name, profile)  # type: ignore[arg-type]
        assert isinstance(experiment, ShopeeExperiment)
        assert experiment.about
        key = f"{experiment.pictures.network} {experiment.pictures.depths}"
        if experiment.branch != "pictures" or key in built:
            continue
        built.add(key)
        network = EmbeddingNetwork(experiment.pictures).eval()
        with torch.inference_mode():
            assert network(torch.zeros(1, 64, 64, 3, dtype=torch.uint8)).shape == (
                1,
                experiment.pictures.embedding,
            )


def test_paper_rows_carry_what_the_article_printed() -> None:
    reported = {
        name: COMPETITION.experiment(name, "full").reported
        for name in ("efficientnet", "efficientnet_arcface", "resnet", "nfnet", "nfnet_copies")
    }
    assert list(reported.values()) == [0.659, 0.735, 0.712, 0.876, 0.577]


@pytest.mark.parametrize("loss_name", ["arcface", "softmax"])
def test_one_training_step(tmp_path: Path, loss_name: Literal["arcface", "softmax"]) -> None:
    import torch

    from competitions.shopee_matching.embedding_network import EmbeddingNetwork, GroupClassifier
    from competitions.shopee_matching.experiment import Pictures

    settings = Pictures(size=32, depths=[1, 1, 1, 1], embedding=16, clip_factor=0.02, loss=loss_name)
    torch.manual_seed(0)
    module = GroupClassifier(
        EmbeddingNetwork(settings), settings, groups=3, steps=2, best=tmp_path / "best.safetensors"
    )
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    before = module.network.state_dict()["neck.0.weight"].clone()
    optimizer = module.configure_optimizers()["optimizer"]
    loss = module.training_step(
        [torch.randint(0, 255, (4, 32, 32, 3), dtype=torch.uint8), torch.tensor([0, 1, 2, 0])]
    )
    loss.backward()
    module.configure_gradient_clipping(optimizer)
    optimizer.step()
    assert torch.isfinite(loss)
    assert not torch.equal(before, module.network.state_dict()["neck.0.weight"])


def test_pretrained_weights_are_taken_or_named(tmp_path: Path) -> None:
    import torch

    from common.errors import InputError
    from common.weights import save_weights
    from competitions.shopee_matching.embedding_network import EmbeddingNetwork, initial_network
    from competitions.shopee_matching.experiment import Pictures

    settings = Pictures(size=32, depths=[1, 1, 1, 1], embedding=16, weights="imagenet")
    with pytest.raises(InputError, match="--weights"):
        initial_network(settings, None)
    with pytest.raises(InputError, match=r"eca_nfnet_l0\.safetensors"):
        initial_network(settings, tmp_path)
    weights = tmp_path / "eca_nfnet_l0.safetensors"
    save_weights(weights, {"conv.weight": torch.zeros(3)})
    with pytest.raises(InputError, match="tensors fit"):
        initial_network(settings, tmp_path)
    source = EmbeddingNetwork(settings)
    save_weights(weights, source.backbone.state_dict())
    started = initial_network(settings, tmp_path)
    for name, tensor in source.backbone.state_dict().items():
        assert torch.equal(started.backbone.state_dict()[name], tensor)
