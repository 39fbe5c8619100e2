"""Masks of permanent water: other grids, no data, classes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.shutil import copy
from rasterio.transform import from_origin
from rasterio.vrt import WarpedVRT

from common.base.errors import InputError
from competitions.etci_flood.predict.geotiff import RasterFlags, open_raster
from competitions.etci_flood.predict.water_mask import Counts, array_water, read_values
from competitions.etci_flood.predict.window_grid import Window
from tests.etci_flood.drawn_rasters import COLUMNS, ROWS, drawn_decibels, river, write

WHOLE = Window(0, 0, ROWS, COLUMNS)


@pytest.fixture
def raster(tmp_path: Path) -> Path:
    return write(tmp_path / "s1.tif", drawn_decibels())


def lake() -> np.ndarray:
    water = river()
    water[:70] = False
    return water


def read_water(raster: Path, mask: Path, values: tuple[float, ...] | None = None) -> tuple[np.ndarray, str]:
    """The mask on the raster's grid, and how it was read."""
    with open_raster(raster, mask, RasterFlags(water_values=values)) as source:
        return source.read_water(WHOLE)[0] == 1, source.understood()[1]


def one_band(path: Path, values: np.ndarray, **about: Any) -> Path:
    return write(path, np.asarray(values)[None], None, **about)


@pytest.mark.parametrize(
    ("made", "about"),
    [
        (lambda water: water.astype(np.uint8), {}),
        (lambda water: water * np.uint8(255), {}),
        (lambda water: water.astype(np.uint8), {"nodata": 0}),
        (lambda water: np.where(water, 1, np.nan).astype(np.float32), {}),
        (lambda water: np.where(water, np.float32(1), -9999), {"nodata": -9999}),
        (lambda water: np.where(np.arange(ROWS)[:, None] < 60, 255, water).astype(np.uint8), {"nodata": 255}),
        (lambda water: np.where(np.arange(ROWS)[:, None] < 60, 255, water).astype(np.uint8), {}),
        (lambda water: water.astype(np.uint8), {"transform": from_origin(430_000.3, 1_150_000.3, 10, 10)}),
    ],
    ids=[
        "0 1",
        "0 255",
        "nodata 0",
        "NaN",
        "nodata -9999",
        "nodata 255",
        "unmarked 255",
        "a part of a pixel",
    ],
)
def test_masks_of_two_values(raster: Path, tmp_path: Path, made: Any, about: dict[str, Any]) -> None:
    water, told = read_water(raster, one_band(tmp_path / "water.tif", made(lake()), **about))
    assert np.array_equal(water, lake())
    assert f"permanent water: {lake().mean():.1%} of the raster" in told
    assert "resampled" not in told


def test_another_grid_is_resampled_and_told(raster: Path, tmp_path: Path) -> None:
    same = one_band(tmp_path / "same.tif", lake().astype(np.uint8))
    with rasterio.open(same) as source, WarpedVRT(source, crs="EPSG:4326") as warped:
        copy(warped, tmp_path / "degrees.tif", driver="GTiff")
    coarse = one_band(
        tmp_path / "coarse.tif",
        lake()[1::3, 1::3].astype(np.uint8),
        transform=from_origin(430_000, 1_150_000, 30, 30),
    )
    for mask, crs in ((tmp_path / "degrees.tif", "EPSG:4326"), (coarse, "EPSG:32648")):
        water, told = read_water(raster, mask)
        assert (water != lake()).mean() < 0.02
        assert f"resampled from {crs}" in told
    half = one_band(
        tmp_path / "half.tif",
        lake()[80:].astype(np.uint8),
        transform=from_origin(430_000, 1_150_000 - 800, 10, 10),
    )
    water, told = read_water(raster, half)
    assert np.array_equal(water[80:], lake()[80:])
    assert not water[:80].any()
    assert "no data on 44.4%, where none is assumed" in told


