"""Official files that are not quite as official ones: labels, depth, size, names, the organisers' list."""

import shutil
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from common.base.errors import InputError
from common.files.pictures import UnreadablePictureError
from competitions.etci_flood.data.layout import find_tiles, submission_order
from competitions.etci_flood.data.neighbours import PaddedTiles
from competitions.etci_flood.data.tile_format import TileFormat, find_format
from competitions.etci_flood.data.tiles import (
    NonBinaryMaskError,
    open_tile_arrays,
    read_layer,
    read_mask,
    write_tile_arrays,
)
from competitions.etci_flood.rules.submission import submission_faults, write_archive
from tests.conftest import run_stage
from tests.etci_flood.official_folder import write_competition

SCENE = "redrivernorth_20190104t002247"


def labels_of(data: Path) -> list[Path]:
    return sorted(data.glob("*/*/tiles/flood_label/*.png"))


def save(path: Path, values: np.ndarray, mode: str | None = None) -> None:
    image = Image.fromarray(values)
    (image if mode is None else image.convert(mode)).save(path)


def arrays_of(data: Path, out: Path) -> tuple[Any, list[str]]:
    """The processed arrays, and what was warned of or understood."""
    found = find_tiles(data)
    warned: list[str] = []
    table, _ = write_tile_arrays(out, found.labelled, found.predicted, warned.append, warned.append)
    table.to_parquet(out / "tiles.parquet")
    return open_tile_arrays(out), warned


def half_flooded(value: int, dtype: Any = np.uint8) -> np.ndarray:
    mask = np.zeros((256, 256), dtype)
    mask[:128] = value
    return mask


@pytest.mark.parametrize(
    ("value", "dtype"), [(255, np.uint8), (1, np.uint8), (1, np.uint16), (65535, np.uint16)]
)
def test_flood_is_learned_from_masks_of_two_values(tmp_path: Path, value: int, dtype: Any) -> None:
    data = write_competition(tmp_path / "data")
    for label in labels_of(data):
        save(label, half_flooded(value, dtype))
    arrays, warned = arrays_of(data, tmp_path / "out")
    told = ["flood_label: the images hold 0 and 1 (6 tiles with 1), read as 0 and 255"]
    assert warned == (told if value == 1 else [])
    assert np.array_equal(arrays.flood, np.broadcast_to(half_flooded(1), arrays.flood.shape))


@pytest.mark.parametrize("values", [(0, 1, 2), (0, 128), (0, 1, 255), (2,), (0, 80)])
def test_labels_of_other_values_are_refused(tmp_path: Path, values: tuple[int, ...]) -> None:
    data = write_competition(tmp_path / "data")
    layer = np.resize(np.array(values, np.uint8), (256, 256))
    save(labels_of(data)[2], layer)
    shown = ", ".join(map(str, values))
    with pytest.raises(InputError, match=rf"\.png: holds the values {shown}; a label image has 0 and 255"):
        arrays_of(data, tmp_path / "out")
    water = next(iter(data.glob("test_internal/*/tiles/water_body_label/*.png")))
    shutil.copy(labels_of(data)[1], labels_of(data)[2])
    save(water, layer)
    with pytest.raises(InputError, match=r"water_body_label.*holds the values"):
        arrays_of(data, tmp_path / "out")


def test_labels_that_differ_or_are_empty_are_refused(tmp_path: Path) -> None:
    data = write_competition(tmp_path / "data")
    first, second, *others = labels_of(data)
    save(first, half_flooded(1))
    save(second, half_flooded(255))
    with pytest.raises(InputError, match=r"tiles hold 0 and 1, .* hold 0 and 255; write all of them"):
        arrays_of(data, tmp_path / "out")
    for label in (first, second, *others):
        save(label, half_flooded(0))
    with pytest.raises(InputError, match="none of 6 labelled tiles has flood"):
        arrays_of(data, tmp_path / "out")


