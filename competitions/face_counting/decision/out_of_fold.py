"""Out-of-fold boxes of all folds pooled, and what is decided on them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.report.results_table import BASELINE
from competitions.face_counting.decision import counting
from competitions.face_counting.decision.box_calibration import Labels
from competitions.face_counting.detection.wbf import FoundFaces, found_faces, joined
from competitions.face_counting.experiment import CountingSettings
from competitions.face_counting.rules.submission import rmse_interval, root_mean_squared_error


@dataclass(frozen=True)
class PooledFaces:
    """What all folds found on the pictures that they had not seen."""

    pictures: pd.DataFrame
    """fold, Name, head_count; one row a held-out picture."""
    found: FoundFaces
    labels: Labels | None = None
    """For each picture its labelled boxes (faces, 4) in px, where they are known."""


@dataclass(frozen=True)
class OutOfFold:
    """What was decided."""

    counts: npt.NDArray[np.float64]
    """(pictures,) each by a rule fitted on the other folds."""
    metrics: dict[str, float]
    decision: dict[str, Any]


def pooled_faces(
    fold_folders: list[Path], looks: int, boxes: dict[str, npt.NDArray[np.float64]] | None = None
) -> PooledFaces:
    """Read what 2_train_folds left in its fold folders: `looks` a picture; `boxes` are labels by name."""
    pictures, found = [], []
    for fold, folder in enumerate(fold_folders):
        held_out = pd.read_parquet(folder / "held_out.parquet")
        pictures.append(held_out.assign(fold=fold)[["fold", "Name", "head_count"]])
        table = pd.read_parquet(folder / "oof.parquet")
        found.append(found_faces(table, held_out["Name"].tolist(), looks))
    table = pd.concat(pictures, ignore_index=True)
    labels = None
    if boxes is not None:
        labels = [boxes.get(str(name), np.zeros((0, 4))) for name in table["Name"]]
    return PooledFaces(table, joined(found), labels)


def decide(pooled: PooledFaces, settings: CountingSettings) -> OutOfFold:
    """Choose the way of counting by its RMSE across folds, then fit it on all of them."""
    head_counts = pooled.pictures["head_count"].to_numpy(np.float64)
    fold = pooled.pictures["fold"].to_numpy(np.int64)
    found = pooled.found
    ways = counting.ways(found.looks, pooled.labels is not None)
    above = {
        fusion: counting.boxes_above(found, fusion, settings)
        for fusion in dict.fromkeys(way.fusion for way in ways)
    }
    counts = {
        way: counting.counts_without_own_fold(
            way, found, above[way.fusion], head_counts, fold, settings, pooled.labels
        )
        for way in ways
    }
    errors = {way: root_mean_squared_error(counts[way], head_counts) for way in ways}
    best = min(ways, key=lambda way: errors[way])
    low, high = rmse_interval(counts[best], head_counts)
    metrics = {
        "oof_rmse": errors[best],
        "oof_rmse_low": low,
        "oof_rmse_high": high,
        f"{BASELINE}mean count": root_mean_squared_error(
            _means_without_own_fold(head_counts, fold), head_counts
        ),
    }
    for way in ways:
        low, high = rmse_interval(counts[way], head_counts)
        metrics |= {f"{way.name}_rmse": errors[way], f"{way.name}_low": low, f"{way.name}_high": high}
    rule = counting.fit_rule(best, found, above[best.fusion], head_counts, settings, pooled.labels)
    decision = counting.as_decision(rule, float(head_counts.mean()), found.looks)
    return OutOfFold(counts[best], metrics, decision)


def _means_without_own_fold(
    head_counts: npt.NDArray[np.float64], fold: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """The naive count: the mean of the other folds' pictures (of all, where there is one fold)."""
    means = np.full(len(head_counts), head_counts.mean())
    for own in (fold == number for number in np.unique(fold)):
        if not own.all():
            means[own] = head_counts[~own].mean()
    return means
