"""Who is held out when: repeated K-fold over samples, or one coin after the other."""

from dataclasses import dataclass

import numpy as np

from common.base.errors import InputError
from competitions.bit_trader.data.bar_files import IntArray
from competitions.bit_trader.data.windows import Windows
from competitions.bit_trader.experiment import BitTraderExperiment


@dataclass(frozen=True)
class HeldOut:
    """Samples that one forecaster does not see in training, and forecasts."""

    name: str
    """`repeat2` or `coin7`."""
    repeat: int
    rows: IntArray
    """Ascending row numbers of the training samples."""


def groups(settings: BitTraderExperiment, windows: Windows) -> IntArray:
    """(repeats, n): what is held out together; equal numbers within a repeat are one group.

    Raises
    ------
    InputError : fewer samples, or coins where coins are held out, than folds.
    """
    if settings.held_out_by == "coin":
        coins, codes = np.unique(windows.coin_index, return_inverse=True)
        if len(coins) < settings.folds:
            raise InputError(
                f"held_out_by = coin: the training samples have {len(coins)} coins, fewer than "
                f"{settings.folds} folds; set fewer folds in experiments.toml, or hold out by sample"
            )
        return codes[None, :].astype(np.int64)
    if len(windows) < settings.folds:
        raise InputError(
            f"{len(windows)} samples cannot be cut into {settings.folds} folds; give more data or fewer folds"
        )
    return windows.partition[:, : settings.repeats].T % settings.folds


def held_out_in(settings: BitTraderExperiment, windows: Windows, fold: int) -> list[HeldOut]:
    """What fold `fold` holds out: its part of each repeat, or each of its coins alone."""
    numbers = groups(settings, windows)
    if settings.held_out_by == "sample":
        return [
            HeldOut(f"repeat{repeat}", repeat, np.flatnonzero(row == fold))
            for repeat, row in enumerate(numbers)
        ]
    coins = np.unique(windows.coin_index)
    return [
        HeldOut(f"coin{coins[group]}", 0, np.flatnonzero(numbers[0] == group))
        for group in range(fold, len(coins), settings.folds)
    ]
