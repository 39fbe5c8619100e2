from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from common.base.errors import InputError
from common.files.weights import save_weights
from common.run.experiments import experiment_names
from competitions.etci_flood.competition import COMPETITION
from competitions.etci_flood.data.channels import channel_names
from competitions.etci_flood.data.tiles import TileArrays
from competitions.etci_flood.experiment import (
    PAN_SIDE,
    Decoder,
    FloodExperiment,
    Loss,
    NetworkSettings,
    PredictionSettings,
    TrainingSettings,
)
from competitions.etci_flood.models.base import equal_shares, predicted_maps
from competitions.etci_flood.models.losses import FloodLoss
from competitions.etci_flood.models.network_model import NetworkModel
from competitions.etci_flood.models.networks import build_network
from competitions.etci_flood.models.training import (
    FloodTiles,
    FloodTraining,
    draw_chances,
    settle_batch_statistics,
    settling_loader,
    tile_changes,
    training_loader,
)

NAMES = experiment_names(COMPETITION.experiments_file)


def experiment(name: str) -> FloodExperiment:
    loaded = COMPETITION.experiment(name, "full")
    assert isinstance(loaded, FloodExperiment)
    return loaded


@pytest.fixture
def arrays() -> TileArrays:
    rng = np.random.default_rng(0)
    layers = rng.integers(0, 256, (2, 4, 256, 256), dtype=np.uint8)
    flood = (layers[0] < 60).astype(np.uint8)
    tiles = pd.DataFrame(
        {
            "scene": "a",
            "x": range(4),
            "y": 0,
            "labelled": [True, True, False, False],
            "readable": [True, True, True, False],
            "blank": False,
            "has_flood": True,
            "vv_centre": 100.0,
            "vv_spread": 50.0,
            "vh_centre": 120.0,
            "vh_spread": 60.0,
        }
    )
    return TileArrays(tiles, layers[0], layers[1], flood, flood)


def settings(**changes: Any) -> FloodExperiment:
    return FloodExperiment(name="test", about="", **changes)


def encoder_of(network: nn.Module) -> nn.Module:
    return network.get_submodule("encoder")


def test_all_rows_of_the_table_are_there() -> None:
    rows = {experiment(name).paper for name in NAMES} - {None}
    assert rows == {f"Table 2, row {row}" for row in range(1, 12)}


def test_every_network_takes_a_training_step() -> None:
    """Once for each different network, loss and set of channels of experiments.toml."""
    different: dict[str, FloodExperiment] = {}
    for own in (experiment(name) for name in NAMES):
        untrained = own.network.model_copy(update={"pretrained": False})
        key = f"{untrained.model_dump_json()} {own.channels} {own.training.loss}"
        if own.model == "network":
            different[key] = own.model_copy(update={"network": untrained})
    assert {own.network.decoder for own in different.values()} == set(get_args(Decoder))
    for own in different.values():
        number = len(channel_names(own.channels))
        network = build_network(own.network, own.channels).train()
        side = PAN_SIDE if own.network.decoder == "pan" else 64
        seen = torch.randn(2, number, side, side)
        logits = network(seen)
        assert logits.shape == (2, 1, side, side)
        FloodTraining(network, own.training).loss(logits, (seen[:, :1] < 0).float()).backward()
        before = next(network.parameters()).detach().clone()
        torch.optim.SGD(network.parameters(), 1.0).step()
        assert not torch.equal(before, next(network.parameters())), own.name


def test_pan_refuses_crops_below_its_pyramid() -> None:
    with pytest.raises(ValueError, match=r"training\.crop"):
        FloodExperiment(
            name="pan",
            network=NetworkSettings(decoder="pan", encoder="mobilenet_v2"),
            training=TrainingSettings(crop=64),
        )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "mixture", "parents": ["a"]}, "at least two"),
        ({"parents": ["a"]}, "one where training.pseudo_labels"),
        ({"training": TrainingSettings(pseudo_labels=True)}, "one where training.pseudo_labels"),
        ({"model": "pixels", "parents": ["a", "b"]}, "else none"),
    ],
)
def test_parents_that_nothing_is_done_with_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        settings(**changes)


@pytest.mark.parametrize("name", [name for name in NAMES if "imagenet" in name])
def test_pretrained_networks_name_the_flag(name: str) -> None:
    own = experiment(name)
    with pytest.raises(InputError, match="--weights"):
        build_network(own.network, own.channels)


def test_on_the_sample_data_no_experiment_asks_for_weights() -> None:
    for name in NAMES:
        own = COMPETITION.experiment(name, "sample")
        assert isinstance(own, FloodExperiment)
        assert not own.network.pretrained


def test_pretrained_weights_reach_the_encoder_whatever_the_channels(tmp_path: Path) -> None:
    own = experiment("pan_mobilenet_v2_imagenet")
    plain = own.network.model_copy(update={"pretrained": False})
    donor = encoder_of(build_network(plain, "vv_vh_ratio")).state_dict()
    save_weights(tmp_path / "mobilenet_v2.safetensors", donor)
    network = build_network(own.network, "vv_vh_ratio_water", tmp_path)
    ours = encoder_of(network).state_dict()
    first = next(name for name, tensor in donor.items() if tensor.ndim == 4)
    assert ours[first].shape[1] == 4
    assert all(torch.equal(tensor, ours[name]) for name, tensor in donor.items() if name != first)
    save_weights(tmp_path / "mobilenet_v2.safetensors", {"fc.weight": torch.zeros(1)})
    with pytest.raises(InputError, match="not the weights of a mobilenet_v2"):
        build_network(own.network, "vv_vh_ratio", tmp_path)


