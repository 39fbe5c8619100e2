"""A newcomer's folder of photos: every format, every fault."""

import csv
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from common.base.errors import InputError
from common.base.paths import WorkPaths
from common.files.weights import save_weights
from common.learn.seeding import seed_everything
from competitions.face_counting.competition import COMPETITION
from competitions.face_counting.data.stored_pictures import StoredPictures
from competitions.face_counting.experiment import DetectorSettings
from competitions.face_counting.models.base import 
from competitions.face_counting.predict.photos import MAX_SIDE, BATCH, count_pictures, photo_files
from tests.conftest import run_stage

Command = Callable[..., tuple[int, str]]
Trained = Callable[[str], WorkPaths]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Photos of 120 x 80 px, left half red, in many formats; one that is upright by its EXIF tag alone."""
    folder = tmp_path / "photos"
    (folder / "trip").mkdir(parents=True)
    pixels = np.zeros((80, 120, 3), np.uint8)
    pixels[:, :60, 0] = 255
    picture = Image.fromarray(pixels)
    picture.save(folder / "plain.jpg", quality=95)
    picture.save(folder / "trip" / "photo.PNG")
    picture.convert("RGBA").save(folder / "alpha.png")
    picture.convert("L").save(folder / "grey.jpeg")
    picture.convert("CMYK").save(folder / "print.jpg", quality=95)
    picture.save(folder / "small.webp")
    picture.convert("P").save(folder / "palette.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to see it upright
    picture.save(folder / "turned.jpg", exif=exif)
    (folder / "notes.txt").write_text("no picture")
    (folder / "broken.jpg").write_bytes((folder / "plain.jpg").read_bytes()[:200])
    (folder / "empty.png").write_bytes(b"")
    return folder


def _one_box_each(stored: StoredPictures) -> list[tuple[float, npt.NDArray[np.float32]]]:
    sizes = stored.pictures[["width", "height"]].to_numpy(np.float32)
    return [(1.234, np.array([[0, 0, width, height]], np.float32)) for width, height in sizes]


def _rows(file: Path) -> list[list[str]]:
    with file.open(newline="") as lines:
        return list(csv.reader(lines))


def test_every_photo_is_counted_and_faults_are_told(photos: Path, tmp_path: Path) -> None:
    seen: dict[str, tuple[int, ...]] = {}

    def look(stored: StoredPictures) -> list[tuple[float, npt.NDArray[np.float32]]]:
        for row, name in enumerate(stored.names):
            picture = stored.picture(row)
            seen[name] = picture.shape
            if "grey" not in name:
                assert picture[5, 5, 0] > 200, name
        return _one_box_each(stored)

    unreadable = count_pictures(photos, tmp_path / "out", look, save_pictures=True)
    assert sorted(line.split(":")[0].rsplit("/", 1)[-1] for line in unreadable) == ["broken.jpg", "empty.png"]
    rows = _rows(tmp_path / "out" / "counts.csv")
    assert rows[0] == ["Name", "HeadCount", "Faces"]
    names = [row[0] for row in rows[1:]]
    assert names == sorted(names)
    assert len(names) == 8
    assert "trip/photo.PNG" in names
    assert {tuple(row[1:]) for row in rows[1:]} == {("1.23", "1")}
    assert seen["turned.jpg"] == (120, 80, 3)
    assert seen["plain.jpg"] == (80, 120, 3)
    for name in names:
        with Image.open(tmp_path / "out" / "pictures" / f"{name}.jpg") as drawn:
            assert drawn.size == seen[name][1::-1]


def test_large_photos_are_counted_in_their_own_pixels(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.new("RGB", (2 * MAX_SIDE, 300)).save(tmp_path / "in" / "wide.png")
    shapes = []

    def look(stored: StoredPictures) -> list[tuple[float, npt.NDArray[np.float32]]]:
        shapes.append(stored.picture(0).shape)
        return _one_box_each(stored)

    assert count_pictures(tmp_path / "in", tmp_path / "out", look, save_pictures=False) == []
    assert shapes == [(150, MAX_SIDE, 3)]
    assert not (tmp_path / "out" / "pictures").exists()


def test_many_photos_come_in_batches_in_order(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    number = 2 * BATCH + 3
    for row in range(number):
        Image.new("RGB", (8, 8)).save(tmp_path / "in" / f"{row:03}.png")
    sizes = []

    def look(stored: StoredPictures) -> list[tuple[float, npt.NDArray[np.float32]]]:
        sizes.append(len(stored))
        return _one_box_each(stored)

    count_pictures(tmp_path / "in", tmp_path / "out", look, save_pictures=False)
    assert sizes == [BATCH, BATCH, 3]
    names = [row[0] for row in _rows(tmp_path / "out" / "counts.csv")[1:]]
    assert names == [f"{row:03}.png" for row in range(number)]


def test_folders_without_a_picture(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no pictures; expected files"):
        photo_files(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        photo_files(tmp_path / "nowhere")
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError, match="none of 1 pictures can be read"):
        count_pictures(tmp_path, tmp_path / "out", _one_box_each, save_pictures=False)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def infer(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run 3_infer.py; returns exit code and what it said."""

    def call(*flags: str | Path) -> tuple[int, str]:
        argv = ["3_infer.py", "--work", str(tmp_path / "work"), "--device", "cpu", *map(str, flags)]
        monkeypatch.setattr(sys, "argv", argv)
        try:
            runpy.run_path(str(COMPETITION.folder / "3_infer.py"), run_name="__main__")
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return call


def test_given_weights_count_photos(infer: Command, photos: Path, tmp_path: Path) -> None:
    seed_everything(1)
    network = build_detector(DetectorSettings(family="retinaface"))
    save_weights(tmp_path / "given" / "retinaface_mobilenet0.25.safetensors", network.state_dict())
    code, text = infer("--images", photos, "--save-pictures", "--weights", tmp_path / "given")
    assert code == 0, text
    assert "untouched, thresholds not tuned" in text
    assert text.count("survived:") == 2
    out = tmp_path / "work" / "champion" / "images"
    assert len(_rows(out / "counts.csv")) == 9
    assert len(list((out / "pictures").rglob("*.jpg"))) == 8


def test_networks_of_the_sample_data_say_so(trained: Trained, photos: Path, tmp_path: Path) -> None:
    # In a copy: other tests hold every file of the work folder against its records.
    work = shutil.copytree(trained("face_counting").work, tmp_path / "work")
    done = run_stage("face_counting", 3, "--images", photos, "--work", work)
    assert done.code == 0, done.text
    assert "trained on drawn sample faces" in done.text
    assert len(_rows(work / "champion" / "images" / "counts.csv")) == 9


def test_photos_without_a_training_end_in_one_line(infer: Command, photos: Path, tmp_path: Path) -> None:
    for flags, words in (
        (["--images", photos], "no trained networks of champion"),
        (["--images", tmp_path / "nowhere"], "does not exist"),
        (["--save-pictures"], "give their folder with --images"),
        (["--images", photos, "--experiment", "winner"], "unknown experiment 'winner'"),
        (["--images", photos, "--weights", tmp_path / "nowhere.pt"], "nowhere.pt"),
        (
            ["--images", photos, "--weights", photos, "--experiment", "yolov5n_from_scratch"],
            "starts from no weights",
        ),
    ):
        code, text = infer(*flags)
        assert code == 2, text
        assert words in text
        assert len([line for line in text.splitlines() if line.startswith("error: ")]) == 1
        assert "Traceback" not in text
    assert not (tmp_path / "work").exists()
