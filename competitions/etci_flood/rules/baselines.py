"""Naive flood maps that any model must beat."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.base.errors import InputError
from common.base.paths import display_path
from common.files.pictures import UnreadablePictureError
from competitions.etci_flood.data.layout import TILE_SIDE, Tile, find_tiles
from competitions.etci_flood.data.tiles import read_layer
from competitions.etci_flood.decision.linear_rule import LinearRule, best_linear_rule, joint_counts
from competitions.etci_flood.decision.vv_threshold import DarkRule, best_dark_rule
from competitions.etci_flood.rules.metric import level_counts, overlaps, pooled_iou
from competitions.etci_flood.rules.submission import read_truth

Bytes = npt.NDArray[np.uint8]

MOST_TILES = 2000
"""Labelled tiles that the threshold is chosen on, evenly spread: more would not move it."""


def naive_scores(data: Path, truth: Path) -> dict[str, float]:
    """Pooled IoU on the test split: all flood, the water mask, the labelled tiles' best rules."""
    flood, _ = read_truth(truth)
    tiles = find_tiles(data)
    if len(tiles.predicted) != len(flood):
        raise InputError(
            f"{display_path(truth)}: {len(flood)} masks, but {display_path(data)} has {len(tiles.predicted)} test tiles"
        )
    some = tiles.labelled[:: -(-len(tiles.labelled) // MOST_TILES)]
    rule, linear = dark_rule_of(some), linear_rule_of(some)
    whole = np.ones((TILE_SIDE, TILE_SIDE), np.uint8)
    masks = {
        "all flood": (whole for _ in tiles.predicted),
        "water mask": (_layer_or_empty(tile, "water_body_label") for tile in tiles.predicted),
        str(rule): (rule.mask(_layer_or_empty(tile, "vv")) for tile in tiles.predicted),
        f"linear: {linear}": (
            linear.mask(_layer_or_empty(tile, "vv"), _layer_or_empty(tile, "vh")) for tile in tiles.predicted
        ),
    }
    return {name: float(pooled_iou(overlaps(predicted, flood))) for name, predicted in masks.items()}


def dark_rule_of(labelled: list[Tile]) -> DarkRule:
    """The rule on VV with the highest pooled IoU on these tiles."""
    counts = [level_counts(vv[None], flood[None])[0] for vv, _, flood in _labelled_layers(labelled)]
    return best_dark_rule(np.array(counts).reshape(-1, 2, 256))


def linear_rule_of(labelled: list[Tile]) -> LinearRule:
    """The rule on VV and VH with the highest pooled IoU on these tiles."""
    total = np.zeros((2, 256, 256), np.int64)
    for vv, vh, flood in _labelled_layers(labelled):
        total += next(joint_counts([vv], [vh], [flood]))
    return best_linear_rule(total)


def _labelled_layers(labelled: list[Tile]) -> Iterator[tuple[Bytes, Bytes, Bytes]]:
    """VV, VH and flood (0 or 1) of the tiles that can be read."""
    for tile in labelled:
        try:
            vv, vh, flood = (read_layer(tile.files[layer]) for layer in ("vv", "vh", "flood_label"))
        except UnreadablePictureError:
            continue
        yield vv, vh, (flood > 127).astype(np.uint8)


def _layer_or_empty(tile: Tile, layer: str) -> Bytes:
    try:
        return read_layer(tile.files[layer])
    except (KeyError, UnreadablePictureError):
        return np.zeros((TILE_SIDE, TILE_SIDE), np.uint8)
