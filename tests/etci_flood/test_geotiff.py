"""Rasters mapped window by window, by a simple model: dark in VV is flood."""

import multiprocessing
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.control
from affine import Affine
from rasterio.errors import RasterioIOError
from rasterio.transform import from_origin
from rasterio.windows import Window

from common.base.errors import InputError
from competitions.etci_flood.models.base import FloodModel
from competitions.etci_flood.predict.backscatter_scale import BackscatterScale
from competitions.etci_flood.predict.geotiff import open_raster, write_flood
from competitions.etci_flood.predict.values import Units
from competitions.etci_flood.predict.window_grid import NO_DATA, OVERLAP, WINDOW_SIZE, spread
from competitions.etci_flood.predict.windows import fit_stretch, flood_mask, predict_windows

SCALE = BackscatterScale((45, 45), (140, 180), np.array([[140, 30], [180, 40]], np.float32))
GRID = {"crs": "EPSG:32614", "transform": from_origin(500_000, 4_700_000, 10, 10)}


class DarkIsFlood:
    """Mean of VV over a square nearer to water than to land; wrong padding shows at borders of windows."""

    padding = 32
    needs_scene = False

    def probability(self, layers: np.ndarray, scale: np.ndarray) -> np.ndarray:
        import cv2

        smooth = np.stack([cv2.blur(vv.astype(np.float32), (33, 33)) for vv in layers[:, 0]])
        inside = slice(self.padding, -self.padding)
        return (smooth[:, inside, inside] < 92).astype(np.float32)


def write_raster(path: Path, bands: np.ndarray, **profile: Any) -> Path:
    count, height, width = bands.shape
    shape = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": bands.dtype}
    with rasterio.open(path, "w", **{**shape, **GRID, **profile}) as raster:
        raster.write(bands)
        if count == 2:
            raster.descriptions = ("VV", "VH")
    return path


