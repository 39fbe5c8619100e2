"""The report's pictures: F1 over the threshold, and the OOF probabilities of both classes.

Replace: the pictures. The first one is shown as the competition's result; keep each below 200 kB.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Drawing

from common.base.atomic import atomic_write
from common.base.paths import WorkPaths
from common.report.evaluation import stage_record
from common.run.competition import Figure, Finished
from competitions.my_competition.data.tables import LABEL
from competitions.my_competition.rules.metric import f1_score

FAILS, RUNS = "#d0402f", "#1b6e9e"


def draw_figures(finished: Finished, out: Path) -> list[Figure]:
    """Draw what there is: nothing before the folds are pooled."""
    pooled = stage_record(finished, "out_of_fold")
    if pooled is None:
        return []
    oof = pd.read_parquet(WorkPaths(finished.work).experiment(finished.experiment) / "oof.parquet")
    threshold = float(pooled.decision["threshold"])
    return [
        _f1_curve(oof, threshold, out / f"{finished.experiment}_f1.png"),
        _probabilities(oof, threshold, out / f"{finished.experiment}_probabilities.png"),
    ]


def _f1_curve(oof: pd.DataFrame, threshold: float, path: Path) -> Figure:
    thresholds = np.linspace(0.01, 0.99, 99)
    predicted = oof["probability"].to_numpy()[None, :] >= thresholds[:, None]
    drawing = Drawing(figsize=(5.6, 3.6), dpi=110, layout="constrained")
    axes = drawing.subplots()
    axes.plot(thresholds, f1_score(predicted, oof[LABEL].to_numpy()), color=RUNS)
    axes.axvline(threshold, color=FAILS, linestyle="--", label=f"tuned threshold {threshold:.2f}")
    axes.set(xlabel="threshold", ylabel="F1, OOF", xlim=(0, 1), ylim=(0, 1))
    axes.grid(alpha=0.25)
    axes.legend()
    _save(drawing, path)
    return Figure(
        path,
        "F1 over the threshold",
        "All labelled rows, by models that have not seen them. The threshold is tuned on this curve; the "
        "reported OOF score is cross-fitted.",
    )


def _probabilities(oof: pd.DataFrame, threshold: float, path: Path) -> Figure:
    drawing = Drawing(figsize=(5.6, 3.6), dpi=110, layout="constrained")
    axes = drawing.subplots()
    for label, name, colour in ((0, "runs on", RUNS), (1, "fails", FAILS)):
        values = oof.loc[oof[LABEL] == label, "probability"]
        axes.hist(values, bins=30, range=(0, 1), alpha=0.6, label=name, color=colour, density=True)
    axes.axvline(threshold, color="black", linestyle="--")
    axes.set(xlabel="OOF probability of a failure", ylabel="density", xlim=(0, 1))
    axes.legend()
    _save(drawing, path)
    return Figure(path, "OOF probabilities", "Both classes; the dashed line is the tuned threshold.")


def _save(drawing: Drawing, path: Path) -> None:
    with atomic_write(path) as partial:
        drawing.savefig(partial)
