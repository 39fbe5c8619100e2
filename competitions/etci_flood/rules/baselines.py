"""Baselines without a model: all flood, the water mask, a VV threshold, a linear rule on VV and VH."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from common.base.errors import InputError
from common.base.paths import display_path
from common.files.pictures import UnreadablePictureError
from common.learn.arrays import UInt8
from competitions.etci_flood.data.layout import Tile, find_tiles
from competitions.etci_flood.data.tile_format import TileFormat, find_format
from competitions.etci_flood.data.tiles import NonBinaryMaskError, read_layer, read_mask
from competitions.etci_flood.decision.linear_rule import LinearRule, best_linear_rule, joint_counts
from competitions.etci_flood.decision.vv_threshold import VVThreshold, best_vv_threshold
from competitions.etci_flood.rules.metric import overlaps, pooled_iou, value_counts
from competitions.etci_flood.rules.submission import read_truth

MAX_TILES = 2000
"""Labelled tiles, evenly spread, that the rules are tuned on; more would not move them."""


def baseline_scores(data: Path, truth: Path) -> dict[str, float]:
    """Pooled IoU on the test split of all baselines; the two rules are tuned on labelled tiles."""
    flood, _ = read_truth(truth)
    tiles = find_tiles(data)
    if len(tiles.predicted) != len(flood):
        raise InputError(
            f"{display_path(truth)}: {len(flood)} masks, but {display_path(data)} has "
            f"{len(tiles.predicted)} test tiles"
        )
    subset = tiles.labelled[:: -(-len(tiles.labelled) // MAX_TILES)]
    form = find_format([*tiles.labelled, *tiles.predicted])
    threshold, linear = tuned_vv_threshold(subset, form), tuned_linear_rule(subset, form)
    all_flood = np.ones(flood.shape[1:], np.uint8)
    masks = {
        "all flood": (all_flood for _ in tiles.predicted),
        "water mask": (_layer_or_empty(tile, "water_body_label", form) for tile in tiles.predicted),
        str(threshold): (threshold.mask(_layer_or_empty(tile, "vv", form)) for tile in tiles.predicted),
        f"linear: {linear}": (
            linear.mask(_layer_or_empty(tile, "vv", form), _layer_or_empty(tile, "vh", form))
            for tile in tiles.predicted
        ),
    }
    return {name: float(pooled_iou(overlaps(predicted, flood))) for name, predicted in masks.items()}


def tuned_vv_threshold(labelled: list[Tile], form: TileFormat) -> VVThreshold:
    """The VV threshold with the highest pooled IoU on these tiles."""
    counts = [value_counts(vv[None], flood[None])[0] for vv, _, flood in _labelled_layers(labelled, form)]
    return best_vv_threshold(np.array(counts).reshape(-1, 2, 256))


def tuned_linear_rule(labelled: list[Tile], form: TileFormat) -> LinearRule:
    """The linear rule on VV and VH with the highest pooled IoU on these tiles."""
    total = np.zeros((2, 256, 256), np.int64)
    for vv, vh, flood in _labelled_layers(labelled, form):
        total += next(joint_counts([vv], [vh], [flood]))
    return best_linear_rule(total)


def _labelled_layers(labelled: list[Tile], form: TileFormat) -> Iterator[tuple[UInt8, UInt8, UInt8]]:
    """VV, VH and flood (0 or 1) of the tiles that can be read."""
    for tile in labelled:
        try:
            vv, vh = (read_layer(tile.files[layer], form) for layer in ("vv", "vh"))
            flood, _ = read_mask(tile.files["flood_label"], form)
        except (UnreadablePictureError, NonBinaryMaskError):
            continue
        yield vv, vh, flood


def _layer_or_empty(tile: Tile, layer: str, form: TileFormat) -> UInt8:
    try:
        if layer == "water_body_label":
            return read_mask(tile.files[layer], form)[0]
        return read_layer(tile.files[layer], form)
    except (KeyError, UnreadablePictureError, NonBinaryMaskError):
        return np.zeros((form.side, form.side), np.uint8)
