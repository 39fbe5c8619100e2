"""`load(...).predict(...)`, and 3_infer.py --geotiff, which uses the same object."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from common.base.errors import InputError
from common.base.paths import WorkPaths
from common.run.run_record import read_record
from competitions.etci_flood import load
from competitions.etci_flood.predict.predictor import FloodPredictor
from competitions.etci_flood.sample.raster_simulation import RasterLook, simulate_raster
from competitions.etci_flood.sample.scene_simulation import SimulatedScene, decibels_of, simulate_scene
from tests.conftest import run_stage
from tests.etci_flood.drawn_rasters import drawn_decibels, vrt, write

GRID = {"crs": "EPSG:32614", "transform": from_origin(500_000, 4_700_000, 10, 10)}


@pytest.fixture(scope="module")
def scene() -> SimulatedScene:
    return simulate_scene((400, 504), np.random.default_rng(4))


@pytest.fixture(scope="module")
def raster(scene: SimulatedScene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VV and VH of the scene in decibels."""
    path = tmp_path_factory.mktemp("raster") / "s1_scene.tif"
    bands = decibels_of(scene)
    _, height, width = bands.shape
    with rasterio.open(path, "w", "GTiff", width, height, 2, dtype="float32", **GRID) as file:
        file.write(bands)
        file.descriptions = ("VV", "VH")
    return path


