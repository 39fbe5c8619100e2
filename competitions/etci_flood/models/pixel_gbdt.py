"""Boosted trees that map floods pixel by pixel (LightGBM, Ke et al. 2017)."""

import os
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

from common.base.atomic import atomic_write
from common.base.console import progress
from common.base.errors import InputError
from common.base.paths import display_path
from competitions.etci_flood.data.layout import TILE_SIDE
from competitions.etci_flood.data.neighbours import SurroundedTiles
from competitions.etci_flood.data.tiles import TileArrays
from competitions.etci_flood.experiment import PixelSettings
from competitions.etci_flood.models.pixel_features import MARGIN, feature_names, pixel_features

Bytes = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

MOST_PIXELS = 4_000_000
"""Pixels to learn from; with more tiles fewer are drawn from each, so that memory stays bounded (1 GB)."""


SURE_LOG_ODDS = 5.0
"""A pixel whose log odds are beyond after some trees is sure (0.7 or 99.3 %): the other trees are not asked.
Most pixels are dry land far from any water."""


class PixelModel:
    """Probability of flood from what surrounds a pixel (flood_maps.FloodModel)."""

    margin = MARGIN

    def __init__(self, trees: lightgbm.Booster) -> None:
        self.trees = trees

    @classmethod
    def load(cls, file: Path) -> "PixelModel":
        """Read what `train_trees` wrote; InputError when it is missing or damaged."""
        if not file.is_file():
            raise InputError(f"{display_path(file)}: no such model file")
        try:
            trees = lightgbm.Booster(model_file=str(file))
        except lightgbm.basic.LightGBMError as fault:
            raise InputError(
                f"{display_path(file)}: not a readable LightGBM model ({str(fault)[:80]})"
            ) from None
        if trees.num_feature() != len(feature_names()):
            raise InputError(
                f"{display_path(file)}: trees of other features; delete it and train the fold again"
            )
        return cls(trees)

    def probability(self, layers: Bytes, scale: FloatArray) -> FloatArray:
        """(n, height, width) for (n, 3, height + 2 margin, width + 2 margin)."""
        return np.stack([self._one(tile, its) for tile, its in zip(layers, scale, strict=True)])

    def _one(self, layers: Bytes, scale: FloatArray) -> FloatArray:
        features = pixel_features(layers, scale)
        height, width, number = features.shape
        flat = self.trees.predict(
            features.reshape(-1, number),
            num_threads=_threads(),
            pred_early_stop=True,
            pred_early_stop_freq=10,
            pred_early_stop_margin=2 * SURE_LOG_ODDS,
        )
        return np.asarray(flat, np.float32).reshape(height, width)


def train_trees(
    arrays: TileArrays, rows: Rows, settings: PixelSettings, seed: int, file: Path
) -> lightgbm.Booster:
    """Learn from pixels drawn at random from the tiles of `rows`, and write the trees to `file` as text."""
    features, flood = drawn_pixels(arrays, rows, settings, seed)
    data = lightgbm.Dataset(features, flood, feature_name=_plain(feature_names()), free_raw_data=True)
    trees = lightgbm.train(
        {
            "objective": "binary",
            "learning_rate": settings.learning_rate,
            "num_leaves": settings.leaves,
            "min_data_in_leaf": settings.leaf_pixels,
            "feature_fraction": 0.5,
            "bagging_fraction": 0.5,
            "bagging_freq": 1,
            "max_bin": 63,
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": _threads(),
            "verbosity": -1,
        },
        data,
        settings.trees,
    )
    with atomic_write(file) as partial:
        trees.save_model(str(partial))
    return trees


def drawn_pixels(
    arrays: TileArrays, rows: Rows, settings: PixelSettings, seed: int
) -> tuple[FloatArray, npt.NDArray[np.uint8]]:
    """Features and labels of random pixels of each tile (fewer where there are very many tiles)."""
    generator = np.random.default_rng(seed)
    surrounded = SurroundedTiles(arrays)
    scale = arrays.scale(rows)
    numbers = pixels_of_tiles(arrays.tiles["scene"].to_numpy()[rows], settings)
    features = np.empty((numbers.sum(), len(feature_names())), np.float32)
    flood = np.empty(len(features), np.uint8)
    end = 0
    for place, row in enumerate(progress(rows, "drawing pixels", "tiles")):
        of_tile = pixel_features(surrounded.layers_of(int(row), MARGIN), scale[place])
        of_tile = of_tile.reshape(-1, of_tile.shape[-1])
        chosen = generator.choice(len(of_tile), numbers[place], replace=False)
        start, end = end, end + len(chosen)
        features[start:end] = of_tile[chosen]
        flood[start:end] = arrays.flood[row].ravel()[chosen]
    return features, flood


def pixels_of_tiles(scenes: npt.NDArray[Any], settings: PixelSettings) -> npt.NDArray[np.int64]:
    """How many pixels are drawn from each tile, of the tiles' scenes."""
    _, scene_of, tiles = np.unique(scenes, return_inverse=True, return_counts=True)
    shares = (1 / tiles[scene_of]) ** settings.scene_balance
    total = min(settings.pixels * len(scenes), MOST_PIXELS)
    numbers: npt.NDArray[np.int64] = np.rint(total * shares / shares.sum()).astype(np.int64)
    return numbers.clip(1, TILE_SIDE**2)


def _plain(names: list[str]) -> list[str]:
    """LightGBM writes names into its file, where a blank would end them."""
    return [name.replace(" ", "_") for name in names]


def _threads() -> int:
    """Cores that this process may use; OMP_NUM_THREADS where it is set."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdigit() else len(os.sched_getaffinity(0))
