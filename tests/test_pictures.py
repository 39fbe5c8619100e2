"""Pictures of every kind become upright RGB; broken ones say so."""

import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from common.files.pictures import (
    HEIF_SUFFIXES,
    PICTURE_SUFFIXES,
    UnreadablePictureError,
    open_rgb,
    read_rgb,
)


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
    def as_ultralytics_does(*_: object, **__: object) -> None:
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


GREY = np.tile(np.linspace(0, 255, 64).round().astype(np.uint8), (16, 1))


@pytest.mark.parametrize(
    ("stored", "suffix"),
    [
        (GREY.astype(np.uint16) * 257, "png"),  # the full range of 16 bits
        (GREY.astype(np.uint16) * 257, "tif"),
        ((GREY.astype(np.uint32) * 4095 // 255).astype(np.uint16), "png"),  # a 12-bit camera
        (GREY.astype(np.uint16), "png"),  # 8 bits kept in 16
        (GREY.astype(np.int32) * 257, "tif"),
        (GREY.astype(np.float32) / 255, "tif"),
        (GREY.astype(np.float32), "tif"),
    ],
)
def test_deep_pictures_are_read_by_their_range(tmp_path: Path, stored: np.ndarray, suffix: str) -> None:
    path = tmp_path / f"deep.{suffix}"
    Image.fromarray(stored).save(path)
    assert np.abs(read_rgb(path).astype(int) - GREY[:, :, None]).max() <= 1


def test_floats_without_a_scale_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.linspace(-3, 7, 64, dtype=np.float32).reshape(8, 8)).save(tmp_path / "heights.tif")
    with pytest.raises(UnreadablePictureError, match="from -3 to 7 are on no scale"):
        read_rgb(tmp_path / "heights.tif")


def test_odd_exif_does_not_cost_the_picture_nor_its_orientation(tmp_path: Path) -> None:
    Image.new("RGB", (8, 4), "red").save(tmp_path / "plain.jpg")
    raw = (tmp_path / "plain.jpg").read_bytes()
    # Orientation 6, and a resolution unit whose value is text where a number belongs.
    tags = struct.pack("<HHI4s", 0x112, 3, 1, b"\6\0\0\0") + struct.pack("<HHI4s", 0x128, 2, 2, b"x\0\0\0")
    exif = b"Exif\0\0II*\0\x08\0\0\0\2\0" + tags + bytes(4)
    odd = raw[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + raw[2:]
    (tmp_path / "odd.jpg").write_bytes(odd)
    assert read_rgb(tmp_path / "odd.jpg").shape == (8, 4, 3)


def test_a_bomb_is_refused_by_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("1", (12_000, 11_000)).save(tmp_path / "bomb.png")
    assert (tmp_path / "bomb.png").stat().st_size < 100_000
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", lambda *_: pytest.fail("decoded"))
    with pytest.raises(UnreadablePictureError, match="12000 x 11000 pixels; at most 128 megapixels"):
        read_rgb(tmp_path / "bomb.png")


def test_a_postscript_file_is_never_run(tmp_path: Path) -> None:
    (tmp_path / "page.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    with pytest.raises(UnreadablePictureError, match="unknown format"):
        read_rgb(tmp_path / "page.png")


@pytest.mark.parametrize(
    "fault", [IndexError("list index out of range"), KeyError(3), struct.error("unpack")]
)
def test_whatever_a_decoder_raises_is_an_unreadable_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def raises(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr("common.files.pictures.Image.open", raises)
    with pytest.raises(UnreadablePictureError, match="unreadable picture"):
        read_rgb(tmp_path / "photo.avif")


def test_large_pictures_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (100, 100)).save(tmp_path / "a.png")
    monkeypatch.setattr("common.files.pictures.MAX_PIXELS_AT_ONCE", 15_000)
    at_once, most = [0], [0]
    lock = threading.Lock()
    load = Image.Image.convert

    def watched(self: Image.Image, mode: str) -> Image.Image:
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.01)
        try:
            return load(self, mode)
        finally:
            with lock:
                at_once[0] -= 1

    monkeypatch.setattr(Image.Image, "convert", watched)
    with ThreadPoolExecutor(8) as threads:
        sizes = list(threads.map(lambda _: read_rgb(tmp_path / "a.png").shape, range(24)))
    assert sizes == [(100, 100, 3)] * 24
    assert most[0] == 1


def test_every_suffix_of_the_list_is_read(tmp_path: Path) -> None:
    for suffix in sorted(PICTURE_SUFFIXES):
        path = tmp_path / f"photo{suffix}"
        if suffix in HEIF_SUFFIXES:
            pillow_heif.from_pillow(Image.new("RGB", (16, 8), "red")).save(path)
        elif suffix == ".mpo":
            frames = [Image.new("RGB", (16, 8), "red")]
            frames[0].save(path, format="MPO", save_all=True, append_images=frames)
        elif suffix in (".jpe", ".jfif"):
            Image.new("RGB", (16, 8), "red").save(path, format="JPEG")
        else:
            Image.new("RGB", (16, 8), "red").save(path)
        assert read_rgb(path).shape == (8, 16, 3), suffix
