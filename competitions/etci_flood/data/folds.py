"""Cross-validation folds: which labelled tiles are held out together.

Adjacent tiles show the same river and the same fields. A random split puts them on both sides and leaks.
Whole scenes, or contiguous bands of a scene with a gap between training and held-out tiles, measure
generalisation to new areas, as the competition does.
"""

import numpy as np
import pandas as pd

from common.base.errors import InputError
from common.learn.arrays import Int16, Int64
from common.learn.folds import assign_folds
from common.learn.seeding import derived_seed
from competitions.etci_flood.data.layout import PHASE_1
from competitions.etci_flood.data.neighbours import adjacent_to
from competitions.etci_flood.experiment import RANDOM_FOLDS, TileSettings

NO_FOLD = -1


def fold_columns(tiles: pd.DataFrame, n_splits: int, seed: int) -> pd.DataFrame:
    """Columns `fold_<split>`, one for each kind of split: the fold in which a tile is held out.

    Parameters
    ----------
    tiles : labelled tiles with columns scene, x, y, split.
    n_splits : number of parts for scenes and blocks.

    Returns
    -------
    int16 columns fold_spatial, fold_scene, fold_block, fold_random, fold_phase, fold_all. All entries are -1
    where a kind of split is not possible on these tiles.
    """
    blocks = block_folds(tiles, n_splits)
    scenes = np.full(len(tiles), NO_FOLD, dtype=np.int16)
    number = tiles["scene"].nunique()
    if number >= n_splits:
        scenes = assign_folds(tiles["scene"].to_numpy(), n_splits, derived_seed(seed, "scenes"))
    order = np.random.default_rng(derived_seed(seed, "tenths")).permutation(len(tiles))
    phase = np.where(tiles["split"] == PHASE_1, 0, 1).astype(np.int16)
    columns = {
        "fold_spatial": scenes if number >= 2 * n_splits else blocks,
        "fold_scene": scenes,
        "fold_block": blocks,
        "fold_random": (np.argsort(order) % RANDOM_FOLDS).astype(np.int16),
        "fold_phase": phase if (phase == 0).any() else np.full_like(phase, NO_FOLD),
        "fold_all": np.ones(len(tiles), dtype=np.int16),
    }
    return pd.DataFrame(columns, index=tiles.index)


def block_folds(tiles: pd.DataFrame, n_splits: int) -> Int16:
    """Cut each scene into `n_splits` contiguous bands of about equally many tiles, across its longer side.

    Rows or columns of tiles are not cut, so bands touch only along the `n_splits - 1` borders between them;
    `training_and_held_out` leaves the tiles at a border out of training.
    """
    folds = np.full(len(tiles), NO_FOLD, dtype=np.int16)
    for _, positions in tiles.reset_index(drop=True).groupby("scene").groups.items():
        rows = positions.to_numpy()
        x, y = (tiles[axis].to_numpy()[rows] for axis in ("x", "y"))
        along = y if np.ptp(y) >= np.ptp(x) else x
        # Each line of tiles gets the band in which the middle of its tiles falls.
        _, line_of, counts = np.unique(along, return_inverse=True, return_counts=True)
        middle = counts.cumsum() - counts / 2
        folds[rows] = (middle * n_splits / len(rows)).astype(np.int16)[line_of]
    return folds


def folds_of(tiles: pd.DataFrame, settings: TileSettings) -> Int16:
    """Fold of each tile of the processed table under the settings' split, (n,); -1 for unused tiles.

    Raises
    ------
    InputError : these tiles cannot be split that way.
    """
    folds = tiles[f"fold_{settings.split}"].to_numpy().astype(np.int16)
    used = tiles["labelled"] & tiles["readable"]
    if not settings.phase1:
        used &= tiles["split"] != PHASE_1
    folds = np.where(used, folds, np.int16(NO_FOLD))
    if (folds == NO_FOLD).all():
        reason = {
            "scene": "there are fewer scenes than n_splits; use the block split",
            "phase": "no phase 1 tile is labelled; use another split",
        }.get(settings.split, "no labelled tile is left")
        raise InputError(f"tiles.split = {settings.split!r} is not possible on these data: {reason}")
    return folds


def training_and_held_out(tiles: pd.DataFrame, settings: TileSettings, fold: int) -> tuple[Int64, Int64]:
    """Rows of the processed table that `fold` trains on, and rows that it holds out.

    Where a scene is cut into blocks, tiles that are adjacent to a held-out tile are not trained on. No-data
    tiles, and tiles with suspected label noise, are left out of training where the settings say so, and never
    left out of the held-out tiles.

    Raises
    ------
    InputError : nothing is left to train on, or (but for split all) nothing is held out.
    """
    folds = folds_of(tiles, settings)
    trains = (folds != NO_FOLD) & (folds != fold)
    if settings.split in ("block", "spatial"):
        trains &= ~adjacent_to(tiles, folds == fold)
    if settings.drop_no_data:
        trains &= ~tiles["no_data"].to_numpy()
    if settings.drop_noisy_labels:
        trains &= tiles["noisy_pixels"].to_numpy() == 0
    training, held_out = np.flatnonzero(trains), np.flatnonzero(folds == fold)
    if len(training) < 2 or (settings.split != "all" and not len(held_out)):
        raise InputError(
            f"fold {fold} of a {settings.split} split: {len(training)} tiles to train on and "
            f"{len(held_out)} held out; give more labelled tiles, or lower tiles.n_splits"
        )
    return training, held_out
