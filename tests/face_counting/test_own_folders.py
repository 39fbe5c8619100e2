"""Folders as people have them: odd names, odd files, results inside, interruptions."""

import csv
import os
import runpy
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.files.weights import save_weights
from common.learn.arrays import Float64
from common.run.run_record import read_record
from competitions.face_counting.competition import COMPETITION
from competitions.face_counting.predict.counts_file import GrowingCounts
from competitions.face_counting.predict.photos import (
    MAX_NAME_BYTES,
    Photo,
    drawing_name,
    find_photos,
    photo_name,
    photo_path,
)
from competitions.face_counting.predict.predictor import FaceCounter
from tests.conftest import outcome
from tests.face_counting.stub_counter import Stub

Infer = Callable[..., tuple[int, str]]


class Shades(Stub):
    """Counts the mean grey value of a photo in place of its faces, so that a wrong reading shows."""

    def __init__(self) -> None:
        super().__init__(self._shades)
        self.seen: list[str] = []
        self.origin = "a stub"

    def _shades(self, photos: list[Photo]) -> list[tuple[float, Float64]]:
        self.seen += [photo.name for photo in photos]
        return [(float(photo.pixels.mean()), np.array([[1.0, 1.0, 9.0, 9.0]])) for photo in photos]


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Shades:
    stub = Shades()
    monkeypatch.setattr(FaceCounter, "from_weights", lambda *_: stub)
    return stub


