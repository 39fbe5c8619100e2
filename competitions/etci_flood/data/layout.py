"""The official folders: tiles whose layers are joined by scene, row and column.

    <split>/<scene>/tiles/{vv,vh,flood_label,water_body_label}/

Sorting the layers separately and zipping them mispairs tiles, because `..._vv.png` and `....png` sort
differently (`y-1_vv` after `y-10_vv`, `y-1.` before `y-10.`). Layers are therefore joined by key, never by
position.
"""

import codecs
import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from common.base.errors import InputError
from common.base.paths import display_path
from common.files.submission_table import examples

TILE_SIDE = 256
"""Pixels; every official tile is 256 x 256."""
LAYERS = ("vv", "vh", "flood_label", "water_body_label")
TRAIN, PHASE_1, PHASE_2 = "train", "test", "test_internal"
ORDER_FILE = "test_sentinel.csv"
"""The organisers' headerless list of test tiles, in the order of the submission."""

_KEY = r"(?P<scene>[^/\\,]+)_x-(?P<x>\d+)_y-(?P<y>\d+)"
_FILE = re.compile(rf"{_KEY}(?i:_(?:vv|vh))?\.(?i:png)")
_LISTED = re.compile(rf"{_KEY}(?i:_(?:vv|vh))?(?i:\.png)?$")
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_NO_SCENES = ("__MACOSX", ".ipynb_checkpoints")


@dataclass(frozen=True, order=True)
class TileKey:
    """Identity of a tile."""

    scene: str
    """`<region>_<YYYYMMDDtHHMMSS>`"""
    x: int
    """Row of the tile in its scene."""
    y: int
    """Column of the tile in its scene."""

    @property
    def region(self) -> str:
        """The scene's name without its time."""
        return self.scene.rpartition("_")[0] or self.scene

    def __str__(self) -> str:
        return f"{self.scene}_x-{self.x}_y-{self.y}"


@dataclass
class Tile:
    """The files of one tile."""

    key: TileKey
    split: str
    """train, test (phase 1) or test_internal (phase 2)."""
    files: dict[str, Path] = field(default_factory=dict)
    """Layer -> file."""


@dataclass(frozen=True)
class OfficialTiles:
    """All tiles of a data folder."""

    labelled: list[Tile]
    """Tiles with VV, VH and flood label, of train and (unless predicted) of phase 1; sorted by key."""
    predicted: list[Tile]
    """Tiles of the submission, in its order. VH or the water mask can be missing."""
    predicted_split: str
    faults: list[str]
    """One line for each tile or file that was left out, with the reason."""


def find_tiles(data: Path) -> OfficialTiles:
    """Find all tiles of a data folder, whatever the case of `.png`.

    Raises
    ------
    InputError : the folder is not in the official layout, or holds no labelled or no test tiles.
    """
    faults: list[str] = []
    splits = {split: _tiles_of(data, split, faults) for split in (TRAIN, PHASE_1, PHASE_2)}
    if not splits[TRAIN]:
        raise InputError(
            f"{display_path(data)}: holds no training tiles; "
            f"expected {TRAIN}/<scene>/tiles/vv/<scene>_x-<row>_y-<column>_vv.png; "
            f"check that --data is the folder that holds {TRAIN}/, {PHASE_1}/ and {PHASE_2}/"
        )
    predicted_split, predicted = _submission_tiles(data, splits, faults)
    labelled = []
    for split in (TRAIN, PHASE_1):
        if split == predicted_split:
            continue
        complete = [tile for tile in splits[split].values() if _is_complete(tile)]
        if split == TRAIN or complete:
            faults += [_missing(tile) for tile in splits[split].values() if not _is_complete(tile)]
        labelled += complete
    if not labelled:
        raise InputError(
            f"{display_path(data / TRAIN)}: no tile has all of vv, vh and flood_label; "
            "the folder seems incomplete"
        )
    return OfficialTiles(sorted(labelled, key=lambda tile: tile.key), predicted, predicted_split, faults)


def submission_order(data: Path) -> list[Tile]:
    """The test tiles in the order of the submission; InputError when there are none."""
    splits = {split: _tiles_of(data, split, []) for split in (PHASE_1, PHASE_2)}
    return _submission_tiles(data, splits, [])[1]