def test_processed_tiles_without_flood_are_refused(tmp_path: Path) -> None:
    """Earlier code read labels of 0 and 1 as no flood, and an old work folder still has those arrays."""
    data = write_competition(tmp_path / "data")
    arrays_of(data, tmp_path / "out")
    table = pd.read_parquet(tmp_path / "out" / "tiles.parquet")
    table.assign(has_flood=False).to_parquet(tmp_path / "out" / "tiles.parquet")
    with pytest.raises(InputError, match="no labelled tile has flood"):
        open_tile_arrays(tmp_path / "out")


def test_the_stage_refuses_labels_without_meaning(tmp_path: Path) -> None:
    data = write_competition(tmp_path / "data")
    save(labels_of(data)[0], half_flooded(3))
    done = run_stage("etci_flood", 1, "--data", data, "--work", tmp_path / "work")
    assert done.code == 2, done.text
    assert "holds the values 0, 3" in done.text
    assert not list((tmp_path / "work").rglob("*.npy"))
    save(labels_of(data)[0], half_flooded(1))
    for label in labels_of(data)[1:]:
        save(label, half_flooded(0))
    done = run_stage("etci_flood", 1, "--data", data, "--work", tmp_path / "work")
    assert done.code == 0, done.text
    assert "the images hold 0 and 1" in done.text


def test_colours_and_transparency_are_no_labels(tmp_path: Path) -> None:
    blue = np.zeros((256, 256, 3), np.uint8)
    blue[:90, :, 2] = 255
    save(tmp_path / "blue.png", blue)
    with pytest.raises(NonBinaryMaskError, match="is in colour"):
        read_mask(tmp_path / "blue.png")
    clear = np.zeros((256, 256, 4), np.uint8)
    clear[:90] = 255
    save(tmp_path / "clear.png", clear)
    with pytest.raises(UnreadablePictureError, match="has transparent pixels"):
        read_mask(tmp_path / "clear.png")
    opaque = clear.copy()
    opaque[..., 3] = 255
    save(tmp_path / "opaque.png", opaque)
    for mode in ("1", "L", "P", "LA"):
        save(tmp_path / f"{mode}.png", opaque[..., 0], mode)
    for name in ("opaque", "1", "L", "P", "LA"):
        mask, value = read_mask(tmp_path / f"{name}.png")
        assert value == 255, name
        assert np.array_equal(mask, opaque[..., 0] > 0), name


@pytest.mark.parametrize(("highest", "bits"), [(65535, 16), (4095, 12), (200, 8)])
@pytest.mark.parametrize("colour", [False, True])
def test_16_bit_images_are_read_as_16_bit(tmp_path: Path, highest: int, bits: int, colour: bool) -> None:
    data = write_competition(tmp_path / "data")
    ramp = np.linspace(0, highest, 65536).reshape(256, 256).astype(np.uint16)
    for file in data.glob("*/*/tiles/v[vh]/*.png"):
        values = np.repeat(ramp[..., None], 3, axis=2) if colour else ramp
        file.write_bytes(imagecodecs.png_encode(values))
    arrays, warned = arrays_of(data, tmp_path / "out")
    told = [f"16-bit images, 0..{2**bits - 1} read as 0..255"]
    assert warned == (told if bits > 8 else [])
    full = 255 if bits == 8 else 2**bits - 1
    expected = np.rint(ramp * (255 / full)).astype(np.uint8)
    assert np.array_equal(arrays.vv[0], expected)
    assert np.array_equal(arrays.vh[-1], expected)


def test_one_tile_of_another_depth_is_left_out(tmp_path: Path) -> None:
    data = write_competition(tmp_path / "data")
    file = sorted(data.glob("train/*/tiles/vv/*.png"))[0]
    file.write_bytes(imagecodecs.png_encode(np.full((256, 256), 30_000, np.uint16)))
    _, warned = arrays_of(data, tmp_path / "out")
    assert len(warned) == 1
    assert "left out" in warned[0]
    with pytest.raises(UnreadablePictureError, match="8 bits; the other tiles use 16 bits"):
        read_layer(sorted(data.glob("train/*/tiles/vv/*.png"))[1], TileFormat(bits=16))
    with pytest.raises(UnreadablePictureError, match="16 bits, values to 30000; the other tiles use 8"):
        read_layer(file)
    for each in sorted(data.glob("train/*/tiles/v[vh]/*.png")):
        each.write_bytes(file.read_bytes())
    with pytest.raises(InputError, match="have 16 bits and the others 8; write all of them"):
        find_format(find_tiles(data).labelled)


