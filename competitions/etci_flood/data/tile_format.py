"""Size and depth of the tile images: officially 256 x 256 and 8-bit, others are read where all agree."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

from common.base.errors import InputError
from common.base.paths import display_path
from common.learn.arrays import AnyArray
from competitions.etci_flood.data.layout import TILE_SIDE, Tile

SAMPLED_TILES = 64
MAX_ODD_SHARE = 0.1
"""Of images of another depth than most; they are left out, more are refused."""
MIN_SIDE = 128
"""Smallest tile, pixels; training crops and the context of features need it."""
SIDE_STEP = 32
"""Sides are a multiple of this, as the networks need."""
PNG_START = b"\x89PNG\r\n\x1a\n"
HEADER_BYTES = 26
_DEPTH_AT = 24


@dataclass(frozen=True)
class TileFormat:
    """What all tiles of a data folder have in common."""

    side: int = TILE_SIDE
    """Pixels."""
    bits: int = 8
    """Depth that the values of VV and VH use: 8, or up to 16 in 16-bit images."""

    def to_uint8(self, layer: AnyArray) -> AnyArray:
        """Values of 0 to 2^bits - 1 as 0 to 255, uint8; 8-bit values as they are."""
        if self.bits == 8:
            return np.minimum(layer, 255).astype(np.uint8)
        return np.rint(layer * (255 / (2**self.bits - 1))).clip(0, 255).astype(np.uint8)

    def sentence(self) -> str:
        """What is unlike the official format; empty when nothing is."""
        parts = [] if self.side == TILE_SIDE else [f"tiles of {self.side} x {self.side} pixels"]
        if self.bits > 8:
            parts.append(f"16-bit images, 0..{2**self.bits - 1} read as 0..255")
        return ", ".join(parts)


def find_format(tiles: Sequence[Tile]) -> TileFormat:
    """The common format of all tiles.

    Raises
    ------
    InputError : tiles are of several sizes or depths, not square, or of a size that the models cannot take.
    """
    vv = [tile.files["vv"] for tile in tiles if "vv" in tile.files]
    side = _side(vv[:: -(-len(vv) // SAMPLED_TILES)]) if vv else TILE_SIDE
    layers = [tile.files[name] for tile in tiles for name in ("vv", "vh") if name in tile.files]
    sampled = layers[:: -(-len(layers) // SAMPLED_TILES)] if layers else []
    deep = sum(map(_is_deep, sampled))
    if MAX_ODD_SHARE * len(sampled) < deep < (1 - MAX_ODD_SHARE) * len(sampled):
        raise InputError(
            f"{display_path(sampled[0])}: of {len(sampled)} images looked at, {deep} have 16 bits and the "
            "others 8; write all of them with the same depth"
        )
    return TileFormat(side, _bits(layers) if 2 * deep > len(sampled) else 8)


def is_16_bit(content: bytes) -> bool:
    """Whether the start of a file is that of a 16-bit PNG."""
    return content.startswith(PNG_START) and content[_DEPTH_AT : _DEPTH_AT + 1] == b"\x10"


def read_16_bit(path: Path) -> AnyArray:
    """Values of a 16-bit PNG, uint16, (height, width) or with channels; ValueError when it is corrupt."""
    try:
        decoded: AnyArray = imagecodecs.png_decode(path.read_bytes())
    except (OSError, RuntimeError) as fault:
        raise ValueError(str(fault)[:100]) from None
    return decoded


def _side(files: Sequence[Path]) -> int:
    sizes: Counter[tuple[int, int]] = Counter()
    for file in files:
        # Damage of any kind is reported when the file is read.
        with suppress(Exception), Image.open(file) as picture:
            sizes[picture.size] += 1
    if not sizes or (TILE_SIDE, TILE_SIDE) in sizes:
        return TILE_SIDE
    named = ", ".join(f"{width} x {height}" for width, height in sorted(sizes)[:4])
    if len(sizes) > 1:
        raise InputError(
            f"{display_path(files[0])}: the tiles are of several sizes ({named}); cut all of them to one, "
            f"officially {TILE_SIDE} x {TILE_SIDE}"
        )
    ((width, height),) = sizes
    if width != height or width % SIDE_STEP or width < MIN_SIDE:
        raise InputError(
            f"{display_path(files[0])}: tiles of {named} pixels; expected squares of {TILE_SIDE}, or another "
            f"multiple of {SIDE_STEP} from {MIN_SIDE} on"
        )
    return width


def _bits(files: Iterable[Path]) -> int:
    """Depth that the largest value of the 16-bit images needs; 8 when there are none."""
    largest = 0
    for file in filter(_is_deep, files):
        try:
            largest = max(largest, int(read_16_bit(file).max()))
        except ValueError:
            continue  # reported when it is read
    return max(8, largest.bit_length())


def _is_deep(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return is_16_bit(stream.read(HEADER_BYTES))
    except OSError:
        return False
