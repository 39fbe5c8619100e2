"""Pixel-wise gradient boosting: LightGBM (Ke et al. 2017) on features of each pixel's neighbourhood."""

import os
from pathlib import Path

import lightgbm
import numpy as np

from common.base.console import progress
from common.base.errors import InputError
from common.base.paths import display_path
from common.learn.arrays import AnyArray, Float32, Int64, UInt8
from common.learn.boosting import load_booster, save_booster, train_lightgbm
from common.run.job import Job
from competitions.etci_flood.data.layout import TILE_SIDE
from competitions.etci_flood.data.neighbours import PaddedTiles
from competitions.etci_flood.data.tiles import TileArrays
from competitions.etci_flood.experiment import DomainSettings, FloodExperiment, PixelLgbmSettings
from competitions.etci_flood.models.base import FittedFold, ModelKind, equal_weights, predict_tiles, seed_fold
from competitions.etci_flood.models.domain_randomisation import (
    CROPPED_FRACTION,
    changed_domain,
    cropped_tile,
    enlarged_tile,
    random_zoom,
)
from competitions.etci_flood.models.pixel_features import PADDING, feature_names, pixel_features
from competitions.etci_flood.models.registry import MODEL_KINDS

CHECKPOINT = "checkpoint.txt"
MAX_PIXELS = 4_000_000
"""Pixels to train on; with more tiles fewer are sampled from each, so that memory is bounded (1 GB)."""
EARLY_STOP_LOG_ODDS = 5.0
"""Log odds (0.7 or 99.3 %) beyond which a pixel skips the remaining trees, as most pixels of dry land do."""


@MODEL_KINDS.register("pixel_lgbm")
class PixelLgbmKind(ModelKind):
    """LightGBM pixel by pixel; folds are averaged."""

    def fit(
        self, job: Job[FloodExperiment], arrays: TileArrays, training: Int64, held_out: Int64
    ) -> FittedFold:
        """Train on sampled pixels of the training tiles and predict the held-out tiles."""
        settings, seed = self.settings, seed_fold(job.seed, job.fold)
        booster = train_booster(arrays, training, settings.pixel_lgbm, seed, settings.domain)
        checkpoint = job.fold_folder / CHECKPOINT
        save_booster(checkpoint, booster)
        models = equal_weights([PixelModel(booster)])
        oof_maps = predict_tiles(models, arrays, held_out, self.settings.prediction.batch_size)
        return FittedFold(oof_maps, [checkpoint], {"train_tiles": float(len(training))})

    def load_fold(self, folder: Path, device: str) -> "PixelModel":  # noqa: ARG002
        """The booster of one trained fold."""
        return PixelModel.load(folder / CHECKPOINT)


class PixelModel:
    """Probability of flood from a pixel's neighbourhood (`base.FloodModel`)."""

    padding = PADDING

    def __init__(self, booster: lightgbm.Booster) -> None:
        self.booster = booster
        self.needs_scene = booster.num_feature() == len(feature_names(scene_medians=True))

    @classmethod
    def load(cls, file: Path) -> "PixelModel":
        """Read a booster; InputError when it is missing, damaged or of other features."""
        booster = load_booster(file)
        known = [len(feature_names(scene_medians)) for scene_medians in (True, False)]
        if booster.num_feature() not in known:
            raise InputError(
                f"{display_path(file)}: trained on other features; delete it and train the fold again"
            )
        return cls(booster)

    def probability(self, layers: UInt8, scale: Float32) -> Float32:
        """(n, height, width) for (n, 3, height + 2 padding, width + 2 padding)."""
        return np.stack([self._probability_of_tile(*tile) for tile in zip(layers, scale, strict=True)])

    def _probability_of_tile(self, layers: UInt8, scale: Float32) -> Float32:
        features = pixel_features(layers, scale, self.needs_scene)
        height, width, number = features.shape
        flat = self.booster.predict(
            features.reshape(-1, number),  # one row per pixel
            num_threads=_threads(),
            pred_early_stop=True,
            pred_early_stop_freq=10,
            pred_early_stop_margin=2 * EARLY_STOP_LOG_ODDS,
        )
        return np.asarray(flat, np.float32).reshape(height, width)


