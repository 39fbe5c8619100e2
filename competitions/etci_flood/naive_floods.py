"""Naive flood maps that any model must beat."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.errors import InputError
from common.paths import shown
from common.pictures import UnreadablePictureError
from competitions.etci_flood.dark_water import DarkRule, best_dark_rule
from competitions.etci_flood.flood_iou import level_counts, overlaps, pooled_iou
from competitions.etci_flood.official_layout import TILE_SIDE, Tile, find_tiles
from competitions.etci_flood.submission_archive import read_truth
from competitions.etci_flood.tile_arrays import read_layer

Bytes = npt.NDArray[np.uint8]

MOST_TILES = 2000
"""Labelled tiles that the threshold is chosen on, evenly spread: more would not move it."""


def naive_scores(data: Path, truth: Path) -> dict[str, float]:
    """Pooled IoU on the test split: all flood, the water mask, the labelled tiles' best VV threshold."""
    flood, _ = read_truth(truth)
    tiles = find_tiles(data)
    if len(tiles.predicted) != len(flood):
        raise InputError(
            f"{shown(truth)}: {len(flood)} masks, but {shown(data)} has {len(tiles.predicted)} test tiles"
        )
    rule = dark_rule_of(tiles.labelled[:: -(-len(tiles.labelled) // MOST_TILES)])
    whole = np.ones((TILE_SIDE, TILE_SIDE), np.uint8)
    masks = {
        "all flood": (whole for _ in tiles.predicted),
        "water mask": (_layer_or_empty(tile, "water_body_label") for tile in tiles.predicted),
        str(rule): (rule.mask(_layer_or_empty(tile, "vv")) for tile in tiles.predicted),
    }
    return {name: float(pooled_iou(overlaps(predicted, flood))) for name, predicted in masks.items()}


def dark_rule_of(labelled: list[Tile]) -> DarkRule:
    """The rule on VV with the highest pooled IoU on these tiles."""
    counts = []
    for tile in labelled:
        try:
            vv, flood = (read_layer(tile.files[layer]) for layer in ("vv", "flood_label"))
        except UnreadablePictureError:
            continue
        counts.append(level_counts(vv[None], (flood[None] > 127).astype(np.uint8))[0])
    return best_dark_rule(np.array(counts).reshape(-1, 2, 256))


def _layer_or_empty(tile: Tile, layer: str) -> Bytes:
    try:
        return read_layer(tile.files[layer])
    except (KeyError, UnreadablePictureError):
        return np.zeros((TILE_SIDE, TILE_SIDE), np.uint8)
