"""Out-of-fold (OOF) boxes of all folds: the counting strategy is selected and fitted on them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.learn.arrays import Float64, Int64
from common.report.results_table import BASELINE
from competitions.face_counting.decision import counting
from competitions.face_counting.decision.box_calibration import Labels
from competitions.face_counting.detection.wbf import DetectedFaces, concat_pictures, faces_from_table
from competitions.face_counting.experiment import CountingSettings
from competitions.face_counting.rules.metric import rmse, rmse_interval


@dataclass(frozen=True)
class PooledFaces:
    """Boxes of all folds, each in pictures that the fold's model was not trained on."""

    pictures: pd.DataFrame
    """fold, Name, head_count; one row per held-out picture."""
    found: DetectedFaces
    labels: Labels | None = None
    """For each picture its labelled boxes (faces, 4) in px, where they are known."""


@dataclass(frozen=True)
class TunedCounting:
    """The selected strategy."""

    counts: Float64
    """(pictures,) each by a rule fitted on the other folds."""
    metrics: dict[str, float]
    decision: dict[str, Any]


def pool_faces(fold_folders: list[Path], views: int, boxes: dict[str, Float64] | None = None) -> PooledFaces:
    """Read the OOF predictions that 2_train_folds wrote to its fold folders.

    Parameters
    ----------
    views : per picture.
    boxes : labelled boxes by the picture's name.
    """
    pictures, found = [], []
    for fold, folder in enumerate(fold_folders):
        held_out = pd.read_parquet(folder / "held_out.parquet")
        pictures.append(held_out.assign(fold=fold)[["fold", "Name", "head_count"]])
        table = pd.read_parquet(folder / "oof.parquet")
        found.append(faces_from_table(table, held_out["Name"].tolist(), views))
    table = pd.concat(pictures, ignore_index=True)
    labels = None
    if boxes is not None:
        labels = [boxes.get(str(name), np.zeros((0, 4))) for name in table["Name"]]
    return PooledFaces(table, concat_pictures(found), labels)


def tune(pooled: PooledFaces, settings: CountingSettings) -> TunedCounting:
    """Select the strategy by its cross-fitted RMSE, then fit it on the pictures of all folds."""
    head_counts = pooled.pictures["head_count"].to_numpy(np.float64)
    fold = pooled.pictures["fold"].to_numpy(np.int64)
    found = pooled.found
    strategies = counting.strategies(found.views, pooled.labels is not None)
    grids = {
        merging: counting.count_grid(found, merging, settings)
        for merging in dict.fromkeys(strategy.merging for strategy in strategies)
    }
    counts = {
        strategy: counting.cross_fitted_counts(
            strategy, found, grids[strategy.merging], head_counts, fold, settings, pooled.labels
        )
        for strategy in strategies
    }
    errors = {strategy: rmse(counts[strategy], head_counts) for strategy in strategies}
    best = min(strategies, key=lambda strategy: errors[strategy])
    low, high = rmse_interval(counts[best], head_counts)
    metrics = {
        "oof_rmse": errors[best],
        "oof_rmse_low": low,
        "oof_rmse_high": high,
        f"{BASELINE}mean count": rmse(_cross_fitted_means(head_counts, fold), head_counts),
    }
    for strategy in strategies:
        low, high = rmse_interval(counts[strategy], head_counts)
        metrics |= {
            f"{strategy.name}_rmse": errors[strategy],
            f"{strategy.name}_low": low,
            f"{strategy.name}_high": high,
        }
    rule = counting.fit_rule(best, found, grids[best.merging], head_counts, settings, pooled.labels)
    decision = counting.as_decision(rule, float(head_counts.mean()), found.views)
    return TunedCounting(counts[best], metrics, decision)


def _cross_fitted_means(head_counts: Float64, fold: Int64) -> Float64:
    """The baseline: the mean of the other folds' pictures (of all, where there is one fold)."""
    means = np.full(len(head_counts), head_counts.mean())
    for own in (fold == number for number in np.unique(fold)):
        if not own.all():
            means[own] = head_counts[~own].mean()
    return means
