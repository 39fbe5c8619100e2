from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.base.errors import InputError
from common.learn.boosting import save_booster
from competitions.etci_flood.data.neighbours import PaddedTiles
from competitions.etci_flood.data.tiles import TileArrays
from competitions.etci_flood.experiment import PixelLgbmSettings
from competitions.etci_flood.models.pixel_features import PADDING, feature_names, pixel_features
from competitions.etci_flood.models.pixel_gbdt import MAX_PIXELS, PixelModel, pixels_per_tile, train_booster

SCALE = np.array([[128, 40], [150, 50]], np.float32)


@pytest.fixture(scope="module")
def arrays() -> TileArrays:
    """Two tiles: dark water in the middle, and a dark field in VV alone that is no flood."""
    rng = np.random.default_rng(0)
    vv, vh = (rng.normal(level, 20, (2, 256, 256)) for level in (150, 180))
    vv[:, 100:180, 40:120], vh[:, 100:180, 40:120] = 40, 50
    vv[:, 20:60, 180:240] = 45
    flood = np.zeros((2, 256, 256), np.uint8)
    flood[:, 100:180, 40:120] = 1
    tiles = pd.DataFrame({"scene": "a", "x": [0, 1], "y": 0, "readable": True, "no_data": False})
    tiles = tiles.assign(vv_centre=150.0, vv_spread=20.0, vh_centre=180.0, vh_spread=20.0)
    first, second = (layer.clip(0, 255).astype(np.uint8) for layer in (vv, vh))
    return TileArrays(tiles, first, second, np.zeros_like(flood), flood)


def test_features_by_hand() -> None:
    layers = np.zeros((3, 2 * PADDING + 9, 2 * PADDING + 9), np.uint8)
    layers[0], layers[1] = 130, 200
    centre = PADDING + 4
    layers[2, centre, centre + 3] = 1
    layers[0, centre - 1 : centre + 2, centre - 1 : centre + 2] = 40
    found = pixel_features(layers, SCALE)
    assert found.shape == (9, 9, len(feature_names()))
    assert np.isfinite(found).all()
    middle = dict(zip(feature_names(), found[4, 4], strict=True))
    assert (middle["vv"], middle["vh"], middle["vv - vh"], middle["water"]) == (40, 200, -160, 0)
    assert middle["vv mean 3"] == pytest.approx(40)
    assert middle["vv mean 5"] == pytest.approx((9 * 40 + 16 * 130) / 25)
    assert middle["vv std 5"] == pytest.approx(90 * np.sqrt(9 / 25 * 16 / 25), rel=1e-3)
    assert middle["vv minus scene median"] == pytest.approx(40 - 128)
    assert middle["distance to water"] == pytest.approx(3, abs=0.2)
    assert middle["patch below 60"] == pytest.approx(np.log1p(1)), "one pixel's mean of nine is below 60"


def test_trees_separate_water_from_a_dark_field_and_are_read_from_disk(
    arrays: TileArrays, tmp_path: Path
) -> None:
    file = tmp_path / "checkpoint.txt"
    few = PixelLgbmSettings(
        num_boost_round=10, num_leaves=8, learning_rate=0.3, pixels_per_tile=2000, min_data_in_leaf=20
    )
    booster = train_booster(arrays, np.arange(2), few, 1)
    save_booster(file, booster)
    layers = PaddedTiles(arrays).layers_of(0, PADDING)[None]
    model = PixelModel.load(file)
    found = model.probability(layers, SCALE[None])
    assert found.shape == (1, 256, 256)
    assert (found[0, 110:170, 50:110] > 0.7).all()
    assert (found[0, 25:55, 185:235] < 0.3).mean() > 0.95
    assert np.array_equal(found, PixelModel(booster).probability(layers, SCALE[None]))
    again = train_booster(arrays, np.arange(2), few, 1)
    assert again.model_to_string() == file.read_text(), "the same seed gives the same trees"


@pytest.mark.parametrize(
    ("balance", "expected"), [(0.0, (1000, 1000)), (1.0, (667, 2000)), (0.5, (845, 1464))]
)
def test_scenes_with_few_tiles_can_be_sampled_more_densely(balance: float, expected: tuple[int, int]) -> None:
    scenes = np.array(["a"] * 6 + ["b"] * 2)
    numbers = pixels_per_tile(scenes, PixelLgbmSettings(pixels_per_tile=1000, scene_balance=balance))
    assert (numbers[0], numbers[-1]) == expected
    assert numbers.sum() == pytest.approx(8000, abs=8)


def test_memory_is_bounded_however_many_tiles_there_are() -> None:
    scenes = np.array(["a"] * 40_000)
    assert pixels_per_tile(scenes, PixelLgbmSettings()).sum() == pytest.approx(MAX_PIXELS, rel=0.01)


def test_missing_and_damaged_boosters_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.txt"
    with pytest.raises(InputError, match="is missing"):
        PixelModel.load(file)
    file.write_text("no trees\n")
    with pytest.raises(InputError, match="not a LightGBM model"):
        PixelModel.load(file)
