"""Cross-validation: repeated K-fold over samples, or leave one coin out."""

from dataclasses import dataclass

import numpy as np

from common.base.errors import InputError
from common.learn.arrays import Int64
from competitions.bit_trader.data.windows import Windows
from competitions.bit_trader.experiment import BitTraderExperiment


@dataclass(frozen=True)
class HeldOut:
    """Samples that one forecaster forecasts and does not see in training."""

    name: str
    """`repeat2` or `coin7`."""
    repeat: int
    rows: Int64
    """Ascending row numbers of the training samples."""


def cv_groups(settings: BitTraderExperiment, windows: Windows) -> Int64:
    """(repeats, n) group numbers; samples with the same number are held out together in that repeat.

    Raises
    ------
    InputError : fewer samples (fewer coins, with leave_one_coin_out) than folds.
    """
    if settings.cv == "leave_one_coin_out":
        coins, codes = np.unique(windows.coin_index, return_inverse=True)
        if len(coins) < settings.folds:
            raise InputError(
                f"cv = leave_one_coin_out: the training samples have {len(coins)} coins, fewer than "
                f"{settings.folds} folds; use fewer folds or cv = repeated_kfold"
            )
        return codes[None, :].astype(np.int64)
    if len(windows) < settings.folds:
        raise InputError(
            f"{len(windows)} samples cannot be split into {settings.folds} folds; use fewer folds"
        )
    return windows.fold_order[:, : settings.repeats].T % settings.folds


def held_out_sets(settings: BitTraderExperiment, windows: Windows, fold: int) -> list[HeldOut]:
    """The validation sets of fold `fold`: one per repeat, or one per coin of the fold."""
    numbers = cv_groups(settings, windows)
    if settings.cv == "repeated_kfold":
        return [
            HeldOut(f"repeat{repeat}", repeat, np.flatnonzero(row == fold))
            for repeat, row in enumerate(numbers)
        ]
    coins = np.unique(windows.coin_index)
    return [
        HeldOut(f"coin{coins[group]}", 0, np.flatnonzero(numbers[0] == group))
        for group in range(fold, len(coins), settings.folds)
    ]