def test_a_mask_of_another_place_is_refused(raster: Path, tmp_path: Path) -> None:
    zone = one_band(tmp_path / "zone.tif", lake().astype(np.uint8), crs="EPSG:32647")
    far = one_band(
        tmp_path / "far.tif", lake().astype(np.uint8), transform=from_origin(9e5, 1_150_000, 10, 10)
    )
    for mask in (zone, far):
        with pytest.raises(InputError, match="lies somewhere else than the raster"):
            read_water(raster, mask)


def test_maps_of_classes_are_read_as_the_user_says(raster: Path, tmp_path: Path) -> None:
    classes = np.where(lake(), 80, np.where(river(), 90, 10)).astype(np.uint8)
    mask = one_band(tmp_path / "worldcover.tif", classes)
    with pytest.raises(InputError, match="values 10, 80, 90, so it may be a map of classes; say which"):
        read_water(raster, mask)
    assert np.array_equal(read_water(raster, mask, (80,))[0], lake())
    assert np.array_equal(read_water(raster, mask, (80, 90))[0], river())
    water, told = read_water(raster, mask, (70,))
    assert not water.any()
    assert "it has 10, 80, 90 there" in told


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.linspace(0, 1, ROWS * COLUMNS).reshape(ROWS, COLUMNS).astype(np.float32), "is no mask"),
        (np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS).astype(np.int32), "is no mask"),
        (np.ones((ROWS, COLUMNS), np.uint8), "is 1 all over the raster"),
        (np.where(lake(), 2, 1).astype(np.uint8), "may be a map of classes"),
        (np.where(lake(), 30, 0).astype(np.uint8), "may be a map of classes"),
        (np.full((ROWS, COLUMNS), np.nan, np.float32), "no data all over"),
    ],
    ids=["fractions", "numbers", "all", "1 and 2", "0 and 30", "nothing"],
)
def test_other_values_are_refused(raster: Path, tmp_path: Path, values: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_water(raster, one_band(tmp_path / "water.tif", values))


def test_pictures_without_georeference_fit_by_their_size(raster: Path, tmp_path: Path) -> None:
    picture = one_band(tmp_path / "w.png", lake() * np.uint8(255), driver="PNG", crs=None, transform=None)
    water, told = read_water(raster, picture)
    assert np.array_equal(water, lake())
    assert "taken pixel by pixel, because it has no georeference" in told
    small = one_band(tmp_path / "s.png", lake()[:90] * np.uint8(255), driver="PNG", crs=None, transform=None)
    with pytest.raises(InputError, match="another grid"):
        read_water(raster, small)
    colours = write(tmp_path / "rgb.tif", np.repeat(lake()[None] * np.uint8(255), 3, axis=0), None)
    with pytest.raises(InputError, match="has 3 bands"):
        read_water(raster, colours)


def test_the_tolerance_of_grids_is_in_pixels(tmp_path: Path) -> None:
    step = 9e-5
    grid = from_origin(105, 10, step, step)
    raster = write(tmp_path / "degrees.tif", drawn_decibels(), crs="EPSG:4326", transform=grid)
    moved = from_origin(105 + 2 * step, 10, step, step)
    mask = one_band(tmp_path / "w.tif", lake().astype(np.uint8), crs="EPSG:4326", transform=moved)
    water, told = read_water(raster, mask)
    assert "resampled" in told
    assert np.array_equal(water[:, 2:], lake()[:, :-2])


def test_arrays_are_read_as_files_are() -> None:
    water = array_water(np.where(lake(), 1, np.nan), (ROWS, COLUMNS), None)
    assert np.array_equal(water == 1, lake())
    with pytest.raises(InputError, match="map of classes"):
        array_water(np.where(lake(), 80, 10), (ROWS, COLUMNS), None)
    counts = Counts.of_blocks([np.arange(200.0), np.array([500.0, np.nan])], [500.0])
    assert (counts.of_value[500.0], counts.unknown, counts.high) == (1, 1, 500)
    assert read_values(counts, [500.0], "w").water == (500.0,)
