from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from competitions.etci_flood.data.layout import LAYERS, find_tiles
from competitions.etci_flood.data.tiles import is_no_data, read_layer
from competitions.etci_flood.rules.baselines import baseline_scores

Sample = Callable[[str], Path]


@pytest.fixture
def data(sample: Sample) -> Path:
    return sample("etci_flood")


def test_official_layout_and_traps(data: Path) -> None:
    tiles = find_tiles(data)
    assert tiles.predicted_split == "test_internal"
    assert len(tiles.faults) == 1
    assert "has no vh" in tiles.faults[0]
    assert {tile.split for tile in tiles.labelled} == {"train", "test"}
    assert len({tile.key.region for tile in tiles.labelled}) >= 3
    assert len({tile.key.scene for tile in tiles.labelled}) >= 4
    assert max(tile.key.y for tile in tiles.labelled) >= 9
    assert not list(data.glob("test_internal/*/tiles/flood_label"))
    for tile in tiles.labelled:
        assert set(tile.files) == set(LAYERS)
        assert {int(value) for value in np.unique(read_layer(tile.files["flood_label"]))} <= {0, 255}
    with Image.open(tiles.labelled[0].files["vv"]) as image:
        assert (image.size, image.mode) == ((256, 256), "RGB")
        red, green, blue = (np.asarray(channel) for channel in image.split())
    assert np.array_equal(red, green)
    assert np.array_equal(red, blue)


def test_about_a_quarter_of_the_labelled_tiles_is_no_data(data: Path) -> None:
    labelled = find_tiles(data).labelled
    share = np.mean([is_no_data(read_layer(tile.files["vv"])) for tile in labelled])
    assert 0.15 <= share <= 0.4


def test_neighbouring_tiles_continue_each_other(data: Path) -> None:
    tiles = {tile.key: tile for tile in find_tiles(data).labelled}
    ours, theirs = [], []
    for key, tile in tiles.items():
        below = tiles.get(type(key)(key.scene, key.x + 1, key.y))
        if below is not None:
            ours.append(read_layer(tile.files["water_body_label"])[-1] > 0)
            theirs.append(read_layer(below.files["water_body_label"])[0] > 0)
    assert np.any(ours)
    assert np.mean(np.array(ours) == np.array(theirs)) > 0.98


def test_truth_is_of_the_test_split_and_no_baseline_solves_it(data: Path) -> None:
    truth = data / "truth" / "flood_label.npy"
    flood = np.load(truth)
    assert flood.dtype == np.uint8
    assert flood.shape == (len(find_tiles(data).predicted), 256, 256)
    assert 0.01 < flood.mean() < 0.5
    scores = baseline_scores(data, truth)
    assert len(scores) == 4
    assert max(scores.values()) < 0.85
