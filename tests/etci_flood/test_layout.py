from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.base.errors import InputError
from common.files.pictures import UnreadablePictureError
from competitions.etci_flood.data.layout import find_tiles, submission_order
from competitions.etci_flood.data.tiles import read_layer
from tests.etci_flood.official_folder import write_competition, write_image, write_scene

SCENE = "redrivernorth_20190104t002247"


def test_layers_are_joined_by_key_not_by_position(tmp_path: Path) -> None:
    places = [(x, y) for x in (0, 1) for y in (1, 2, 9, 10, 11)]
    write_scene(tmp_path / "train", "northal_20190302t234651", places, mark=True)
    write_scene(tmp_path / "test_internal", SCENE, [(0, 1)], labelled=False)
    layers = tmp_path / "train" / "northal_20190302t234651" / "tiles"
    vv, masks = ([file.name for file in sorted((layers / name).iterdir())] for name in ("vv", "flood_label"))
    assert [name.removesuffix("_vv.png") for name in vv] != [name.removesuffix(".png") for name in masks]
    tiles = find_tiles(tmp_path).labelled
    assert len(tiles) == len(places)
    for tile in tiles:
        values = {int(read_layer(tile.files[layer])[0, 0]) for layer in ("vv", "vh", "flood_label")}
        assert values == {16 * tile.key.x + tile.key.y}


def test_rows_columns_and_regions(tmp_path: Path) -> None:
    tiles = find_tiles(write_competition(tmp_path))
    assert {tile.key.region for tile in tiles.labelled} == {"nebraska", "florence"}
    assert [str(tile.key) for tile in tiles.predicted] == [
        f"{SCENE}_x-0_y-10",
        f"{SCENE}_x-0_y-9",
        f"{SCENE}_x-1_y-1",
    ]
    assert tiles.faults == []


def test_archives_nested_twice_and_litter(tmp_path: Path) -> None:
    write_competition(tmp_path / "flat")
    nested = tmp_path / "nested"
    for split in ("train", "test", "test_internal"):
        (nested / split).mkdir(parents=True)
        (tmp_path / "flat" / split).rename(nested / split / split)
        for litter in ("__MACOSX", ".ipynb_checkpoints"):
            write_scene(nested / split / litter, "litter_20170101t000000", [(0, 0)])
            write_scene(nested / split / split, litter, [(0, 0)])
    tiles = find_tiles(nested)
    assert (len(tiles.labelled), len(tiles.predicted), tiles.faults) == (6, 3, [])


def test_missing_layers_duplicates_and_unexpected_names_are_reported(tmp_path: Path) -> None:
    write_competition(tmp_path)
    layers = tmp_path / "train" / "nebraska_20170213t002121" / "tiles"
    (layers / "vh" / "nebraska_20170213t002121_x-0_y-8_vh.png").unlink()
    (layers / "flood_label" / "nebraska_20170213t002121_x-0_y-9.png").unlink()
    (layers / "vv" / "notes.txt").touch()
    write_image(layers / "vv" / "nebraska_20170213t002121_x-0_y-10.png")
    tiles = find_tiles(tmp_path)
    assert len(tiles.labelled) == 4
    text = "\n".join(tiles.faults)
    for words in (
        "y-8 has no vh",
        "y-9 has no flood_label",
        "notes.txt: not a tile's file name",
        "a duplicate",
    ):
        assert words in text
    assert len(tiles.faults) == 4


def test_without_phase_2_phase_1_is_predicted_and_not_trained_on(tmp_path: Path) -> None:
    write_competition(tmp_path)
    (tmp_path / "test_internal").rename(tmp_path / "elsewhere")
    tiles = find_tiles(tmp_path)
    assert tiles.predicted_split == "test"
    assert {tile.split for tile in tiles.labelled} == {"train"}
    assert len(tiles.predicted) == 2


def test_the_organisers_order(tmp_path: Path) -> None:
    write_competition(tmp_path)
    listed = [f"{SCENE}_x-1_y-1", f"{SCENE}_x-0_y-9"]
    (tmp_path / "test_sentinel.csv").write_text("\n".join(listed) + "\n")
    assert [str(tile.key) for tile in submission_order(tmp_path)] == listed
    paths = [f"test_internal/{SCENE}/tiles/vv/{name}_vv.png" for name in listed]
    (tmp_path / "test_sentinel.csv").write_text("".join(f"{row},{path}\n" for row, path in enumerate(paths)))
    assert [str(tile.key) for tile in submission_order(tmp_path)] == listed


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"{SCENE}_x-7_y-7\n", "lacks"),
        ("id\n", "does not name a tile"),
        (f"{SCENE}_x-0_y-9\n{SCENE}_x-0_y-9\n", "listed twice"),
        ("", "is empty"),
    ],
)
def test_a_wrong_order_is_refused(tmp_path: Path, content: str, words: str) -> None:
    write_competition(tmp_path)
    (tmp_path / "test_sentinel.csv").write_text(content)
    with pytest.raises(InputError, match=words):
        submission_order(tmp_path)


def test_official_masks_are_read_whole(tmp_path: Path) -> None:
    write_image(tmp_path / "mask.png", 255)
    assert np.array_equal(read_layer(tmp_path / "mask.png"), np.full((256, 256), 255))


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "RGBA"])
def test_layers_of_any_image_mode_are_read_as_pillow_reads_them(tmp_path: Path, mode: str) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (256, 256), np.uint8)
    image = Image.fromarray(np.repeat(levels[..., None], 3, axis=2)).convert(mode)
    image.save(tmp_path / "layer.png")
    expected = np.asarray(Image.open(tmp_path / "layer.png").convert("RGB"))[:, :, 0]
    assert np.array_equal(read_layer(tmp_path / "layer.png"), expected)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_layer_is_unreadable(tmp_path: Path, share: float) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    Image.fromarray(levels).save(tmp_path / "layer.png")
    whole = (tmp_path / "layer.png").read_bytes()
    (tmp_path / "layer.png").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UnreadablePictureError, match=r"layer\.png: "):
        read_layer(tmp_path / "layer.png")


def test_reading_a_layer_leaves_earlier_ones_unchanged(tmp_path: Path) -> None:
    write_image(tmp_path / "bright.png", 200)
    write_image(tmp_path / "dark.png", 10)
    bright, dark = read_layer(tmp_path / "bright.png"), read_layer(tmp_path / "dark.png")
    assert (bright == 200).all()
    assert (dark == 10).all()