def test_tile_and_mask_are_changed_alike(arrays: TileArrays) -> None:
    changes = tile_changes(TrainingSettings(crop=128))
    changes.set_random_seed(1)
    tiles = FloodTiles(arrays, np.arange(4), settings(channels="vv_vh_water"), changes)
    whole = arrays.flood[0].astype(np.float32)
    for _ in range(8):
        seen, flood = tiles[0]
        assert seen.shape == (3, 128, 128)
        assert torch.equal(seen[2], flood[0]), "the water mask equals the label here, and must stay so"
        assert not np.array_equal(flood[0].numpy(), whole[:128, :128])


def test_batch_statistics_are_never_settled_on_a_single_tile(arrays: TileArrays) -> None:
    loader = settling_loader(arrays, np.array([0, 1, 2, 3, 0, 1, 2, 3, 0]), settings(training={"crop": 64}))
    assert [len(seen) for seen, _ in loader] == [8]


def test_balanced_draws() -> None:
    has_flood = np.array([True, False, False, False])
    chances = draw_chances(has_flood, 0.5)
    assert chances is not None
    assert chances.tolist() == pytest.approx([1 / 2, 1 / 6, 1 / 6, 1 / 6])
    assert draw_chances(np.array([True, True]), 0.5) is None


def test_a_single_left_over_tile_is_dropped(arrays: TileArrays) -> None:
    own = settings(channels="vv_vh", training=TrainingSettings(batch=3, crop=64))
    loader = training_loader(arrays, np.arange(4), own, seed=1)
    assert [len(seen) for seen, _ in loader] == [3]


@pytest.mark.parametrize("loss", get_args(Loss))
def test_every_loss_prefers_what_is_right(loss: Loss) -> None:
    flood = torch.tensor([[[[0.0, 1.0]]]])
    right, unsure, wrong = (FloodLoss(loss)(scale * (2 * flood - 1), flood) for scale in (8.0, 0.0, -8.0))
    assert right < unsure < wrong
    assert right < 0.01


def test_a_loss_of_two_is_their_mean() -> None:
    logits, flood = torch.randn(2, 1, 8, 8), (torch.rand(2, 1, 8, 8) > 0.5).float()
    both, first, second = (
        FloodLoss(name)(logits, flood) for name in ("dice_cross_entropy", "dice", "cross_entropy")
    )
    assert both.item() == pytest.approx((first.item() + second.item()) / 2)


def test_batch_statistics_are_settled_on_the_tiles() -> None:
    norm = nn.BatchNorm2d(1)
    values = torch.randn(16, 1, 8, 8) * 3 + 5
    settle_batch_statistics(nn.Sequential(norm), DataLoader(TensorDataset(values), batch_size=4))
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.running_mean.item() == pytest.approx(values.mean().item(), abs=1e-3)
    assert norm.running_var.item() == pytest.approx(values.var().item(), rel=0.05)


class _DarkIsFlood(nn.Module):
    """Logit of a pixel from its VV alone: what a tile's views must agree on."""

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        return -seen[:, :1]


@pytest.mark.parametrize("views", ["one", "flips", "d4"])
@pytest.mark.parametrize("margin", [0, 32])
def test_views_are_turned_back_and_margins_cut_off(arrays: TileArrays, views: str, margin: int) -> None:
    prediction = PredictionSettings(views=views, margin=margin)  # type: ignore[arg-type]
    model = NetworkModel(_DarkIsFlood(), settings(channels="vv_vh", prediction=prediction), "cpu")
    maps = np.concatenate(list(predicted_maps(equal_shares([model]), arrays, np.arange(4), 3)))
    expected = 255 / (1 + np.exp((arrays.vv[:3] - 128.0) / 90))
    assert np.abs(maps[:3] - expected).max() <= 0.51
    assert not maps[3].any(), "an unreadable tile is mapped as no flood"


def test_backscatter_can_be_measured_against_its_scene(arrays: TileArrays) -> None:
    model = NetworkModel(_DarkIsFlood(), settings(channels="vv", backscatter="scene"), "cpu")
    (maps,) = predicted_maps(equal_shares([model]), arrays, np.arange(1), 1)
    expected = 255 / (1 + np.exp((arrays.vv[:1] - 100.0) / 50))
    assert np.abs(maps - expected).max() <= 0.51
    seen, _ = FloodTiles(arrays, np.arange(1), settings(channels="vv", backscatter="scene"))[0]
    assert np.allclose(seen[0], (arrays.vv[0] - 100.0) / 50, atol=1e-5)


def test_level_shifts_move_backscatter_and_leave_water(arrays: TileArrays) -> None:
    changes = tile_changes(TrainingSettings(level_shift=40, transform=False))
    changes.set_random_seed(1)
    layers = np.full((256, 256, 3), 100, np.uint8)
    shifted = [changes(image=layers, mask=layers[..., 0])["image"] for _ in range(20)]
    vv, vh, water = (np.array([picture[0, 0, k] for picture in shifted], int) for k in range(3))
    assert (water == 100).all()
    assert len(set(vv)) > 5
    assert (vv != vh).any()
    assert (np.abs(vv - 100) <= 40).all()


def test_unlabelled_tiles_are_trained_on_with_a_teachers_masks(arrays: TileArrays) -> None:
    mask = np.ones((256, 256), np.uint8)
    own = settings(training=TrainingSettings(batch=4, transform=False))
    (batch,) = training_loader(arrays, np.arange(2), own, seed=1, pseudo_labels={2: mask})
    assert len(batch[0]) == 3
    assert sorted(flood.mean().item() == 1 for flood in batch[1]) == [False, False, True]
