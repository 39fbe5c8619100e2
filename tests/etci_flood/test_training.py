from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from competitions.etci_flood.data.tiles import TileArrays
from competitions.etci_flood.experiment import FloodExperiment, Loss, TrainingSettings
from competitions.etci_flood.models.losses import FloodLoss
from competitions.etci_flood.models.training import (
    FloodTiles,
    calibration_loader,
    recalibrate_batchnorm,
    sampling_weights,
    tile_augmentation,
    training_loader,
)
from tests.etci_flood.small_arrays import random_arrays


@pytest.fixture
def arrays() -> TileArrays:
    return random_arrays()


def settings(**changes: Any) -> FloodExperiment:
    return FloodExperiment(name="test", **changes)


def test_tile_and_mask_are_augmented_alike(arrays: TileArrays) -> None:
    augmentation = tile_augmentation(TrainingSettings(crop_size=128))
    augmentation.set_random_seed(1)
    tiles = FloodTiles(arrays, np.arange(4), settings(channels=["vv", "vh", "water"]), augmentation)
    whole = arrays.flood[0].astype(np.float32)
    for _ in range(8):
        inputs, flood = tiles[0]
        assert inputs.shape == (3, 128, 128)
        assert torch.equal(inputs[2], flood[0]), "the water mask equals the label here, and must stay so"
        assert not np.array_equal(flood[0].numpy(), whole[:128, :128])


def test_batchnorm_is_never_recalibrated_on_a_single_tile(arrays: TileArrays) -> None:
    loader = calibration_loader(
        arrays, np.array([0, 1, 2, 3, 0, 1, 2, 3, 0]), settings(training={"crop_size": 64})
    )
    assert [len(inputs) for inputs, _ in loader] == [8]


def test_class_balanced_sampling() -> None:
    has_flood = np.array([True, False, False, False])
    weights = sampling_weights(has_flood, 0.5)
    assert weights is not None
    assert weights.tolist() == pytest.approx([1 / 2, 1 / 6, 1 / 6, 1 / 6])
    assert sampling_weights(np.array([True, True]), 0.5) is None


def test_a_single_left_over_tile_is_dropped(arrays: TileArrays) -> None:
    own = settings(channels=["vv", "vh"], training=TrainingSettings(batch_size=3, crop_size=64))
    loader = training_loader(arrays, np.arange(4), own, seed=1)
    assert [len(inputs) for inputs, _ in loader] == [3]


@pytest.mark.parametrize("loss", get_args(Loss))
def test_every_loss_prefers_the_right_map(loss: Loss) -> None:
    flood = torch.tensor([[[[0.0, 1.0]]]])
    right, uncertain, wrong = (FloodLoss(loss)(scale * (2 * flood - 1), flood) for scale in (8.0, 0.0, -8.0))
    assert right < uncertain < wrong
    assert right < 0.01


def test_a_loss_of_two_is_their_mean() -> None:
    logits, flood = torch.randn(2, 1, 8, 8), (torch.rand(2, 1, 8, 8) > 0.5).float()
    both, first, second = (
        FloodLoss(name)(logits, flood) for name in ("dice_cross_entropy", "dice", "cross_entropy")
    )
    assert both.item() == pytest.approx((first.item() + second.item()) / 2)


def test_recalibrated_batchnorm_has_the_statistics_of_the_tiles() -> None:
    norm = nn.BatchNorm2d(1)
    values = torch.randn(16, 1, 8, 8) * 3 + 5
    recalibrate_batchnorm(nn.Sequential(norm), DataLoader(TensorDataset(values), batch_size=4))
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.running_mean.item() == pytest.approx(values.mean().item(), abs=1e-3)
    assert norm.running_var.item() == pytest.approx(values.var().item(), rel=0.05)


def test_brightness_shifts_move_backscatter_and_not_water(arrays: TileArrays) -> None:
    augmentation = tile_augmentation(TrainingSettings(brightness_shift=40, d4_augmentation=False))
    augmentation.set_random_seed(1)
    layers = np.full((256, 256, 3), 100, np.uint8)
    shifted = [augmentation(image=layers, mask=layers[..., 0])["image"] for _ in range(20)]
    vv, vh, water = (np.array([image[0, 0, k] for image in shifted], int) for k in range(3))
    assert (water == 100).all()
    assert len(set(vv)) > 5
    assert (vv != vh).any()
    assert (np.abs(vv - 100) <= 40).all()


def test_pseudo_labelled_tiles_are_trained_on(arrays: TileArrays) -> None:
    mask = np.ones((256, 256), np.uint8)
    own = settings(training=TrainingSettings(batch_size=4, d4_augmentation=False))
    (batch,) = training_loader(arrays, np.arange(2), own, seed=1, pseudo_labels={2: mask})
    assert len(batch[0]) == 3
    assert sorted(flood.mean().item() == 1 for flood in batch[1]) == [False, False, True]