def _submission_tiles(
    data: Path, splits: dict[str, dict[TileKey, Tile]], faults: list[str]
) -> tuple[str, list[Tile]]:
    """The split to predict and its tiles, in the organisers' order, otherwise sorted by the full VV path."""
    split = next((split for split in (PHASE_2, PHASE_1) if _with_vv(splits[split])), None)
    if split is None:
        raise InputError(
            f"{display_path(data)}: holds no test tiles; expected {PHASE_2}/<scene>/tiles/vv/ (phase 2) or "
            f"{PHASE_1}/<scene>/tiles/vv/ (phase 1)"
        )
    tiles = _with_vv(splits[split])
    faults += [
        f"{split}: {key} has no vv image, so it is not in the submission"
        for key in splits[split]
        if key not in tiles
    ]
    order = data / ORDER_FILE
    if not order.is_file():
        return split, sorted(tiles.values(), key=lambda tile: tile.files["vv"].as_posix())
    listed = _listed_keys(order, faults)
    unknown = [key for key in listed if key not in tiles]
    if unknown:
        raise InputError(
            f"{display_path(order)}: lists {len(unknown)} tiles that {split}/ lacks ({examples(unknown)}); "
            f"complete {split}/ or remove the list"
        )
    if len(listed) < len(tiles):
        faults.append(
            f"{display_path(order)}: lists {len(listed)} of the {len(tiles)} tiles of {split}/, so the "
            "submission has those alone; is the list cut short?"
        )
    return split, [tiles[key] for key in listed]


def _with_vv(tiles: dict[TileKey, Tile]) -> dict[TileKey, Tile]:
    return {key: tile for key, tile in tiles.items() if "vv" in tile.files}


def _listed_keys(order: Path, faults: list[str]) -> list[TileKey]:
    """Keys of the organisers' list; each line has a tile's name or path in one of its cells."""
    keys = []
    content = order.read_bytes()
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    if encoding != "utf-8":
        faults.append(f"{display_path(order)}: starts with a byte order mark, read as {encoding}")
    text = content.decode(encoding, "replace")
    for number, row in enumerate(csv.reader(text.splitlines()), start=1):
        found = [match for cell in row if (match := _LISTED.search(cell.strip()))]
        if any(cell.strip() for cell in row) and not found:
            raise InputError(
                f"{display_path(order)}, line {number}: {','.join(row)[:60]!r} does not name a tile; "
                f"expected <scene>_x-<row>_y-<column>"
            )
        keys += [_key(match) for match in found[:1]]
    repeated = len(keys) - len(set(keys))
    if repeated or not keys:
        raise InputError(
            f"{display_path(order)}: {f'{repeated} tiles are listed twice' if repeated else 'is empty'}"
        )
    return keys


def _tiles_of(data: Path, split: str, faults: list[str]) -> dict[TileKey, Tile]:
    """All tiles of one split, whatever layers they have; unexpected and duplicate files go to `faults`."""
    tiles: dict[TileKey, Tile] = {}
    for folder in _layer_folders(data, split):
        for file in sorted(folder.iterdir()):
            if file.name.startswith(".") or not file.is_file():
                continue
            match = _FILE.fullmatch(file.name)
            if match is None:
                faults.append(f"{display_path(file)}: not a tile's file name, left out")
                continue
            key = _key(match)
            tile = tiles.setdefault(key, Tile(key, split))
            if folder.name in tile.files:
                faults.append(f"{display_path(file)}: a duplicate of a tile, left out")
            else:
                tile.files[folder.name] = file
    return tiles


def _layer_folders(data: Path, split: str) -> Iterator[Path]:
    """Layer folders of a split; some copies of the archives nest it twice (`train/train`)."""
    for base in (data / split, data / split / split):
        if not base.is_dir():
            continue
        for scene in sorted(base.iterdir()):
            if scene.name in _NO_SCENES:
                continue
            yield from (scene / "tiles" / layer for layer in LAYERS if (scene / "tiles" / layer).is_dir())


def _key(match: re.Match[str]) -> TileKey:
    return TileKey(match["scene"], int(match["x"]), int(match["y"]))


def _is_complete(tile: Tile) -> bool:
    return {"vv", "vh", "flood_label"} <= set(tile.files)


def _missing(tile: Tile) -> str:
    missing = [layer for layer in ("vv", "vh", "flood_label") if layer not in tile.files]
    return f"{tile.split}: orphan {tile.key} has no {' and no '.join(missing)}, left out"