def resized(data: Path, side: int) -> None:
    for file in data.glob("*/*/tiles/*/*.png"):
        Image.open(file).resize((side, side), Image.Resampling.NEAREST).save(file)


@pytest.mark.parametrize("side", [128, 512])
def test_tiles_of_another_size_are_read_where_all_agree(tmp_path: Path, side: int) -> None:
    data = write_competition(tmp_path / "data")
    resized(data, side)
    arrays, warned = arrays_of(data, tmp_path / "out")
    assert warned == [f"tiles of {side} x {side} pixels"]
    assert arrays.vv.shape == (9, side, side)
    assert arrays.side == side
    padded = PaddedTiles(arrays).layers_of(0, 64)
    assert padded.shape == (3, side + 128, side + 128)
    order = submission_order(data)
    write_archive(tmp_path / "s.zip", np.zeros((len(order), side, side), np.uint8))
    assert submission_faults(tmp_path / "s.zip", data) == []
    write_archive(tmp_path / "s.zip", np.zeros((len(order), 256, 256), np.uint8))
    assert any("has shape" in fault for fault in submission_faults(tmp_path / "s.zip", data))


def test_sizes_that_do_not_agree_are_refused_or_left_out(tmp_path: Path) -> None:
    data = write_competition(tmp_path / "data")
    first = sorted(data.glob("train/*/tiles/vv/*.png"))[0]
    Image.new("L", (128, 128), 90).save(first)
    _, warned = arrays_of(data, tmp_path / "out")
    assert any("128 x 128 pixels, expected 256 x 256" in line for line in warned)
    resized(data, 128)
    Image.new("L", (160, 160), 90).save(first)
    with pytest.raises(InputError, match=r"the tiles are of several sizes \(128 x 128, 160 x 160\)"):
        find_format(find_tiles(data).labelled)
    for side in (100, 64):
        resized(data, side)
        with pytest.raises(InputError, match=f"tiles of {side} x {side} pixels; expected squares of 256"):
            find_format(find_tiles(data).labelled)


def test_endings_in_capitals_are_tiles(tmp_path: Path) -> None:
    data = write_competition(tmp_path / "data")
    for file in data.glob("*/*/tiles/*/*.png"):
        file.rename(file.with_suffix(".PNG"))
    found = find_tiles(data)
    assert (len(found.labelled), len(found.predicted), found.faults) == (6, 3, [])
    assert run_stage("etci_flood", 1, "--data", data, "--work", tmp_path / "work").code == 0
    extra = data / "train" / "nebraska_20170213t002121" / "tiles" / "flood_label"
    save(extra / "nebraska_20170213t002121_x-0_y-8.PNG", half_flooded(255))
    done = run_stage("etci_flood", 1, "--data", data, "--work", tmp_path / "work")
    assert "unet_light: done already" not in done.text, "files of either ending are inputs"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_in_the_list_is_told(tmp_path: Path, encoding: str) -> None:
    data = write_competition(tmp_path / "data")
    names = [f"{SCENE}_x-1_y-1", f"{SCENE}_x-0_y-9", f"{SCENE}_x-0_y-10"]
    (data / "test_sentinel.csv").write_text("\n".join(names) + "\n", encoding=encoding)
    found = find_tiles(data)
    assert [str(tile.key) for tile in found.predicted] == names
    (fault,) = found.faults
    assert f"byte order mark, read as {encoding}" in fault


def test_a_list_that_is_cut_short_is_told(tmp_path: Path) -> None:
    data = write_competition(tmp_path / "data")
    (data / "test_sentinel.csv").write_text(f"{SCENE}_x-1_y-1\n\n{SCENE}_x-0_y-9")
    found = find_tiles(data)
    assert len(found.predicted) == 2
    (fault,) = found.faults
    assert "lists 2 of the 3 tiles of test_internal/, so the submission has those alone" in fault
    done = run_stage("etci_flood", 1, "--data", data, "--work", tmp_path / "work")
    assert "lists 2 of the 3 tiles" in done.text
