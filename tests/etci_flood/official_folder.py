"""Small official folders for tests."""

from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 256


def write_image(path: Path, value: int = 0) -> None:
    """One RGB image of a single value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (SIDE, SIDE), (value, value, value)).save(path, compress_level=1)


def write_scene(
    split: Path, scene: str, places: list[tuple[int, int]], labelled: bool = True, mark: bool = False
) -> None:
    """A scene of flat tiles; with `mark` every layer of a tile has its place as value (16 x + y)."""
    tiles = split / scene / "tiles"
    for x, y in places:
        value = 16 * x + y if mark else 100
        stem = f"{scene}_x-{x}_y-{y}"
        write_image(tiles / "vv" / f"{stem}_vv.png", value)
        write_image(tiles / "vh" / f"{stem}_vh.png", value)
        write_image(tiles / "water_body_label" / f"{stem}.png", 0)
        if labelled:
            write_image(tiles / "flood_label" / f"{stem}.png", value if mark else 255 * (y % 2))


def write_competition(folder: Path) -> Path:
    """Two labelled scenes and a test scene of flat tiles."""
    write_scene(folder / "train", "nebraska_20170213t002121", [(0, 8), (0, 9), (0, 10), (0, 11)])
    write_scene(folder / "test", "florence_20180919t231415", [(0, 1), (0, 2)])
    write_scene(folder / "test_internal", "redrivernorth_20190104t002247", [(0, 9), (0, 10), (1, 1)], False)
    return folder


def empty_masks(tiles: int) -> np.ndarray:
    """A submission without flood."""
    return np.zeros((tiles, SIDE, SIDE), np.uint8)