def scene(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """VV and VH in decibels, and where the water is: a slanted river."""
    rng = np.random.default_rng(1)
    down, across = np.ogrid[:height, :width]
    river = np.abs(across - width / 2 - 0.3 * down) < 60
    decibels = np.stack([rng.normal(-10, 1, (height, width)), rng.normal(-16, 1, (height, width))])
    decibels[:, river] -= 9
    return decibels.astype(np.float32), river


def write_map(
    path: Path, target: Path, model: FloodModel, water: Path | None = None, units: Units = "auto"
) -> dict[str, float]:
    with open_raster(path, water) as source:
        stretch = fit_stretch(source, units, SCALE)
        windows = predict_windows(source, [(1.0, model)], stretch)
        masks = ((window, flood_mask(probability, known, 128)) for window, probability, known in windows)
        return write_flood(source, target, masks)


def mapped(source: Path, target: Path) -> tuple[np.ndarray, dict[str, float]]:
    metrics = write_map(source, target, DarkIsFlood())
    with rasterio.open(target) as raster:
        assert (raster.crs, raster.transform) == (
            rasterio.crs.CRS.from_string(GRID["crs"]),
            GRID["transform"],
        )
        assert (raster.nodata, raster.dtypes) == (NO_DATA, ("uint8",))
        return raster.read(1), metrics


@pytest.mark.parametrize(("height", "width"), [(700, 1100), (512, 512), (90, 40)])
def test_decibels_and_linear_power_lead_to_the_same_flood(tmp_path: Path, height: int, width: int) -> None:
    decibels, river = scene(height, width)
    first, metrics = mapped(write_raster(tmp_path / "db.tif", decibels), tmp_path / "db_flood.tif")
    linear = write_raster(tmp_path / "linear.tif", 10 ** (decibels / 10))
    second, _ = mapped(linear, tmp_path / "linear_flood.tif")
    assert first.shape == (height, width)
    assert (first != second).mean() < 1e-3
    assert metrics["pixels_mapped"] == height * width
    if width > 500:
        wrong = (first == 1) != river
        assert wrong.mean() < 0.04, "except the river's banks, which the mean blurs"


def test_windows_leave_no_seams(tmp_path: Path) -> None:
    decibels, _ = scene(WINDOW_SIZE + 100, WINDOW_SIZE + 200)
    whole, _ = mapped(write_raster(tmp_path / "whole.tif", decibels), tmp_path / "a.tif")
    # The same land, cropped so that windows are elsewhere.
    shifted, _ = mapped(write_raster(tmp_path / "part.tif", decibels[:, 37:, 53:]), tmp_path / "b.tif")
    inside = np.s_[DarkIsFlood.padding : -DarkIsFlood.padding, DarkIsFlood.padding : -DarkIsFlood.padding]
    assert (whole[37:, 53:][inside] != shifted[inside]).mean() < 2e-3


class Counted(DarkIsFlood):
    """A model that answers every window with another constant."""

    def __init__(self, constants: list[float]) -> None:
        self.constants = list(constants)

    def probability(self, layers: np.ndarray, scale: np.ndarray) -> np.ndarray:
        side = layers.shape[-1] - 2 * self.padding
        return np.full((1, side, side), self.constants.pop(0), np.float32)


def whole_map(path: Path, model: FloodModel) -> np.ndarray:
    with open_raster(path) as source:
        found = np.full((source.height, source.width), np.nan, np.float32)
        for window, probability, _ in predict_windows(
            source, [(1.0, model)], fit_stretch(source, "auto", SCALE)
        ):
            assert np.isnan(found[window.slices]).all(), "parts do not overlap"
            found[window.slices] = probability
    return found


@pytest.mark.parametrize("size", [1, 40, 512, 513, 700, 960, 961, 1000, 1408, 5003])
def test_windows_are_spread_evenly_and_blended_once(size: int) -> None:
    spans = spread(size)
    assert (spans[0].start, spans[0].first, spans[-1].stop, spans[-1].last) == (0, 0, size, size)
    covered = np.zeros(size, int)
    for span in spans:
        assert span.start <= span.first < span.last <= span.stop
        covered[span.first : span.last] += 1
    for left, right in pairwise(spans):
        assert left.last - right.first == OVERLAP
        assert left.stop - right.start >= OVERLAP
    assert set(covered) <= {1, 2}
    assert len(spans) == 1 + max(0, -(-(size - WINDOW_SIZE) // (WINDOW_SIZE - OVERLAP)))


def test_overlaps_are_blended(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "s1.tif", scene(WINDOW_SIZE + 300, 2 * WINDOW_SIZE)[0])
    same = whole_map(path, Counted([0.7] * 6))
    assert np.allclose(same, 0.7), "weights sum to 1 everywhere"
    other = whole_map(path, Counted([0, 1, 0, 1, 0, 1]))
    for axis in (0, 1):
        assert np.abs(np.diff(other, axis=axis)).max() < 1.5 / OVERLAP, "no step at the borders of windows"
    assert (other[0, 0], other[0, WINDOW_SIZE], other[-1, 0]) == (0, 1, 1)
    down, across = spread(WINDOW_SIZE + 300)[1], spread(2 * WINDOW_SIZE)[1]
    assert other[down.first - 1, 0] == 0
    assert other[0, across.first + OVERLAP // 2] == pytest.approx(0.5, abs=0.01)


def test_the_map_is_a_cog_with_what_qgis_shows(tmp_path: Path) -> None:
    mapped(write_raster(tmp_path / "s1.tif", scene(700, 1100)[0]), tmp_path / "flood.tif")
    with rasterio.open(tmp_path / "flood.tif") as raster:
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert raster.overviews(1) == [2, 4]
        assert raster.descriptions == ("flood: 1 = flood, 0 = not, 255 = unknown",)
        colours = raster.colormap(1)
        assert len({colours[value] for value in (0, 1, NO_DATA)}) == 3
        assert colours[NO_DATA][3] == 0, "unknown is transparent"
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["flood.tif", "s1.tif"]


def test_the_raster_itself_is_never_overwritten(tmp_path: Path) -> None:
    source = write_raster(tmp_path / "s1.tif", scene(300, 300)[0])
    before = source.read_bytes()
    (tmp_path / "link.tif").symlink_to(source)
    for target in (source, tmp_path / "link.tif"):
        with pytest.raises(InputError, match="is the raster that is read"):
            write_map(source, target, DarkIsFlood())
    assert source.read_bytes() == before
    write_map(source, tmp_path / "map [1].tif", DarkIsFlood())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.tif", "map [1].tif", "s1.tif"]


def test_control_points_are_kept(tmp_path: Path) -> None:
    decibels, _ = scene(400, 500)
    corners = [(0, 0, 90, 24), (0, 500, 90.05, 24), (400, 0, 90, 23.96), (400, 500, 90.05, 23.96)]
    points = [rasterio.control.GroundControlPoint(*corner) for corner in corners]
    path = write_raster(tmp_path / "s1.tif", decibels, crs=None, transform=None)
    with rasterio.open(path, "r+") as raster:
        raster.gcps = (points, rasterio.crs.CRS.from_epsg(4326))
    write_map(path, tmp_path / "flood.tif", DarkIsFlood())
    with rasterio.open(tmp_path / "flood.tif") as raster:
        found, crs = raster.gcps
    assert crs.to_epsg() == 4326
    assert [(point.row, point.col, point.x, point.y) for point in found] == corners
    with open_raster(path) as source:
        (line,) = source.understood()
        assert "georeference by 4 control points (EPSG:4326), kept" in line
        assert source.spacing == pytest.approx(10.6, abs=0.3)


def test_odd_grids_are_kept(tmp_path: Path) -> None:
    decibels, _ = scene(300, 400)
    grids = {
        "south_up": Affine(10, 0, 500_000, 0, 10, 4_700_000),
        "rotated": Affine(8, 6, 500_000, 6, -8, 4_700_000),
        "none": Affine.identity(),
    }
    for name, grid in grids.items():
        crs = None if name == "none" else GRID["crs"]
        path = write_raster(tmp_path / f"{name}.tif", decibels, transform=grid, crs=crs)
        write_map(path, tmp_path / f"{name}_flood.tif", DarkIsFlood())
        with rasterio.open(tmp_path / f"{name}_flood.tif") as raster:
            assert raster.transform.almost_equals(grid)
            assert raster.crs == (None if crs is None else rasterio.crs.CRS.from_string(crs))


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    source = write_raster(tmp_path / "s1.tif", scene(300, 300)[0])
    target = tmp_path / "out" / "flood.tif"

    def masks() -> Iterator[tuple[Any, np.ndarray]]:
        raise RasterioIOError("No space left on device")
        yield

    with open_raster(source) as opened, pytest.raises(InputError, match=r"flood\.tif: cannot be written"):
        write_flood(opened, target, masks())
    assert list(target.parent.iterdir()) == []


def test_unknown_pixels_stay_unknown_and_bands_are_found_by_name(tmp_path: Path) -> None:
    decibels, river = scene(300, 400)
    decibels[:, :, :50] = -9999
    bands = np.stack([decibels[1], np.zeros_like(decibels[0]), decibels[0]])
    source = write_raster(tmp_path / "named.tif", bands, nodata=-9999)
    with rasterio.open(source, "r+") as raster:
        raster.descriptions = ("Sigma0_VH", "angle", "Sigma0_VV")
    flood, metrics = mapped(source, tmp_path / "flood.tif")
    assert (flood[:, :50] == NO_DATA).all()
    assert (flood[:, 50:] != NO_DATA).all()
    assert metrics["pixels_mapped"] == 300 * 350
    assert flood[:, 100:][river[:, 100:]].mean() > 0.6


def test_permanent_water_reaches_the_models(tmp_path: Path) -> None:
    class WaterIsFlood(DarkIsFlood):
        def probability(self, layers: np.ndarray, scale: np.ndarray) -> np.ndarray:
            inside = slice(self.padding, -self.padding)
            assert layers[:, 2].max() <= 1
            return layers[:, 2, inside, inside].astype(np.float32)

    decibels, river = scene(300, 400)
    source = write_raster(tmp_path / "s1.tif", decibels)
    water = write_raster(tmp_path / "water.tif", river[None].astype(np.uint8) * 255)
    write_map(source, tmp_path / "flood.tif", WaterIsFlood(), water)
    with rasterio.open(tmp_path / "flood.tif") as raster:
        assert np.array_equal(raster.read(1) == 1, river)
    small = write_raster(tmp_path / "small.tif", river[None, :200].astype(np.uint8))
    write_map(source, tmp_path / "f.tif", WaterIsFlood(), small)
    with rasterio.open(tmp_path / "f.tif") as raster:
        assert np.array_equal(raster.read(1)[:200] == 1, river[:200])
        assert not (raster.read(1)[200:] == 1).any(), "none is assumed where the mask ends"
    small.write_text("no raster")
    with pytest.raises(InputError, match=r"small\.tif: not a readable raster"):
        write_map(source, tmp_path / "f.tif", WaterIsFlood(), small)


def test_wrong_rasters_end_in_one_line_and_leave_nothing(tmp_path: Path) -> None:
    one = write_raster(tmp_path / "one.tif", np.zeros((1, 50, 50), np.float32))
    empty = write_raster(tmp_path / "empty.tif", np.full((2, 50, 50), np.nan, np.float32))
    (tmp_path / "text.tif").write_text("no raster")
    cut = tmp_path / "cut.tif"
    cut.write_bytes(write_raster(tmp_path / "s.tif", scene(300, 300)[0]).read_bytes()[:100_000])
    for source, words in (
        (one, "has one band"),
        (empty, "holds no values"),
        (tmp_path / "text.tif", "not a readable raster"),
        (cut, "not a readable raster"),
    ):
        with pytest.raises(InputError, match=words):
            mapped(source, tmp_path / "out" / "flood.tif")
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def large_raster(path: Path) -> Path:
    """10,000 x 10,000, tiled and compressed; land and a river in a few blocks, the rest is no data."""
    decibels, _ = scene(1024, 1024)
    profile = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "sparse_ok": True}
    with rasterio.open(
        path, "w", "GTiff", 10_000, 10_000, 2, dtype="float32", nodata=-9999, **GRID, **profile
    ) as raster:
        raster.descriptions = ("VV", "VH")
        for top, left in ((0, 0), (4608, 4608), (8976, 8976)):
            raster.write(decibels, window=Window(left, top, 1024, 1024))
    return path


def _megabytes(field: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(re.findall(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)[0]) / 1024


def _memory_of_mapping(source: Path, target: Path) -> float:
    mapped(
        write_raster(target.with_name("small.tif"), scene(600, 600)[0]), target.with_name("small_flood.tif")
    )
    before = _megabytes("VmRSS")
    mapped(source, target)
    return _megabytes("VmHWM") - before


def test_ten_thousand_pixels_square_in_bounded_memory(tmp_path: Path) -> None:
    source, target = large_raster(tmp_path / "large.tif"), tmp_path / "flood.tif"
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        added = pool.apply(_memory_of_mapping, (source, target))
    assert added < 350, "of which 95 MB are the test's own copy of the result"
    with rasterio.open(target) as raster:
        assert (raster.height, raster.width) == (10_000, 10_000)
        flood = raster.read(1)
    assert (flood != NO_DATA).sum() == 3 * 1024**2
    assert (flood == 1).sum() > 100_000
