import numpy as np
import pandas as pd
import pytest

from competitions.etci_flood.data.neighbours import PaddedTiles, adjacent_to
from competitions.etci_flood.data.tiles import TileArrays

ROWS, COLUMNS = 3, 4
PLACES = [(x, y) for x in range(ROWS) for y in range(COLUMNS)]


@pytest.fixture(scope="module")
def raster() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, ROWS * 256, COLUMNS * 256), dtype=np.uint8)


def arrays_of(raster: np.ndarray, scene: str = "a", no_data: tuple[tuple[int, int], ...] = ()) -> TileArrays:
    cut = [raster[:, x * 256 : (x + 1) * 256, y * 256 : (y + 1) * 256] for x, y in PLACES]
    layers = np.stack(cut, axis=1)
    tiles = pd.DataFrame(
        {
            "scene": scene,
            "x": [x + 9 for x, _ in PLACES],
            "y": [y + 9 for _, y in PLACES],
            "readable": True,
            "no_data": [place in no_data for place in PLACES],
        }
    )
    return TileArrays(tiles, layers[0], layers[1], layers[2], layers[0])


@pytest.mark.parametrize("padding", [0, 1, 32, 128, 255])
def test_an_inner_tile_is_cut_out_of_its_scene(raster: np.ndarray, padding: int) -> None:
    padded = PaddedTiles(arrays_of(raster)).layers_of(PLACES.index((1, 2)), padding)
    assert np.array_equal(padded, raster[:, 256 - padding : 512 + padding, 512 - padding : 768 + padding])


def test_pixels_outside_the_scene_are_mirrored(raster: np.ndarray) -> None:
    padded = PaddedTiles(arrays_of(raster)).layers_of(0, 32)
    assert np.array_equal(padded[:, :32, 32:288], raster[:, 32:0:-1, :256])
    assert np.array_equal(padded[:, 32:, 288:], raster[:, :288, 256:288])


def test_no_data_neighbours_are_mirrored_over(raster: np.ndarray) -> None:
    padded = PaddedTiles(arrays_of(raster, no_data=((1, 1),))).layers_of(PLACES.index((1, 2)), 32)
    assert np.array_equal(padded[:, 32:288, :32], raster[:, 256:512, 544:512:-1])


def test_tiles_of_another_scene_are_not_neighbours(raster: np.ndarray) -> None:
    arrays = arrays_of(raster)
    arrays.tiles["scene"] = [f"s{place}" for place in range(len(PLACES))]
    padded = PaddedTiles(arrays).layers_of(5, 16)
    own = raster[:, 256:512, 256:512]
    assert np.array_equal(padded, np.pad(own, ((0, 0), (16, 16), (16, 16)), mode="reflect"))


def test_adjacent_by_side_and_corner(raster: np.ndarray) -> None:
    tiles = arrays_of(raster).tiles
    chosen = np.array([place == (0, 0) for place in PLACES])
    found = {place for place, adjacent in zip(PLACES, adjacent_to(tiles, chosen), strict=True) if adjacent}
    assert found == {(0, 0), (0, 1), (1, 0), (1, 1)}
    tiles.loc[1, "scene"] = "b"
    assert not adjacent_to(tiles, chosen)[1]
