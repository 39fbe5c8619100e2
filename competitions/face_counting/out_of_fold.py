"""Out-of-fold boxes of all folds pooled, and what is decided on them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from competitions.face_counting import counting
from competitions.face_counting.experiment import CountingSettings
from competitions.face_counting.submission import rmse_interval, root_mean_squared_error


@dataclass(frozen=True)
class PooledFaces:
    """What all folds found on the pictures that they had not seen."""

    pictures: pd.DataFrame
    """fold, Name, head_count; one row a held-out picture."""
    found: counting.FoundFaces


@dataclass(frozen=True)
class OutOfFold:
    """What was decided."""

    counts: npt.NDArray[np.float64]
    """(pictures,) each by a rule fitted on the other folds."""
    metrics: dict[str, float]
    decision: dict[str, Any]


def pooled_faces(fold_folders: list[Path]) -> PooledFaces:
    """Read what 2_train_folds left in its fold folders."""
    pictures, found = [], []
    for fold, folder in enumerate(fold_folders):
        held_out = pd.read_parquet(folder / "held_out.parquet")
        pictures.append(held_out.assign(fold=fold)[["fold", "Name", "head_count"]])
        boxes = pd.read_parquet(folder / "oof.parquet")
        found.append(counting.found_faces(boxes, held_out["Name"].tolist()))
    return PooledFaces(pd.concat(pictures, ignore_index=True), counting.joined(found))


def decide(pooled: PooledFaces, settings: CountingSettings) -> OutOfFold:
    """Choose the way of counting by its RMSE across folds, then fit it on all of them."""
    head_counts = pooled.pictures["head_count"].to_numpy(np.float64)
    fold = pooled.pictures["fold"].to_numpy(np.int64)
    above = counting.boxes_above(pooled.found, settings)
    counts = {
        way: counting.counts_without_own_fold(way, above, head_counts, fold, settings)
        for way in counting.WAYS
    }
    errors = {way: root_mean_squared_error(counts[way], head_counts) for way in counting.WAYS}
    best = min(counting.WAYS, key=lambda way: errors[way])
    low, high = rmse_interval(counts[best], head_counts)
    metrics = {
        "oof_rmse": errors[best],
        "oof_rmse_low": low,
        "oof_rmse_high": high,
        "oof_rmse_mean_count": root_mean_squared_error(
            _means_without_own_fold(head_counts, fold), head_counts
        ),
        **{f"oof_rmse_{way}": error for way, error in errors.items()},
    }
    rule = counting.fit_rule(best, above, head_counts, settings)
    return OutOfFold(counts[best], metrics, counting.as_decision(rule, float(head_counts.mean())))


def _means_without_own_fold(
    head_counts: npt.NDArray[np.float64], fold: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """The naive count: the mean of the other folds' pictures (of all, where there is one fold)."""
    means = np.full(len(head_counts), head_counts.mean())
    for own in (fold == number for number in np.unique(fold)):
        if not own.all():
            means[own] = head_counts[~own].mean()
    return means
