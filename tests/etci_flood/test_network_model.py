from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from competitions.etci_flood.data.tiles import TileArrays
from competitions.etci_flood.experiment import FloodExperiment, NetworkSettings, PredictionSettings, Tta
from competitions.etci_flood.models import network_model
from competitions.etci_flood.models.base import equal_weights, predict_tiles
from competitions.etci_flood.models.network_model import NetworkModel, compiled
from competitions.etci_flood.models.networks import build_network
from competitions.etci_flood.models.training import FloodTiles
from tests.etci_flood.small_arrays import random_arrays

SMALL = NetworkSettings(encoder="mobilenet_v2", decoder_channels=[16, 16, 8, 8, 8])


@pytest.fixture
def arrays() -> TileArrays:
    return random_arrays()


def settings(**changes: Any) -> FloodExperiment:
    return FloodExperiment(name="test", **changes)


class _DarkIsFlood(nn.Module):
    """Logit of a pixel from its VV alone, on which all TTA views agree."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return -inputs[:, :1]


@pytest.mark.parametrize("tta", ["none", "flips", "d4"])
@pytest.mark.parametrize("padding", [0, 32])
def test_tta_views_are_undone_and_padding_is_cut_off(arrays: TileArrays, tta: Tta, padding: int) -> None:
    prediction = PredictionSettings(tta=tta, context_padding=padding)
    model = NetworkModel(_DarkIsFlood(), settings(channels=["vv", "vh"], prediction=prediction), "cpu")
    maps = np.concatenate(list(predict_tiles(equal_weights([model]), arrays, np.arange(4), 3)))
    expected = 255 / (1 + np.exp((arrays.vv[:3] - 128.0) / 90))
    assert np.abs(maps[:3] - expected).max() <= 0.51
    assert not maps[3].any(), "an unreadable tile is predicted as no flood"


def test_per_scene_normalisation(arrays: TileArrays) -> None:
    model = NetworkModel(_DarkIsFlood(), settings(channels=["vv"], normalisation="scene"), "cpu")
    (maps,) = predict_tiles(equal_weights([model]), arrays, np.arange(1), 1)
    expected = 255 / (1 + np.exp((arrays.vv[:1] - 100.0) / 50))
    assert np.abs(maps - expected).max() <= 0.51
    inputs, _ = FloodTiles(arrays, np.arange(1), settings(channels=["vv"], normalisation="scene"))[0]
    assert np.allclose(inputs[0], (arrays.vv[0] - 100.0) / 50, atol=1e-5)


def test_a_compiled_model_maps_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    network = build_network(SMALL, ["vv", "vh"])
    own = settings(channels=["vv", "vh"], network=SMALL, prediction=PredictionSettings(tta="flips"))
    layers = np.random.default_rng(0).integers(0, 256, (3, 3, 64, 64), dtype=np.uint8)
    scale = np.ones((3, 2, 2), np.float32)
    plain = NetworkModel(network, own, "cpu")
    expected = plain.probability(layers, scale)
    assert not plain.compiled, "few tiles are not worth the seconds"
    monkeypatch.setattr(network_model, "TILES_BEFORE_COMPILING", 5)
    model = NetworkModel(network, own, "cpu")
    found = model.probability(layers, scale)
    assert list(model.compiled) == [(2, 64, 64)]
    assert np.abs(found - expected).max() < 1e-5


class _Unreadable(nn.Module):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.linalg.lu_factor(inputs)[0][:, :1]


def test_a_network_that_cannot_be_compiled_is_used_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert compiled(_Unreadable(), torch.randn(2, 3, 64, 64)) is None
    assert "not compiled, so slower" in capsys.readouterr().out
