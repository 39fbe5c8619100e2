"""Pictures of every kind become upright RGB; broken ones say so."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.files.pictures import UnreadablePictureError, open_rgb, read_rgb


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK", "1", "LA"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("picture.jpg" if mode == "CMYK" else "picture.png")
    Image.new("RGB", (7, 5), "white").convert(mode).save(path)
    pixels = read_rgb(path)
    assert pixels.shape == (5, 7, 3)
    assert pixels.min() > 250


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    Image.new("RGB", (8, 4)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_rgb(tmp_path / "turned.jpg").shape == (8, 4, 3)


def test_transparent_pixels_turn_white(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (read_rgb(tmp_path / "clear.png") == 255).all()


def test_missing_cut_and_foreign_files_say_so(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole)
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole.read_bytes()[:900])
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    for path, words in ((tmp_path / "none.jpg", "no such"), (cut, "unreadable"), (text, "unreadable")):
        with pytest.raises(UnreadablePictureError, match=words):
            read_rgb(path)


def test_a_missing_reader_of_a_rare_format_is_no_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def as_ultralytics_does(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'pi_heif'")

    monkeypatch.setattr("common.files.pictures.Image.open", as_ultralytics_does)
    with pytest.raises(UnreadablePictureError, match="unknown format"):
        read_rgb(tmp_path / "photo.heic")


def test_a_large_jpeg_is_decoded_smaller_but_never_below_what_is_asked(tmp_path: Path) -> None:
    gradient = np.tile(np.linspace(0, 255, 640, dtype=np.uint8)[:, None, None], (1, 480, 3))
    Image.fromarray(gradient).save(tmp_path / "large.jpg", quality=95)
    whole, half = open_rgb(tmp_path / "large.jpg"), open_rgb(tmp_path / "large.jpg", at_least=200)
    assert (whole.size, half.size) == ((480, 640), (240, 320))
    assert open_rgb(tmp_path / "large.jpg", at_least=300).size == (480, 640)
    difference = np.asarray(whole.resize(half.size)).astype(int) - np.asarray(half)
    assert np.abs(difference).mean() < 2
