from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from common.errors import InputError
from common.experiments import experiment_names
from common.weights import save_weights
from competitions.etci_flood.competition import COMPETITION
from competitions.etci_flood.experiment import (
    FloodExperiment,
    NetworkSettings,
    PredictionSettings,
    TrainingSettings,
)
from competitions.etci_flood.flood_maps import predicted_maps
from competitions.etci_flood.flood_training import (
    FloodTiles,
    FloodTraining,
    draw_chances,
    settle_batch_statistics,
    tile_changes,
    training_loader,
)
from competitions.etci_flood.input_channels import input_channels
from competitions.etci_flood.segmentation_networks import build_network
from competitions.etci_flood.tile_arrays import TileArrays

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
    tiles = pd.DataFrame({"has_flood": [True] * 4, "readable": [True, True, True, False]})
    return TileArrays(tiles, layers[0], layers[1], flood, flood)


def test_all_rows_of_the_table_are_there() -> None:
    rows = {experiment(name).paper for name in NAMES} - {None}
    assert rows == {f"Table 2, row {row}" for row in range(1, 12)}


def test_every_network_builds_and_maps_every_pixel() -> None:
    untrained = [experiment(name).network.model_copy(update={"pretrained": False}) for name in NAMES]
    different = {settings.model_dump_json(): settings for settings in untrained}
    assert len(different) >= 5
    for settings in different.values():
        network = build_network(settings, "vv_vh_ratio").eval()
        with torch.inference_mode():
            assert network(torch.zeros(1, 3, 128, 128)).shape == (1, 1, 128, 128)


def test_pan_refuses_crops_below_its_pyramid() -> None:
    with pytest.raises(ValueError, match=r"training\.crop"):
        FloodExperiment(
            name="pan",
            network=NetworkSettings(decoder="pan", encoder="mobilenet_v2"),
            training=TrainingSettings(crop=64),
        )


@pytest.mark.parametrize("name", [name for name in NAMES if "imagenet" in name])
def test_pretrained_networks_name_the_flag(name: str) -> None:
    settings = experiment(name)
    with pytest.raises(InputError, match="--weights"):
        build_network(settings.network, settings.channels)


def test_pretrained_weights_reach_the_encoder_whatever_the_channels(tmp_path: Path) -> None:
    settings = experiment("pan_mobilenet_v2_imagenet")
    plain = settings.network.model_copy(update={"pretrained": False})
    donor = build_network(plain, "vv_vh_ratio").encoder.state_dict()
    save_weights(tmp_path / "mobilenet_v2.safetensors", donor)
    network = build_network(settings.network, "vv_vh_ratio_water", tmp_path)
    ours = network.encoder.state_dict()
    first = next(name for name, tensor in donor.items() if tensor.ndim == 4)
    assert ours[first].shape[1] == 4
    assert all(torch.equal(tensor, ours[name]) for name, tensor in donor.items() if name != first)
    save_weights(tmp_path / "mobilenet_v2.safetensors", {"fc.weight": torch.zeros(1)})
    with pytest.raises(InputError, match="not the weights of a mobilenet_v2"):
        build_network(settings.network, "vv_vh_ratio", tmp_path)


def test_the_ratio_does_not_saturate() -> None:
    # VH above VV by 1 to 255 grey levels: VH / VV clipped to 1 would be the same for all of them.
    vv, vh = np.zeros(255, np.uint8), np.arange(1, 256, dtype=np.uint8)
    layers = np.stack([vv, vh, vv])[:, None, :]
    ratio = input_channels(layers, "vv_vh_ratio")[2, 0]
    assert len(np.unique(ratio)) == 255
    assert (np.diff(ratio) < 0).all()


def test_tile_and_mask_are_changed_alike(arrays: TileArrays) -> None:
    changes = tile_changes(TrainingSettings(crop=128))
    changes.set_random_seed(1)
    tiles = FloodTiles(arrays, np.arange(4), "vv_vh_water", changes)
    whole = arrays.flood[0].astype(np.float32)
    for _ in range(8):
        seen, flood = tiles[0]
        assert seen.shape == (3, 128, 128)
        assert torch.equal(seen[2], flood[0]), "the water mask equals the label here, and must stay so"
        assert not np.array_equal(flood[0].numpy(), whole[:128, :128])


def test_balanced_draws() -> None:
    has_flood = np.array([True, False, False, False])
    chances = draw_chances(has_flood, 0.5)
    assert chances is not None
    assert chances.tolist() == pytest.approx([1 / 2, 1 / 6, 1 / 6, 1 / 6])
    assert draw_chances(np.array([True, True]), 0.5) is None


def test_a_single_left_over_tile_is_dropped(arrays: TileArrays) -> None:
    settings = TrainingSettings(batch=3, crop=64)
    loader = training_loader(arrays, np.arange(4), "vv_vh", settings, seed=1)
    assert [len(seen) for seen, _ in loader] == [3]


@pytest.mark.parametrize("loss", ["cross_entropy", "dice_cross_entropy"])
def test_the_loss_prefers_what_is_right(loss: str) -> None:
    training = FloodTraining(nn.Identity(), TrainingSettings(loss=loss))  # type: ignore[arg-type]
    flood = torch.tensor([[[[0.0, 1.0]]]])
    right, unsure, wrong = (training.loss(scale * (2 * flood - 1), flood) for scale in (8.0, 0.0, -8.0))
    assert right < unsure < wrong
    assert right < 0.01


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
def test_views_are_turned_back(arrays: TileArrays, views: str) -> None:
    settings = PredictionSettings(views=views, batch=3)  # type: ignore[arg-type]
    maps = np.concatenate(
        list(predicted_maps([_DarkIsFlood()], arrays, np.arange(4), "vv_vh", settings, "cpu"))
    )
    expected = 255 / (1 + np.exp((arrays.vv[:3] - 128.0) / 90))
    assert np.abs(maps[:3] - expected).max() <= 0.51
    assert not maps[3].any(), "an unreadable tile is mapped as no flood"
