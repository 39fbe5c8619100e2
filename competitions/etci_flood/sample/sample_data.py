"""A small synthetic flood competition in the official layout.

    python -m competitions.etci_flood.sample.sample_data --out DIR [--seed N] [--scale S]

Scenes of synthetic terrain are cut into tiles, so that adjacent tiles continue each other as in the official
data. The traps of the official data are included: no-data tiles outside the swath (a quarter of the training
tiles), a tile that lacks a layer, names whose order differs between layers. The labels of the test split are
in `truth/`, which the numbered stages never read.
"""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from common.learn.arrays import Bools
from common.learn.seeding import derived_seed
from common.run.sample_data import sample_data_command
from competitions.etci_flood.competition import COMPETITION
from competitions.etci_flood.data.layout import (
    PHASE_1,
    PHASE_2,
    TILE_SIDE,
    TRAIN,
    TileKey,
    submission_order,
)
from competitions.etci_flood.sample.scene_simulation import SimulatedScene, cut_swath, simulate_scene

NO_DATA_SHARE = 0.25
"""Of the labelled tiles, as in the official training split."""


@dataclass(frozen=True)
class ScenePlan:
    """One scene of the sample."""

    split: str
    name: str
    rows: int
    columns: int
    white_edge: bool = False
    """Whether it is white outside the swath with its labels kept, otherwise black without labels."""


PLANS = (
    ScenePlan(TRAIN, "bangladesh_20170314t115609", 6, 4),
    ScenePlan(TRAIN, "bangladesh_20170606t115613", 6, 4, white_edge=True),
    ScenePlan(TRAIN, "nebraska_20170213t002121", 6, 4),
    ScenePlan(TRAIN, "northal_20190302t234651", 6, 4),
    ScenePlan(PHASE_1, "florence_20180919t231415", 6, 4),
    ScenePlan(PHASE_2, "redrivernorth_20190104t002247", 5, 4),
    ScenePlan(PHASE_2, "redrivernorth_20190413t002251", 5, 4),
)
FIRST_ROW, FIRST_COLUMN = 0, 8
"""Column numbers exceed 9, so that the order of names differs between layers."""


def write_sample_data(folder: Path, seed: int, scale: float) -> None:
    """Simulate all scenes into an empty folder; `scale` multiplies the number of tiles."""
    truth: dict[TileKey, Bools] = {}
    for plan in PLANS:
        rng = np.random.default_rng(derived_seed(seed, plan.split, plan.name))
        side = math.sqrt(scale)
        rows, columns = (max(2, round(number * side)) for number in (plan.rows, plan.columns))
        scene = simulate_scene((rows * TILE_SIDE, columns * TILE_SIDE), rng)
        no_data = NO_DATA_SHARE if plan.split != PHASE_2 else 0.0
        scene = cut_swath(scene, _inside_swath(rows, columns, no_data), plan.white_edge)
        for key, window in _windows(plan.name, rows, columns):
            _write_tile(folder / plan.split / plan.name / "tiles", key, scene, window, plan.split != PHASE_2)
            truth[key] = scene.flood[window]
    _remove_one_layer(folder / TRAIN / PLANS[0].name / "tiles" / "vh")
    _write_truth(folder, truth)


def _windows(scene: str, rows: int, columns: int) -> Iterator[tuple[TileKey, tuple[slice, slice]]]:
    for row in range(rows):
        for column in range(columns):
            window = tuple(slice(start * TILE_SIDE, (start + 1) * TILE_SIDE) for start in (row, column))
            yield TileKey(scene, FIRST_ROW + row, FIRST_COLUMN + column), (window[0], window[1])


def _inside_swath(rows: int, columns: int, no_data_share: float) -> Bools:
    """Pixels on the near side of a slanted edge that leaves `no_data_share` of the tiles without data."""
    down, across = np.ogrid[: rows * TILE_SIDE, : columns * TILE_SIDE]
    depth = across + 0.35 * down
    # A tile has no data when its pixel deepest in the swath, the lower right one, is outside the edge.
    deepest = np.sort(depth[TILE_SIDE - 1 :: TILE_SIDE, TILE_SIDE - 1 :: TILE_SIDE].ravel())
    empty = round(no_data_share * len(deepest))
    edge = deepest[empty - 1] if empty else deepest[0] - 0.6 * TILE_SIDE
    inside: Bools = depth > edge
    return inside


def _write_tile(
    tiles: Path, key: TileKey, scene: SimulatedScene, window: tuple[slice, slice], labelled: bool
) -> None:
    layers = {
        f"vv/{key}_vv.png": scene.vv[window],
        f"vh/{key}_vh.png": scene.vh[window],
        f"water_body_label/{key}.png": scene.water[window] * np.uint8(255),
    }
    if labelled:
        layers[f"flood_label/{key}.png"] = scene.flood[window] * np.uint8(255)
    for name, layer in layers.items():
        (tiles / name).parent.mkdir(parents=True, exist_ok=True)
        Image.merge("RGB", [Image.fromarray(layer)] * 3).save(tiles / name, compress_level=1)


def _remove_one_layer(layer: Path) -> None:
    """Remove one tile's VH."""
    sorted(layer.iterdir())[-1].unlink()


def _write_truth(folder: Path, flood: dict[TileKey, Bools]) -> None:
    tiles = submission_order(folder)
    (folder / "truth").mkdir()
    masks = np.stack([flood[tile.key] for tile in tiles]).astype(np.uint8)
    np.save(folder / "truth" / "flood_label.npy", masks, allow_pickle=False)
    with (folder / "truth" / "tiles.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["tile", "scene"])
        writer.writerows([str(tile.key), tile.key.scene] for tile in tiles)


if __name__ == "__main__":
    sample_data_command(COMPETITION, __doc__)