@pytest.fixture(scope="module")
def copied(trained: Callable[[str], WorkPaths], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders of the champion and its parents alone: no raw data, no processed arrays."""
    work = tmp_path_factory.mktemp("copy")
    for name in ("champion", "unet_light", "pixel_lgbm"):
        shutil.copytree(trained("etci_flood").experiment(name), work / name)
    return work


@pytest.fixture(scope="module")
def model(copied: Path) -> FloodPredictor:
    return load("champion", copied)


def test_the_champion_maps_a_raster_by_the_command_line_and_from_a_copy_alike(
    trained: Callable[[str], WorkPaths],
    model: FloodPredictor,
    copied: Path,
    scene: SimulatedScene,
    raster: Path,
    tmp_path: Path,
) -> None:
    work = WorkPaths(tmp_path / "work")
    shutil.copytree(trained("etci_flood").work, work.work)  # other tests check the files of the original
    flags = ("--work", work.work, "--geotiff", raster)
    done = run_stage("etci_flood", 3, *flags)
    assert done.code == 0, done.text
    (target,) = (work.experiment("champion") / "geotiff").glob("s1_scene-*_flood.tif")
    with rasterio.open(target) as file:
        flood = file.read(1)
    assert flood.shape == scene.flood.shape
    assert set(np.unique(flood)) <= {0, 1}
    assert flood[scene.flood].mean() > 2 * flood[~scene.flood].mean(), "flood is predicted where it is"
    record = read_record(target.with_name(target.name.replace("_flood.tif", ".run.json")))
    assert "VV = band 1 'VV', VH = band 2 'VH'" in " ".join(record.understood)
    assert record.metrics["pixels_mapped"] == scene.flood.size
    assert "done already" in run_stage("etci_flood", 3, *flags).text
    assert work.test_record("champion").is_file(), "the test tiles' maps are not changed"

    assert sorted(path.name for path in copied.iterdir()) == ["champion", "pixel_lgbm", "unet_light"]
    assert np.array_equal(model.predict(raster), flood)
    written = model.predict(raster, out=tmp_path / "flood.tif")
    assert written.read_bytes() == target.read_bytes()


def test_done_already_looks_at_every_file_and_names_tell_settings_apart(
    trained: Callable[[str], WorkPaths], tmp_path: Path
) -> None:
    work = WorkPaths(tmp_path / "work")
    shutil.copytree(trained("etci_flood").work, work.work)
    decibels = drawn_decibels()
    folder = tmp_path / "a"
    vv = write(folder / "vv.tif", decibels[:1], None)
    write(folder / "vh.tif", decibels[1:], None)
    (folder / "s1.vrt").write_text(vrt([("VV", "vv.tif"), ("VH", "vh.tif")]))
    flags = ("--work", work.work, "--geotiff", folder / "s1.vrt")
    first = run_stage("etci_flood", 3, *flags)
    assert first.code == 0, first.text
    assert "understood: " in first.text
    assert "done already" in run_stage("etci_flood", 3, *flags).text
    wetter = decibels[:1].copy()
    wetter[:, :60] = -21
    wetter[:, :60] += np.random.default_rng(0).normal(0, 1, (60, wetter.shape[2]))
    write(vv, wetter, None)
    again = run_stage("etci_flood", 3, *flags)
    assert "done already" not in again.text, "a source of the VRT has changed"
    (folder / "vv.tif.aux.xml").write_text("<PAMDataset><SRS>EPSG:32648</SRS></PAMDataset>")
    assert "done already" not in run_stage("etci_flood", 3, *flags).text, "a side-car file has come"
    outputs = work.experiment("champion") / "geotiff"
    assert len(list(outputs.glob("*_flood.tif"))) == 1

    other = write(tmp_path / "b" / "s1.tif", decibels)
    for more in ((), ("--nodata", "none")):
        done = run_stage("etci_flood", 3, "--work", work.work, "--geotiff", other, *more)
        assert done.code == 0, done.text
    assert len(list(outputs.glob("s1-*_flood.tif"))) == 3, "one for each file and setting"
    refused = run_stage("etci_flood", 3, "--work", work.work, "--geotiff", other, "--units", "linear")
    assert refused.code == 2
    assert "100% of the values are negative" in refused.text
    assert len(list(outputs.glob("s1-*_flood.tif"))) == 3


def test_arrays_are_mapped_as_rasters_are(model: FloodPredictor, scene: SimulatedScene, raster: Path) -> None:
    decibels = decibels_of(scene)
    flood = model.predict(decibels)
    assert (flood.dtype, flood.shape) == (np.uint8, scene.flood.shape)
    assert np.array_equal(flood, model.predict(raster))
    decibels[:, :20] = np.nan
    probability = model.predict_probability(decibels, water=scene.water)
    assert np.isnan(probability[:20]).all()
    assert ((probability[20:] >= 0) & (probability[20:] <= 1)).all()
    assert (model.predict(decibels)[:20] == 255).all()


def test_settings_and_decision_are_those_of_the_run(model: FloodPredictor) -> None:
    assert (model.settings.name, model.settings.parents) == ("champion", ["unet_light", "pixel_lgbm"])
    assert 0 < model.decision["threshold"] < 256
    assert sum(model.decision["weights"]) == pytest.approx(1)


def test_mistakes_are_one_clear_line(
    model: FloodPredictor, copied: Path, raster: Path, tmp_path: Path
) -> None:
    decibels = np.zeros((2, 64, 64), np.float32)
    for call, words in (
        (lambda: load("unet_tta", copied), "'unet_tta' is not trained there"),
        (lambda: model.predict(tmp_path / "missing.tif"), "no such raster file"),
        (lambda: model.predict(decibels[0]), r"expected floating-point VV and VH"),
        (lambda: model.predict(decibels.astype(np.uint8)), "type uint8; expected floating-point"),
        (lambda: model.predict(decibels, water=decibels), "water has shape"),
        (lambda: model.predict(decibels, water=raster), "water: expected an array"),
        (lambda: model.predict(raster, water=decibels[0]), "water: expected the path"),
        (lambda: model.write_geotiff(decibels, tmp_path / "out.tif"), "an array has no grid"),
    ):
        with pytest.raises(InputError, match=words):
            call()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--geotiff", "missing.tif"], "no such raster file; check --geotiff"),
        (["--water", "water.tif"], "--water: for --geotiff"),
        (["--units", "db", "--bands", "VV=1,VH=2"], "--bands, --units: for --geotiff"),
        (["--geotiff", "https://example.org/s1.tif"], "download the file first"),
        (["--geotiff", "a.tif", "--water-value", "80"], "--water-value: is for --water"),
        (["--geotiff", "a.tif", "--nodata", "few"], "--nodata 'few': expected numbers"),
        (["--geotiff", "a.tif", "--bands", "1,2"], "--bands '1,2': expected VV=<band>,VH=<band>"),
    ],
)
def test_wrong_flags_end_in_one_line(copied: Path, flags: list[str], words: str) -> None:
    done = run_stage("etci_flood", 3, "--work", copied, *flags)
    assert done.code == 2
    assert words in done.text


SHARES_OF_WATER = (0.05, 0.3, 0.45, 0.6, 0.9)


def agreement(first: np.ndarray, second: np.ndarray) -> float:
    """IoU of two masks."""
    return float(((first == 1) & (second == 1)).sum() / ((first == 1) | (second == 1)).sum())


IN_THE_WATER = pytest.mark.xfail(
    strict=False,
    reason="a crop that begins in the water: the model of the small sample maps some of it as land",
)


@pytest.mark.parametrize(
    "share",
    [pytest.param(share, marks=IN_THE_WATER) if share == 0.45 else share for share in SHARES_OF_WATER],
)
def test_every_crop_is_mapped_as_the_whole_is(model: FloodPredictor, share: float) -> None:
    """The share of water in a crop may be anything: levels depend on backscatter alone."""
    rng = np.random.default_rng(round(100 * share))
    raster = simulate_raster((460, 500), share, rng, RasterLook(wind=0.2))
    whole = model.predict(raster.decibels)
    assert agreement(whole, raster.water) > 0.7
    for _ in range(3):
        height, width = rng.integers(120, 320, 2)
        top, left = rng.integers(0, 460 - height), rng.integers(0, 500 - width)
        crop = np.s_[top : top + height, left : left + width]
        of_whole = whole[crop]
        if not 0.05 < raster.water[crop].mean() < 0.95:
            continue
        assert agreement(model.predict(raster.decibels[:, *crop]), of_whole) >= 0.9, (share, crop)


def test_rasters_full_of_water_and_full_of_land(model: FloodPredictor) -> None:
    for share, expected in ((1.0, 1.0), (0.0, 0.0)):
        look = RasterLook(wind=0.0, dark_soil=0.0)
        raster = simulate_raster((200, 240), share, np.random.default_rng(5), look)
        lines: list[str] = []
        assert (model.predict(raster.decibels, tell=lines.append) == 1).mean() == pytest.approx(
            expected, abs=0.03
        )
        assert ("all of it is water" in " ".join(lines)) == (share == 1)


def test_a_model_without_anchors_is_refused_in_one_line(copied: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(copied, old)
    record = WorkPaths(old).oof_record("champion")
    content = json.loads(record.read_text())
    del content["decision"]["backscatter_anchors"]
    record.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"run 2_train_folds\.py --experiment champion again"):
        load("champion", old)
