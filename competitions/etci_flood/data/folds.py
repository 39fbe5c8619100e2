"""Which labelled tiles are held out together.

Neighbouring tiles show the same river and the same fields. A random cut puts them on both sides and so
measures memory; whole scenes, or contiguous bands of a scene with a gap between what is trained on and what
is held out, measure what the competition asks for.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.base.errors import InputError
from common.learn.folds import assign_folds
from common.learn.seeding import derived_seed
from competitions.etci_flood.data.layout import PHASE_1
from competitions.etci_flood.data.neighbours import touching
from competitions.etci_flood.experiment import RANDOM_TENTHS, TileSettings

NO_FOLD = -1
Folds = npt.NDArray[np.int16]


def fold_columns(tiles: pd.DataFrame, parts: int, seed: int) -> pd.DataFrame:
    """Columns `fold_<split>`, one for each kind of split: the fold in which a tile is held out.

    Parameters
    ----------
    tiles : labelled tiles with columns scene, x, y, split.
    parts : number of parts for scenes and blocks.

    Returns ------- int16 columns fold_spatial, fold_scene, fold_block, fold_random, fold_phase, fold_all.
    Where a kind of split is not possible on these tiles, all entries are -1.
    """
    blocks = block_folds(tiles, parts)
    scenes = np.full(len(tiles), NO_FOLD, dtype=np.int16)
    number = tiles["scene"].nunique()
    if number >= parts:
        scenes = assign_folds(tiles["scene"].to_numpy(), parts, derived_seed(seed, "scenes"))
    order = np.random.default_rng(derived_seed(seed, "tenths")).permutation(len(tiles))
    phase = np.where(tiles["split"] == PHASE_1, 0, 1).astype(np.int16)
    columns = {
        "fold_spatial": scenes if number >= 2 * parts else blocks,
        "fold_scene": scenes,
        "fold_block": blocks,
        "fold_random": (np.argsort(order) % RANDOM_TENTHS).astype(np.int16),
        "fold_phase": phase if (phase == 0).any() else np.full_like(phase, NO_FOLD),
        "fold_all": np.ones(len(tiles), dtype=np.int16),
    }
    return pd.DataFrame(columns, index=tiles.index)


def block_folds(tiles: pd.DataFrame, parts: int) -> Folds:
    """Cut each scene into `parts` contiguous bands of about equally many tiles, across its longer side.

    Whole rows or columns of tiles stay together, so bands touch only along the `parts - 1` borders between
    them; `training_and_held_out` leaves the tiles that do out of training.
    """
    folds = np.full(len(tiles), NO_FOLD, dtype=np.int16)
    for _, positions in tiles.reset_index(drop=True).groupby("scene").groups.items():
        rows = positions.to_numpy()
        x, y = (tiles[axis].to_numpy()[rows] for axis in ("x", "y"))
        along = y if np.ptp(y) >= np.ptp(x) else x
        _, line_of, counts = np.unique(along, return_inverse=True, return_counts=True)
        middle = counts.cumsum() - counts / 2
        folds[rows] = (middle * parts / len(rows)).astype(np.int16)[line_of]
    return folds


def folds_of(tiles: pd.DataFrame, settings: TileSettings) -> Folds:
    """Fold of each tile of the processed table under the settings' split; -1 for tiles that take no part.

    Raises
    ------
    InputError : these tiles cannot be split that way.
    """
    folds = tiles[f"fold_{settings.split}"].to_numpy().astype(np.int16)
    taking_part = tiles["labelled"] & tiles["readable"]
    if not settings.phase1:
        taking_part &= tiles["split"] != PHASE_1
    folds = np.where(taking_part, folds, np.int16(NO_FOLD))
    if (folds == NO_FOLD).all():
        reason = {
            "scene": "there are fewer scenes than parts; use the block split",
            "phase": "no phase 1 tile is labelled; use another split",
        }.get(settings.split, "no labelled tile is left")
        raise InputError(f"tiles.split = {settings.split!r} is not possible on these data: {reason}")
    return folds


def training_and_held_out(
    tiles: pd.DataFrame, settings: TileSettings, fold: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows of the processed table that `fold` trains on, and rows that it holds out.

    Where a scene is cut into blocks, tiles that touch a held-out one are not trained on: what is measured
    never touches what was learned from. Blank tiles, and those whose labelled flood is as bright as dry land,
    are left out of training where the settings say so, never out of what is held out.

    Raises
    ------
    InputError : nothing is left to train on, or (but for split all) nothing is held out.
    """
    folds = folds_of(tiles, settings)
    trains = (folds != NO_FOLD) & (folds != fold)
    if settings.split in ("block", "spatial"):
        trains &= ~touching(tiles, folds == fold)
    if settings.without_blanks:
        trains &= ~tiles["blank"].to_numpy()
    if settings.without_bright_floods:
        trains &= tiles["bright_pixels"].to_numpy() == 0
    training, held_out = np.flatnonzero(trains), np.flatnonzero(folds == fold)
    if len(training) < 2 or (settings.split != "all" and not len(held_out)):
        raise InputError(
            f"fold {fold} of a {settings.split} split: {len(training)} tiles to train on and "
            f"{len(held_out)} held out; give more labelled tiles, or fewer parts"
        )
    return training, held_out
