import numpy as np
import pytest
import torch
from torch import nn

from competitions.etci_flood.experiment import FloodExperiment, NetworkSettings, PredictionSettings
from competitions.etci_flood.models import network_model
from competitions.etci_flood.models.network_model import NetworkModel
from competitions.etci_flood.models.networks import build_network
from competitions.etci_flood.models.openvino import compiled

SMALL = NetworkSettings(encoder="mobilenet_v2", decoder_channels=[16, 16, 8, 8, 8])


def test_a_compiled_model_maps_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    network = build_network(SMALL, "vv_vh")
    settings = FloodExperiment(
        name="test", channels="vv_vh", network=SMALL, prediction=PredictionSettings(views="flips")
    )
    layers = np.random.default_rng(0).integers(0, 256, (3, 3, 64, 64), dtype=np.uint8)
    scale = np.ones((3, 2, 2), np.float32)
    plain = NetworkModel(network, settings, "cpu")
    expected = plain.probability(layers, scale)
    assert not plain.compiled, "few tiles are not worth the seconds"
    monkeypatch.setattr(network_model, "VIEWS_BEFORE_COMPILING", 5)
    model = NetworkModel(network, settings, "cpu")
    found = model.probability(layers, scale)
    assert list(model.compiled) == [(2, 64, 64)]
    assert np.abs(found - expected).max() < 1e-5


class _Unreadable(nn.Module):
    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        return torch.linalg.lu_factor(seen)[0][:, :1]


def test_what_cannot_be_compiled_is_told_and_left(capsys: pytest.CaptureFixture[str]) -> None:
    assert compiled(_Unreadable(), torch.randn(2, 3, 64, 64)) is None
    assert "not compiled, so slower" in capsys.readouterr().out