@pytest.fixture
def infer(
    tmp_path: Path, counter: Shades, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Infer:
    """Run 3_infer.py --weights on a folder; returns exit code and output."""
    save_weights(tmp_path / "weights.safetensors", {})

    def call(folder: Path, *flags: str | Path, work: Path = tmp_path / "work") -> tuple[int, str]:
        counter.seen.clear()
        argv = ["3_infer.py", "--images", folder, "--weights", tmp_path / "weights.safetensors"]
        monkeypatch.setattr(sys, "argv", [*map(str, argv), "--work", str(work), *map(str, flags)])
        return outcome(
            lambda: runpy.run_path(str(COMPETITION.folder / "3_infer.py"), run_name="__main__"), capsys
        )

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three grey photos."""
    made = tmp_path / "photos"
    made.mkdir()
    for row in range(3):
        _grey(made / f"{row}.png", 40 * row + 20)
    return made


def _grey(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        Image.new("RGB", (24, 16), (value,) * 3).save(file, "PNG")


def _result(work: Path) -> Path:
    (record,) = work.glob("champion/images/*/counts.run.json")
    return record.parent


def _rows(work: Path) -> dict[str, str]:
    with (_result(work) / "counts.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["Name", "HeadCount", "Faces"]
    assert len({row[0] for row in rows}) == len(rows)
    return {name: count for name, count, _ in rows[1:]}


# ---- names


ODD_NAMES = [
    b"caf\xe9.png",  # Latin-1
    b"\xff\xfe\x00k.png".replace(b"\x00", b"\x01"),
    b"two\nlines.png",
    b"back\\slash.png",
    b"not\\xe9escaped.png",
    b'quo"te, comma;.png',
    "面孔.png".encode(),
    b"tab\there.png",
    b"=cmd.png",
    "\u0085next.png".encode(),
    b" space .png",
    ("面" * 83 + ".png").encode(),  # 253 bytes
]


def test_names_of_all_kinds_keep_their_rows_and_round_trip(infer: Infer, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    for row, name in enumerate(ODD_NAMES):
        _grey(folder / os.fsdecode(name), 10 * row)
    code, text = infer(folder, "--save-pictures")
    assert code == 0, text
    rows = _rows(tmp_path / "work")
    assert len(rows) == len(ODD_NAMES)
    for row, name in enumerate(ODD_NAMES):
        path = folder / os.fsdecode(name)
        written = photo_name(path, folder)
        assert photo_path(written, folder) == path
        assert float(rows[written]) == 10 * row
        assert written.isprintable() or "\u3000" in written
    assert "caf\\xe9.png" in rows
    assert "面孔.png" in rows
    pictures = list((_result(tmp_path / "work") / "pictures").iterdir())
    assert len(pictures) == len(ODD_NAMES)
    assert all(len(os.fsencode(path.name)) < 255 for path in pictures)
    read_record(_result(tmp_path / "work") / "counts.run.json")


def test_long_names_of_drawn_pictures_differ() -> None:
    long = "x" * 245
    names = {drawing_name(f"{long}{row}.png") for row in range(3)}
    assert len(names) == 3
    assert all(len(name) <= MAX_NAME_BYTES + 4 for name in names)
    assert drawing_name("trip/a.png") == "trip/a.png.jpg"


# ---- files


def test_what_pillow_reads_is_counted_and_the_rest_is_told_by_number(
    infer: Infer, tmp_path: Path, folder: Path
) -> None:
    picture = Image.new("RGB", (24, 16), (90, 90, 90))
    for suffix in (
        "jfif",
        "jpe",
        "JPG",
        "tif",
        "TIFF",
        "bmp",
        "gif",
        "webp",
        "jp2",
        "avif",
        "mpo",
        "ppm",
        "tga",
    ):
        kind = {"jfif": "JPEG", "jpe": "JPEG", "JPG": "JPEG", "tif": "TIFF", "jp2": "JPEG2000", "mpo": "MPO"}
        picture.save(folder / f"a.{suffix}", kind.get(suffix))
    for name in ("notes.txt", "clip.mp4", "clip2.mp4", "raw.cr2", ".hidden.jpg", "Thumbs.db"):
        (folder / name).write_bytes(b"no picture")
    picture.save(folder / "@eaDir.png")
    for inside in ("@eaDir/a.jpg", ".thumbnails/b.png", "__MACOSX/c.jpg"):
        (folder / inside).parent.mkdir(exist_ok=True)
        picture.save(folder / inside)
    (folder / "link").symlink_to(tmp_path, target_is_directory=True)
    (folder / "circle").symlink_to(folder, target_is_directory=True)
    (folder / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    code, text = infer(folder)
    assert code == 0, text
    rows = _rows(tmp_path / "work")
    assert len(rows) == 3 + 13 + 1
    assert all(abs(float(count) - 90) <= 2 for name, count in rows.items() if name.startswith("a."))
    (line,) = [line for line in text.splitlines() if "understood: 17 photos" in line]
    for words in (
        "5 files of other kinds (",
        ".mp4 2",
        ".txt 1",
        "4 hidden",
        "2 links to folders",
        "1 link that",
    ):
        assert words in line, line
    assert read_record(_result(tmp_path / "work") / "counts.run.json").understood[0] in line


def test_depths_and_turned_photos_are_read_as_they_are_seen(
    infer: Infer, tmp_path: Path, folder: Path
) -> None:
    Image.fromarray(np.full((16, 24), 100 * 257, np.uint16)).save(folder / "grey16.png")
    Image.fromarray(np.full((16, 24), 100 / 255, np.float32)).save(folder / "float.tif")
    Image.fromarray(np.tile([[0, 255]], (16, 12)).astype(bool)).save(folder / "fax.png")
    code, text = infer(folder)
    assert code == 0, text
    rows = _rows(tmp_path / "work")
    assert float(rows["grey16.png"]) == pytest.approx(100, abs=8)
    assert float(rows["float.tif"]) == pytest.approx(100, abs=1)
    assert float(rows["fax.png"]) == pytest.approx(127.5, abs=1)


def _exif(photo: bytes, kind: int, value: bytes) -> bytes:
    """A JPEG with an orientation of that EXIF type."""
    entry = struct.pack("<HHI4s", 0x0112, kind, 1, value)
    block = b"Exif\0\0II*\0\x08\0\0\0\1\0" + entry + bytes(4)
    return photo[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + photo[2:]


def test_one_odd_photo_never_ends_the_run(infer: Infer, tmp_path: Path, folder: Path) -> None:
    Image.new("RGB", (24, 16), (90, 90, 90)).save(folder / "good.jpg")
    Image.new("RGB", (24, 16), (90, 90, 90)).save(folder / "good.avif")
    good, avif = (folder / "good.jpg").read_bytes(), (folder / "good.avif").read_bytes()
    for kind in (1, 2, 3, 5, 7, 10, 12):
        (folder / f"exif{kind}.jpg").write_bytes(_exif(good, kind, b"\6\0\0\0"))
    (folder / "cut.avif").write_bytes(avif[: len(avif) * 2 // 3])
    (folder / "cut.jpg").write_bytes(good[:150])
    (folder / "page.jpg").write_text("<html>404</html>")
    (folder / "empty.gif").write_bytes(b"")
    (folder / "riff.webp").write_bytes(b"RIFF\xff\xff\xff\xffWEBPVP8 ")
    bomb = Image.new("1", (30000, 30000))
    bomb.save(folder / "bomb.png")
    code, text = infer(folder)
    assert code == 0, text
    rows = _rows(tmp_path / "work")
    assert {"0.png", "1.png", "2.png", "good.jpg", "good.avif", "exif3.jpg"} <= rows.keys()
    record = read_record(_result(tmp_path / "work") / "counts.run.json")
    unread = {line.split(": ")[0].rsplit("/", 1)[-1] for line in record.warnings}
    assert {"cut.avif", "page.jpg", "empty.gif", "riff.webp", "bomb.png"} <= unread
    assert len(rows) + len(unread) == 3 + 2 + 7 + 6


def test_the_answer_says_how_large_photos_are_seen(infer: Infer, tmp_path: Path) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    Image.new("RGB", (2560, 1280)).save(folder / "large.png")
    Image.new("RGB", (64, 48)).save(folder / "small.png")
    code, text = infer(folder)
    assert code == 0, text
    assert "understood: 2 photos of up to 2560 x 1280 px\n" in text
    assert (
        "understood: 1 photo larger than 640 px: seen whole and in up to 18 tiles at their own scale, "
        in text
    )
    code, text = infer(folder, "--tiles", "off")
    assert code == 0, text
    assert "seen whole at 640 px (--tiles off), in the largest one faces from about 80 px on" in text


# ---- results inside the folder, and of earlier runs


def test_own_results_inside_the_folder_are_never_counted(infer: Infer, tmp_path: Path, folder: Path) -> None:
    for work in (folder, folder / "work", tmp_path / "work"):
        for again in ([], ["--again"]):
            code, text = infer(folder, "--save-pictures", *again, work=work)
            assert code == 0, text
            assert list(_rows(work)) == ["0.png", "1.png", "2.png"]
        code, text = infer(folder, "--save-pictures", work=work)
        assert (code, "done already" in text) == (0, True), text
    assert "pictures of this program's own results" in text
    # A folder of drawn pictures that is named itself is read.
    drawn = _result(tmp_path / "work") / "pictures"
    assert len(find_photos(drawn).files) == 3


def test_pictures_of_an_earlier_run_go_with_its_counts(infer: Infer, tmp_path: Path, folder: Path) -> None:
    assert infer(folder, "--save-pictures")[0] == 0
    pictures = _result(tmp_path / "work") / "pictures"
    assert sorted(path.name for path in pictures.iterdir()) == ["0.png.jpg", "1.png.jpg", "2.png.jpg"]
    before = (pictures / "2.png.jpg").read_bytes()
    (folder / "1.png").unlink()
    _grey(folder / "2.png", 250)
    code, text = infer(folder, "--save-pictures")
    assert code == 0, text
    assert sorted(path.name for path in pictures.iterdir()) == ["0.png.jpg", "2.png.jpg"]
    assert (pictures / "2.png.jpg").read_bytes() != before
    (folder / "0.png").unlink()
    code, text = infer(folder)
    assert code == 0, text
    assert not pictures.exists()
    assert list(_rows(tmp_path / "work")) == ["2.png"]


def test_results_have_a_name_for_each_folder_and_setting(infer: Infer, tmp_path: Path, folder: Path) -> None:
    other = tmp_path / "elsewhere" / "photos"
    _grey(other / "0.png", 200)
    for arguments in ((folder,), (other,), (folder, "--tiles", "off")):
        assert infer(*arguments)[0] == 0
    assert len(list((tmp_path / "work").glob("champion/images/*/counts.csv"))) == 3


# ---- interruptions


def test_a_stopped_run_goes_on_where_it_was(
    infer: Infer, counter: Shades, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "many"
    for row in range(40):
        _grey(folder / f"{row:02}.png", row)
    (folder / "broken.png").write_bytes(b"no picture")
    add = GrowingCounts.add

    def stop(self: GrowingCounts, name: str, count: float, faces: int) -> None:
        if len(self.rows) == 21:
            raise KeyboardInterrupt
        add(self, name, count, faces)

    monkeypatch.setattr(GrowingCounts, "add", stop)
    code, text = infer(folder, "--save-pictures")
    assert code == 130, text
    (grown,) = (tmp_path / "work").glob("champion/images/*/counts.resume/counts.csv")
    assert len(grown.read_text().splitlines()) == 21
    assert f"counts so far: {grown}" in text
    # A kill may cut the last line.
    with grown.open("a") as file:
        file.write("21.png,2")

    monkeypatch.setattr(GrowingCounts, "add", add)
    code, text = infer(folder, "--save-pictures")
    assert code == 0, text
    assert "resuming" in text
    assert not {f"{row:02}.png" for row in range(21)} & set(counter.seen)
    rows = _rows(tmp_path / "work")
    assert rows == {f"{row:02}.png": str(float(row)) for row in range(40)}
    assert "broken.png" in text
    assert len(list((_result(tmp_path / "work") / "pictures").iterdir())) == 40
    assert not grown.parent.exists()


def test_a_changed_folder_starts_again(
    infer: Infer, counter: Shades, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = GrowingCounts.add

    def stop(self: GrowingCounts, name: str, count: float, faces: int) -> None:
        add(self, name, count, faces)
        raise KeyboardInterrupt

    monkeypatch.setattr(GrowingCounts, "add", stop)
    assert infer(folder)[0] == 130
    monkeypatch.setattr(GrowingCounts, "add", add)
    _grey(folder / "0.png", 111)
    assert infer(folder)[0] == 0
    assert counter.seen == ["0.png", "1.png", "2.png"]
    assert _rows(tmp_path / "work")["0.png"] == "111.0"