def train_booster(
    arrays: TileArrays,
    rows: Int64,
    settings: PixelLgbmSettings,
    seed: int,
    domain: DomainSettings | None = None,
) -> lightgbm.Booster:
    """Train on pixels sampled at random from the tiles of `rows`."""
    names = feature_names(settings.scene_medians)
    features, flood = sample_pixels(arrays, rows, settings, seed, domain)
    return train_lightgbm(
        features,
        flood,
        objective="binary",
        num_boost_round=settings.num_boost_round,
        num_leaves=settings.num_leaves,
        learning_rate=settings.learning_rate,
        min_data_in_leaf=settings.min_data_in_leaf,
        seed=seed,
        num_threads=_threads(),
        feature_names=names,
        feature_fraction=0.5,
        bagging_fraction=0.5,
        bagging_freq=1,
        max_bin=63,
    )


def sample_pixels(
    arrays: TileArrays,
    rows: Int64,
    settings: PixelLgbmSettings,
    seed: int,
    domain: DomainSettings | None = None,
) -> tuple[Float32, UInt8]:
    """Features (pixels, features) and labels (pixels,) of random pixels of each tile.

    With domain randomisation a part of the pixels is sampled from a changed copy of each tile.
    """
    generator = np.random.default_rng(seed)
    padded = PaddedTiles(arrays)
    scale = arrays.scale(rows)
    counts = pixels_per_tile(arrays.tiles["scene"].to_numpy()[rows], settings, arrays.side)
    domain = domain or DomainSettings()
    changed = np.rint(counts * domain.changed).astype(np.int64)
    names = feature_names(settings.scene_medians)
    features = np.empty((counts.sum(), len(names)), np.float32)
    flood = np.empty(len(features), np.uint8)
    end = 0
    for place, row in enumerate(progress(rows, "sampling pixels", "tiles")):
        layers = padded.layers_of(int(row), PADDING)
        for copy, number in enumerate((counts[place] - changed[place], changed[place])):
            if not number:
                continue
            seen, labels = layers, arrays.flood[row]
            if copy:
                seen, labels = _changed_tile(layers, labels, domain, number, generator)
            of_tile = pixel_features(seen, scale[place], settings.scene_medians)
            of_tile = of_tile.reshape(-1, of_tile.shape[-1])  # (256 x 256, features)
            chosen = generator.choice(len(of_tile), number, replace=False)
            start, end = end, end + number
            features[start:end] = of_tile[chosen]
            flood[start:end] = labels.ravel()[chosen]
    return features, flood


def _changed_tile(
    layers: UInt8, flood: UInt8, domain: DomainSettings, pixels: int, generator: np.random.Generator
) -> tuple[UInt8, UInt8]:
    """A padded tile with its labels, enlarged or cropped at times, with another radiometry."""
    zoom = random_zoom(domain, generator)
    if zoom > 1:
        layers, flood = enlarged_tile(layers, flood, PADDING, zoom, generator)
    if generator.random() < CROPPED_FRACTION:
        layers, flood = cropped_tile(layers, flood, PADDING, pixels, generator)
    wet = (layers[2] > 0) | np.pad(flood > 0, PADDING, mode="symmetric")
    return changed_domain(layers, wet, domain, generator), flood


def pixels_per_tile(scenes: AnyArray, settings: PixelLgbmSettings, tile_side: int = TILE_SIDE) -> Int64:
    """Number of pixels to sample from each tile, (n,), from the scene of each tile, (n,)."""
    _, scene_of, tiles = np.unique(scenes, return_inverse=True, return_counts=True)
    density = (1 / tiles[scene_of]) ** settings.scene_balance
    total = min(settings.pixels_per_tile * len(scenes), MAX_PIXELS)
    counts: Int64 = np.rint(total * density / density.sum()).astype(np.int64)
    return counts.clip(1, tile_side**2)


def _threads() -> int:
    """Cores that this process may use; OMP_NUM_THREADS where it is set."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdigit() else len(os.sched_getaffinity(0))
