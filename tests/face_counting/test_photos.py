"""Photos of the user's own: all formats and all faults."""

import csv
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.base.errors import InputError
from common.base.paths import WorkPaths
from common.files.weights import save_weights
from common.learn.arrays import Float64
from common.learn.seeding import seed_everything
from common.run.run_record import read_record
from competitions.face_counting.competition import COMPETITION
from competitions.face_counting.experiment import DetectorSettings
from competitions.face_counting.models.factory import build_detector
from competitions.face_counting.predict import photos as photos_module
from competitions.face_counting.predict.photos import BATCH, Photo, find_photos, save_drawing
from tests.conftest import outcome, run_stage, written_files
from tests.face_counting.stub_counter import Stub

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


def _one_box_each(photos: list[Photo]) -> list[tuple[float, Float64]]:
    return [(1.234, np.array([[0.0, 0, *photo.pixels.shape[1::-1]]])) for photo in photos]


def _result(work: Path) -> Path:
    """The one folder of results."""
    (record,) = (work / "champion" / "images").glob("*/counts.run.json")
    return record.parent


def _rows(file: Path) -> list[list[str]]:
    with file.open(newline="") as lines:
        return list(csv.reader(lines))


def test_every_photo_is_counted_and_faults_are_warnings(photos: Path, tmp_path: Path) -> None:
    seen: dict[str, tuple[int, ...]] = {}

    def count(photos: list[Photo]) -> list[tuple[float, Float64]]:
        for photo in photos:
            seen[photo.name] = photo.pixels.shape
            if "grey" not in photo.name:
                assert photo.pixels[5, 5, 0] > 200, photo.name
        return _one_box_each(photos)

    unreadable: list[str] = []
    counted = list(Stub(count).count_photos(photos, unreadable.append))
    assert sorted(line.split(":")[0].rsplit("/", 1)[-1] for line in unreadable) == ["broken.jpg", "empty.png"]
    names = [each.photo.name for each in counted]
    assert names == sorted(names)
    assert len(names) == 8
    assert "trip/photo.PNG" in names
    assert seen["turned.jpg"] == (120, 80, 3)
    assert seen["plain.jpg"] == (80, 120, 3)
    for each in counted:
        with Image.open(save_drawing(tmp_path / "out", each.photo, each.count, each.boxes)) as drawn:
            assert drawn.size == seen[each.photo.name][1::-1]
    assert (tmp_path / "out" / "trip" / "photo.PNG.jpg").is_file()


def test_predict_returns_a_table_and_warns(photos: Path) -> None:
    with pytest.warns(UserWarning, match=r"broken\.jpg|empty\.png"):
        table = Stub(_one_box_each).predict(photos)
    assert table.columns.tolist() == ["Name", "HeadCount", "Faces"]
    assert len(table) == 8
    assert set(table["HeadCount"]) == {1.234}
    assert set(table["Faces"]) == {1}


def test_photos_beyond_the_limit_are_reduced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos_module, "MAX_PIXELS", 60_000)
    Image.new("RGB", (800, 300)).save(tmp_path / "wide.png")
    (each,) = Stub(_one_box_each).count_photos(tmp_path / "wide.png", pytest.fail)
    assert each.photo.name == "wide.png"
    assert each.photo.pixels.shape == (150, 400, 3)
    assert each.photo.scale == 2


def test_many_photos_come_in_batches_in_order(tmp_path: Path) -> None:
    number = 2 * BATCH + 3
    for row in range(number):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{row:03}.png")
    sizes = []

    def count(photos: list[Photo]) -> list[tuple[float, Float64]]:
        sizes.append(len(photos))
        return _one_box_each(photos)

    table = Stub(count).predict(tmp_path)
    assert sizes == [BATCH, BATCH, 3]
    assert table["Name"].tolist() == [f"{row:03}.png" for row in range(number)]


def test_folders_without_a_photo(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no photos \(it is empty\); expected files"):
        find_photos(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        find_photos(tmp_path / "nowhere")
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with (
        pytest.warns(UserWarning, match="a.jpg"),
        pytest.raises(InputError, match="none of 1 photos is readable"),
    ):
        Stub(_one_box_each).predict(tmp_path)


@pytest.fixture
def infer(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run 3_infer.py; returns exit code and its output."""

    def call(*flags: str | Path) -> tuple[int, str]:
        argv = ["3_infer.py", "--work", str(tmp_path / "work"), "--device", "cpu", *map(str, flags)]
        monkeypatch.setattr(sys, "argv", argv)
        return outcome(
            lambda: runpy.run_path(str(COMPETITION.folder / "3_infer.py"), run_name="__main__"), capsys
        )

    return call


def test_given_weights_count_photos(infer: Command, photos: Path, tmp_path: Path) -> None:
    seed_everything(1)
    network = build_detector(DetectorSettings(family="retinaface"))
    save_weights(tmp_path / "given" / "retinaface_mobilenet0.25.safetensors", network.state_dict())
    code, text = infer("--images", photos, "--save-pictures", "--weights", tmp_path / "given")
    assert code == 0, text
    assert "off the shelf, thresholds not tuned" in text
    assert text.count("warning:") == 2
    out = _result(tmp_path / "work")
    rows = _rows(out / "counts.csv")
    assert rows[0] == ["Name", "HeadCount", "Faces"]
    assert len(rows) == 9
    assert len(list((out / "pictures").rglob("*.jpg"))) == 8
    record = read_record(out / "counts.run.json")
    assert (record.stage, record.warnings_count, len(record.outputs)) == ("own_data", 2, 9)

    code, text = infer("--images", photos, "--save-pictures", "--weights", tmp_path / "given")
    assert (code, "done already" in text) == (0, True), text


def test_networks_trained_on_sample_data_say_so(trained: Trained, photos: Path, tmp_path: Path) -> None:
    # In a copy, because other tests compare every file of the work folder with its records.
    work = shutil.copytree(trained("face_counting").work, tmp_path / "work")
    done = run_stage("face_counting", 3, "--images", photos, "--work", work)
    assert done.code == 0, done.text
    assert "trained on the synthetic sample data" in done.text
    assert len(_rows(_result(work) / "counts.csv")) == 9


def test_photos_without_a_training_end_in_one_line(infer: Command, photos: Path, tmp_path: Path) -> None:
    for flags, words in (
        (["--images", photos], "'champion' is not trained there"),
        (["--images", tmp_path / "nowhere"], "does not exist"),
        (["--save-pictures"], "need own photos: give their folder with --images"),
        (["--images", photos, "--experiment", "winner"], "winner"),
        (["--images", photos, "--weights", tmp_path / "nowhere.pt"], "nowhere.pt"),
        (
            ["--images", photos, "--weights", photos, "--experiment", "yolov5n_from_scratch"],
            "does not use pretrained weights",
        ),
    ):
        code, text = infer(*flags)
        assert code == 2, text
        assert words in text
        assert len([line for line in text.splitlines() if line.startswith("error: ")]) == 1
        assert "Traceback" not in text
    assert not written_files(tmp_path / "work")
