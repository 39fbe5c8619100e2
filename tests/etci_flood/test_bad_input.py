"""What users get wrong, through the real stages."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from common.run.run_record import read_record
from competitions.etci_flood.data.layout import find_tiles
from competitions.etci_flood.data.tiles import write_tile_arrays
from tests.conftest import run_stage, written_files
from tests.etci_flood.official_folder import write_competition, write_image, write_scene

SLUG = "etci_flood"


def one_line(text: str) -> str:
    errors = [line for line in text.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, text
    assert "Traceback" not in text
    return errors[0]


@pytest.mark.parametrize("case", ["inside", "no test", "no labels", "wrong order"])
def test_a_wrong_folder_ends_in_one_line(tmp_path: Path, case: str) -> None:
    data = write_competition(tmp_path / "data")
    words = {
        "inside": "no training tiles",
        "no test": "no test tiles",
        "no labels": "no tile has all of vv, vh and flood_label",
        "wrong order": "does not name a tile",
    }
    if case == "inside":
        data = data / "train"
    elif case == "no test":
        for split in ("test", "test_internal"):
            (data / split).rename(tmp_path / split)
    elif case == "no labels":
        for number, labels in enumerate(data.glob("*/*/tiles/flood_label")):
            labels.rename(tmp_path / f"labels{number}")
    else:
        (data / "test_sentinel.csv").write_text("tile\n")
    done = run_stage(SLUG, 1, "--data", data, "--work", tmp_path / "work")
    assert done.code == 2, done.text
    assert words[case] in one_line(done.text)
    assert written_files(tmp_path / "work") == []


def test_damaged_images_are_reported_and_cut_short_arrays_refused(tmp_path: Path) -> None:
    data, work = write_competition(tmp_path / "data"), tmp_path / "work"
    write_scene(data / "train", "northal_20190302t234651", [(0, y) for y in range(4)])
    write_scene(data / "test_internal", "northal_20190302t234651", [(5, y) for y in range(3)], False)
    vv = sorted(data.glob("train/*/tiles/vv/*.png"))
    vv[0].write_bytes(vv[0].read_bytes()[:200])
    vv[1].write_bytes(b"not an image")
    test_vh = sorted(data.glob("test_internal/*/tiles/vh/*.png"))
    test_vh[0].unlink()
    test_vh[1].write_bytes(b"")
    done = run_stage(SLUG, 1, "--data", data, "--work", work, "--profile", "sample")
    assert done.code == 0, done.text
    record = read_record(work / "processed" / "run.json")
    assert record.warnings_count == 4
    tiles = pd.read_parquet(work / "processed" / "tiles.parquet")
    assert (~tiles["readable"]).sum() == 4
    assert (tiles.loc[~tiles["readable"], "fold_spatial"] == -1).all()
    assert (~tiles["labelled"]).sum() == 6, "every test tile keeps its place in the submission"

    array = work / "processed" / "vh.npy"
    array.write_bytes(array.read_bytes()[:1000])
    done = run_stage(SLUG, 2, "--work", work, "--profile", "sample")
    assert done.code == 2, done.text
    assert "vh.npy: missing, or not as 1_preprocess.py wrote it" in one_line(done.text)
    assert not (work / "champion").exists() or written_files(work / "champion") == []


def test_a_folder_of_mostly_damaged_tiles_is_refused(tmp_path: Path) -> None:
    data, work = write_competition(tmp_path / "data"), tmp_path / "work"
    for image in sorted(data.glob("test_internal/*/tiles/vv/*.png"))[:2]:
        image.write_bytes(b"not an image")
    done = run_stage(SLUG, 1, "--data", data, "--work", work)
    assert done.code == 2, done.text
    error = one_line(done.text)
    assert "2 of 3 tiles to predict cannot be used" in error
    assert "the first: " in error
    assert written_files(work) == []


def test_tiles_of_both_splits_are_refused(tmp_path: Path) -> None:
    data, work = write_competition(tmp_path / "data"), tmp_path / "work"
    write_scene(data / "train", "redrivernorth_20190104t002247", [(0, 9)])
    done = run_stage(SLUG, 1, "--data", data, "--work", work)
    assert done.code == 2, done.text
    assert "1 tiles are in the training split and in the test split" in one_line(done.text)
    assert written_files(work) == []


def test_arrays_hold_the_images(tmp_path: Path) -> None:
    write_scene(tmp_path / "data" / "train", "a_20170213t002121", [(0, 9), (0, 10), (1, 2)], mark=True)
    write_scene(tmp_path / "data" / "test", "b_20170213t002121", [(2, 3)], labelled=False, mark=True)
    for label in tmp_path.glob("data/train/*/tiles/flood_label/*.png"):
        write_image(label, 255)
    done = run_stage(SLUG, 1, "--data", tmp_path / "data", "--work", tmp_path / "work")
    assert done.code == 0, done.text
    assert "phase 1 (test) is predicted" in done.text
    folder = tmp_path / "work" / "processed"
    tiles = pd.read_parquet(folder / "tiles.parquet")
    vv = np.load(folder / "vv.npy")
    assert vv.dtype == np.uint8
    assert (vv == (16 * tiles["x"] + tiles["y"]).to_numpy()[:, None, None]).all()
    assert np.array_equal(np.load(folder / "flood.npy"), np.ones((3, 256, 256), np.uint8))


def test_no_data_does_not_enter_a_scenes_scale(tmp_path: Path) -> None:
    write_scene(tmp_path / "train", "a_20170213t002121", [(0, 1), (0, 2)])
    write_scene(tmp_path / "test", "b_20170213t002121", [(2, 3)], labelled=False)
    for file in tmp_path.glob("train/*/tiles/v[vh]/*y-1_*.png"):
        half = np.full((256, 256, 3), 100, np.uint8)
        half[:200] = 0
        Image.fromarray(half).save(file)
    found = find_tiles(tmp_path)
    table, _ = write_tile_arrays(tmp_path / "out", found.labelled, found.predicted, pytest.fail)
    assert np.allclose(table["vv_centre"], 100, atol=1)


def test_missing_imagenet_weights_end_in_one_line(tmp_path: Path) -> None:
    data, work = write_competition(tmp_path / "data"), tmp_path / "work"
    flags = ("--work", work, "--experiment", "unet_resnet34_imagenet", "--profile", "full")
    done = run_stage(SLUG, 1, "--data", data, *flags)
    assert done.code == 0, done.text
    done = run_stage(SLUG, 2, *flags)
    assert done.code == 2, done.text
    assert "--weights DIR" in one_line(done.text)
