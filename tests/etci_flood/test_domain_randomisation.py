"""Domain randomisation: tiles as other rasters would show them, labels in their places."""

import numpy as np
import pytest

from competitions.etci_flood.experiment import (
    DomainSettings,
    FloodExperiment,
    PixelLgbmSettings,
    TrainingSettings,
)
from competitions.etci_flood.models.domain_randomisation import (
    changed_domain,
    cropped_tile,
    enlarged_tile,
    random_zoom,
)
from competitions.etci_flood.models.pixel_features import feature_names
from competitions.etci_flood.models.pixel_gbdt import sample_pixels
from competitions.etci_flood.models.training import FloodTiles, tile_augmentation
from tests.etci_flood.small_arrays import random_arrays

STRONG = DomainSettings(changed=1, gain=0.2, offset=2, speckle=0.5, max_zoom=3, hidden_water=0.5)
DRY = np.zeros((64, 64), bool)


def flat_layers(side: int = 64) -> np.ndarray:
    layers = np.stack([np.full((side, side), value, np.uint8) for value in (95, 115, 1)])
    layers[:2, 0], layers[:2, 1] = 0, 255
    return layers


def test_offsets_are_decibels_and_no_data_stays() -> None:
    rng = np.random.default_rng(1)
    offset = DomainSettings(changed=1, offset=2)
    changed = np.stack([changed_domain(flat_layers(), DRY, offset, rng) for _ in range(200)])
    vv, vh = (changed[:, k, 5, 5].astype(float) - level for k, level in ((0, 95), (1, 115)))
    assert 17 <= np.abs(vv).max() <= 20, "2 dB are 19 levels in VV"
    assert 27 <= np.abs(vh).max() <= 32, "and 31 in VH"
    assert np.corrcoef(vv, vh)[0, 1] > 0.4, "mostly shared by both"
    assert (changed[:, :2, 0] == 0).all()
    assert (changed[:, :2, 1] == 255).all()
    assert (changed[:, 2] == 1).all()


def test_a_gain_changes_the_contrast() -> None:
    rng = np.random.default_rng(1)
    layers = flat_layers()
    layers[0, 10:] = 150
    contrasts = []
    for _ in range(100):
        vv = changed_domain(layers, DRY, DomainSettings(changed=1, gain=0.2), rng)[0].astype(int)
        contrasts.append((vv[20, 0] - vv[5, 0]) / 55)
    assert min(contrasts) == pytest.approx(0.8, abs=0.06)
    assert max(contrasts) == pytest.approx(1.2, abs=0.06)


def test_speckle_is_that_of_few_looks_at_most_and_water_is_hidden_as_often_as_asked() -> None:
    rng = np.random.default_rng(1)
    settings = DomainSettings(changed=1, speckle=1, hidden_water=0.3)
    changed = np.stack([changed_domain(flat_layers(), DRY, settings, rng) for _ in range(100)])
    spread = changed[:, 0, 2:].std(axis=(1, 2)) / 9.5
    assert spread.max() <= 4.35 / 2 + 0.3, "4 looks are 2.2 dB"
    assert spread.min() < 1.2
    hidden = (changed[:, 2] == 0).all(axis=(1, 2))
    assert 0.15 < hidden.mean() < 0.45
    assert ((changed[:, 2] == 1).all(axis=(1, 2)) | hidden).all()


def test_wind_brightens_water_alone_and_vv_most() -> None:
    rng = np.random.default_rng(1)
    wet = DRY.copy()
    wet[20:40] = True
    changed = np.stack(
        [changed_domain(flat_layers(), wet, DomainSettings(changed=1, wind=4), rng) for _ in range(100)]
    ).astype(int)
    assert (changed[:, 0, 50] == 95).all()
    risen = changed[:, :2, 20:40].mean(axis=(2, 3)) - [95, 115]
    assert (risen >= 0).all()
    assert 0.3 < (risen[:, 0] > 0).mean() < 0.7
    assert risen[:, 0].max() / 9.5 > 1.2
    assert risen[:, 0].max() / 9.5 < 4
    assert risen[:, 1].sum() / risen[:, 0].sum() == pytest.approx(0.5 * 15.5 / 9.5, rel=0.1)


@pytest.mark.parametrize("zoom", [1.2, 2.0, 3.0])
def test_an_enlarged_tile_keeps_its_labels_in_place(zoom: float) -> None:
    rng = np.random.default_rng(2)
    flood = np.zeros((256, 256), np.uint8)
    flood[60:200, 40:150] = 1
    padded = np.pad(np.where(flood, 40, 150).astype(np.uint8), 64, constant_values=150)
    layers, labels = enlarged_tile(np.stack([padded, padded, padded]), flood, 64, zoom, rng)
    assert (layers.shape, labels.shape) == ((3, 384, 384), (256, 256))
    dark = layers[0, 64:-64, 64:-64] < 95
    assert (dark != (labels == 1)).mean() < 0.02


def test_a_cropped_tile_is_mirrored_at_its_borders() -> None:
    rng = np.random.default_rng(4)
    flood = rng.integers(0, 2, (256, 256)).astype(np.uint8)
    padded = np.pad(flood, 64)
    for _ in range(10):
        layers, labels = cropped_tile(np.stack([padded] * 3), flood, 64, 10_000, rng)
        assert labels.size >= 10_000
        assert layers.shape == (3, labels.shape[0] + 128, labels.shape[1] + 128)
        assert np.array_equal(layers[1, 64:-64, 64:-64], labels)
        assert np.array_equal(layers[0, 63], layers[0, 64])


def test_half_of_the_changed_tiles_are_enlarged() -> None:
    rng = np.random.default_rng(3)
    zooms = np.array([random_zoom(STRONG, rng) for _ in range(400)])
    assert 0.4 < (zooms > 1).mean() < 0.6
    assert zooms.max() <= 3
    assert random_zoom(DomainSettings(), rng) == 1


def test_networks_are_trained_on_changed_tiles_only_where_the_settings_say_so() -> None:
    arrays = random_arrays()
    training = TrainingSettings(crop_size=64, d4_augmentation=False)
    plain, strong = (tile_augmentation(training, domain) for domain in (DomainSettings(), STRONG))
    settings = FloodExperiment(name="t", channels=["vv", "water"])
    for augmentation, some in ((plain, False), (strong, True)):
        augmentation.set_random_seed(1)
        tiles = FloodTiles(arrays, np.zeros(24, np.int64), settings, augmentation)
        inputs = [tiles[k] for k in range(24)]
        assert {tuple(each.shape) for each, _ in inputs} == {(2, 64, 64)}
        # In these tiles permanent water equals flood.
        changed = [not np.array_equal(each[1], flood[0]) for each, flood in inputs]
        assert any(changed) == some
        augmentation.set_random_seed(1)
        again, _ = FloodTiles(arrays, np.zeros(24, np.int64), settings, augmentation)[0]
        assert np.array_equal(again, inputs[0][0]), "the same seed gives the same tiles"


def test_a_part_of_the_pixels_comes_from_changed_tiles() -> None:
    arrays, rows = random_arrays(), np.arange(2)
    few = PixelLgbmSettings(pixels_per_tile=400, scene_medians=False)
    half = STRONG.model_copy(update={"changed": 0.5, "hidden_water": 1.0})
    names = feature_names(scene_medians=False)
    assert not any("scene" in name for name in names)
    for domain, share in ((None, 0.0), (half, 0.5)):
        features, flood = sample_pixels(arrays, rows, few, 1, domain)
        assert features.shape == (800, len(names))
        hidden = features[:, names.index("water mean 127")] == 0
        assert hidden.mean() == pytest.approx(share, abs=0.02)
        assert 0.05 < flood.mean() < 0.6
