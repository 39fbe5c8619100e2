"""The report's figures: detected faces, best and worst pictures, counting strategies, thresholds."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Drawing
from PIL import Image, ImageDraw, ImageFont

from common.base import atomic
from common.base.paths import WorkPaths
from common.learn.arrays import Float32, Float64, Int64
from common.report.results_table import BASELINE
from common.run.competition import Figure, Finished
from common.run.run_record import RunRecord
from competitions.face_counting.data.official_tables import head_counts
from competitions.face_counting.data.stored_pictures import StoredPictures, load_pictures
from competitions.face_counting.decision import counting
from competitions.face_counting.decision.out_of_fold import PooledFaces, pool_faces
from competitions.face_counting.detection.wbf import DetectedFaces, faces_from_table
from competitions.face_counting.experiment import FaceCountingExperiment
from competitions.face_counting.predict.photos import draw_boxes

COLUMNS, ROWS = 4, 3
CELL, CAPTION, GAP = (300, 210), 30, 10
INK, PAPER, GREEN, AMBER, RED = "#1d2733", "#ffffff", "#1b9e5a", "#e09b1a", "#d0402f"
NEAR, FAR = 0.5, 1.5
"""Errors in faces up to which a count is drawn green, amber."""


def draw_figures(finished: Finished, out: Path) -> list[Figure]:
    """All figures: none before the folds are pooled, no test sheet before the submission."""
    pooled = [record for record in finished.records if record.stage == "out_of_fold"]
    if not pooled:
        return []
    out.mkdir(parents=True, exist_ok=True)
    paths, name = WorkPaths(finished.work), finished.experiment
    settings = FaceCountingExperiment.model_validate(pooled[0].experiment)
    fold_folders = [paths.fold(settings.name, fold) for fold in range(settings.folds)]
    faces = pool_faces(fold_folders, int(pooled[0].decision["views"]))
    figures = [
        _scatter(finished, paths, pooled[0], out / f"{name}_oof.png"),
        _strategies(pooled[0], out / f"{name}_strategies.png"),
        _threshold_map(settings, faces, pooled[0], out / f"{name}_thresholds.png"),
        _labelled_sheet(finished, paths, faces, pooled[0], "worst", out / f"{name}_worst.jpg"),
        _labelled_sheet(finished, paths, faces, pooled[0], "best", out / f"{name}_best.jpg"),
    ]
    if paths.submission(name, ".csv").is_file():
        figures.insert(0, _test_sheet(finished, paths, pooled[0], out / f"{name}_faces.jpg"))
    return figures


@dataclass(frozen=True)
class _Entry:
    """One picture of a contact sheet."""

    row: int
    found: Float32
    labelled: Float64
    count: float
    right: int | None


def _test_sheet(finished: Finished, paths: WorkPaths, oof: RunRecord, path: Path) -> Figure:
    """Test pictures with the boxes of the first fold's detector, and their counts."""
    rule = counting.rule_from_decision(oof.decision)
    stored = load_pictures(paths.processed(), "test")
    stored = stored.where(stored.readable)
    counts = pd.read_csv(paths.submission(finished.experiment, ".csv")).set_index("Name")["HeadCount"]
    truth = None
    if finished.truth is not None:
        truth = head_counts(finished.truth).set_index("Name")["HeadCount"]
    boxes = pd.read_parquet(paths.test(finished.experiment, ".parquet"))
    boxes = boxes[boxes["fold"] == 0]
    entries = []
    for row in _spread(counts.loc[stored.names].to_numpy(), COLUMNS * ROWS):
        name = stored.names[row]
        found = rule.faces(faces_from_table(boxes, [name], oof.decision["views"])).boxes
        right = None if truth is None else int(truth[name])
        entries.append(_Entry(row, found, np.zeros((0, 4)), float(counts[name]), right))
    _save_sheet(stored, entries, path)
    known = "" if truth is None else " and true"
    return Figure(
        path,
        f"Faces detected in test pictures by {finished.experiment}",
        f"Boxes above the count threshold, and the predicted{known} number of faces "
        f"(green: within {NEAR}, amber: within {FAR}).",
    )


def _labelled_sheet(
    finished: Finished, paths: WorkPaths, faces: PooledFaces, oof: RunRecord, which: str, path: Path
) -> Figure:
    """Held-out pictures with the largest errors, or with the most faces among the smallest errors."""
    rule = counting.rule_from_decision(oof.decision)
    table = pd.read_parquet(paths.experiment(finished.experiment) / "oof.parquet")
    stored = load_pictures(paths.processed(), "train")
    error = (table["count"] - table["head_count"]).abs().to_numpy()
    if which == "worst":
        order = np.argsort(-error, kind="stable")
    else:
        order = np.lexsort((error, -table["head_count"].to_numpy() * (error <= NEAR)))
    order = order[: COLUMNS * ROWS]
    found = faces_in(order, rule, faces.found)
    row_of = {name: row for row, name in enumerate(stored.names)}
    entries = []
    for place in order:
        entry = table.iloc[int(place)]
        row = row_of[str(entry["Name"])]
        own = found.boxes[found.picture == place]
        entries.append(_Entry(row, own, stored.faces(row), float(entry["count"]), int(entry["head_count"])))
    _save_sheet(stored, entries, path)
    what = (
        "The largest OOF errors"
        if which == "worst"
        else f"The most faces among pictures with an error of at most {NEAR}"
    )
    return Figure(
        path,
        f"{which.capitalize()} pictures of {finished.experiment}",
        f"{what}. Green: boxes above the count threshold; red: labels; below: predicted and true number.",
    )


def faces_in(pictures: Int64, rule: counting.CountingRule, found: DetectedFaces) -> DetectedFaces:
    """Boxes above the count threshold in the pictures of these numbers; merging those of all is slow."""
    return rule.faces(found.at(np.flatnonzero(np.isin(found.picture, pictures))))


def scatter_title(metrics: Mapping[str, float]) -> str:
    """RMSE with its interval and, where the run recorded it, the RMSE of the mean count."""
    title = f"RMSE {metrics['oof_rmse']:.3f} [{metrics['oof_rmse_low']:.3f}, {metrics['oof_rmse_high']:.3f}]"
    baseline = metrics.get(f"{BASELINE}mean count")
    return title if baseline is None else f"{title}, mean count {baseline:.3f}"


def _save_sheet(stored: StoredPictures, entries: list[_Entry], path: Path) -> None:
    width = COLUMNS * (CELL[0] + GAP) + GAP
    height = ROWS * (CELL[1] + CAPTION + GAP) + GAP
    sheet = Image.new("RGB", (width, height), PAPER)
    for place, entry in enumerate(entries):
        column, line = place % COLUMNS, place // COLUMNS
        corner = (GAP + column * (CELL[0] + GAP), GAP + line * (CELL[1] + CAPTION + GAP))
        sheet.paste(_cell(stored, entry), corner)
    with atomic.atomic_write(path) as partial:
        sheet.save(partial, quality=72, optimize=True)


def _cell(stored: StoredPictures, entry: _Entry) -> Image.Image:
    picture = Image.fromarray(stored.picture(entry.row))
    scale = min(CELL[0] / picture.width, CELL[1] / picture.height)
    picture = picture.resize(
        (round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS
    )
    draw = ImageDraw.Draw(picture)
    for box in (entry.labelled * scale).tolist():
        draw.rectangle(box, outline=RED, width=2)
    draw_boxes(picture, entry.found * np.float32(scale))
    cell = Image.new("RGB", (CELL[0], CELL[1] + CAPTION), PAPER)
    cell.paste(picture, ((CELL[0] - picture.width) // 2, CELL[1] - picture.height))
    text, colour = f"predicted {entry.count:.1f}", INK
    if entry.right is not None:
        error = abs(entry.count - entry.right)
        colour = GREEN if error <= NEAR else AMBER if error <= FAR else RED
        text += f", true {entry.right}"
    ImageDraw.Draw(cell).text(
        (CELL[0] / 2, CELL[1] + CAPTION / 2), text, fill=colour, font=ImageFont.load_default(18), anchor="mm"
    )
    return cell


def _strategies(oof: RunRecord, path: Path) -> Figure:
    """RMSE of every counting strategy, with its interval."""
    names = [
        name.removesuffix("_rmse") for name in oof.metrics if name.endswith("_rmse") and name != "oof_rmse"
    ]
    values = [oof.metrics[f"{name}_rmse"] for name in names]
    order = np.argsort(values)[::-1]
    drawing = Drawing(figsize=(6.4, 0.45 * len(names) + 1.2), dpi=110, layout="constrained")
    axes = drawing.subplots()
    for place, row in enumerate(order):
        low, high = (oof.metrics[f"{names[row]}_{end}"] for end in ("low", "high"))
        axes.plot([low, high], [place, place], color=INK, linewidth=1.5)
        axes.plot(values[row], place, "o", color=GREEN)
        axes.text(values[row], place + 0.2, f"{values[row]:.3f}", ha="center", fontsize=9)
    axes.set_yticks(range(len(names)), [names[row].replace("_", " ") for row in order])
    axes.set_ylim(-0.5, len(names) - 0.3)
    axes.set_xlabel("OOF RMSE, 90 % bootstrap interval")
    axes.grid(axis="x", alpha=0.25)
    _save(drawing, path)
    return Figure(
        path,
        "Counting strategies compared",
        "How the boxes of all views are merged, and the rule that counts them; each picture is counted by a "
        "rule fitted on the other folds.",
    )


def _spread(counts: Float64, wanted: int) -> list[int]:
    """Rows from the smallest to the largest count, evenly spread over their order."""
    order = np.argsort(counts, kind="stable")
    places = np.unique(np.linspace(0, len(order) - 1, min(wanted, len(order))).round().astype(int))
    return [int(row) for row in order[places]]


def _scatter(finished: Finished, paths: WorkPaths, oof: RunRecord, path: Path) -> Figure:
    table = pd.read_parquet(paths.experiment(finished.experiment) / "oof.parquet")
    drawing = Drawing(figsize=(5.6, 5.2), dpi=110, layout="constrained")
    axes = drawing.subplots()
    most = float(max(table["head_count"].max(), table["count"].max())) + 1
    axes.plot([0, most], [0, most], color=INK, linewidth=1)
    # Whole numbers coincide, so they are jittered, with a fixed seed.
    jitter = np.random.default_rng(0).uniform(-0.25, 0.25, size=len(table))
    axes.scatter(table["head_count"] + jitter, table["count"], s=14, alpha=0.45, color=GREEN, linewidths=0)
    axes.set(xlim=(0, most), ylim=(0, most), xlabel="true head count", ylabel="OOF count")
    axes.set_title(scatter_title(oof.metrics), fontsize=10)
    axes.grid(alpha=0.25)
    _save(drawing, path)
    return Figure(
        path,
        f"OOF counts by {finished.experiment}",
        "Every labelled picture, predicted by a detector and a rule that were not fitted on it.",
    )


def _threshold_map(
    settings: FaceCountingExperiment, faces: PooledFaces, oof: RunRecord, path: Path
) -> Figure:
    merging = counting.rule_from_decision(oof.decision).strategy.merging
    grid = counting.count_grid(faces.found, merging, settings.counting)
    errors = counting.rmse_grid(grid, faces.pictures["head_count"].to_numpy(np.float64))
    scores, ious = settings.counting.score_grid, settings.counting.iou_grid
    drawing = Drawing(figsize=(6.4, 4.2), dpi=110, layout="constrained")
    axes = drawing.subplots()
    best = float(errors.min())
    shown = axes.imshow(errors, aspect="auto", origin="lower", cmap="viridis_r", vmin=best, vmax=best * 2)
    row, column = np.unravel_index(int(errors.argmin()), errors.shape)
    axes.plot(column, row, marker="*", markersize=14, color=RED)
    ticks = np.arange(0, len(scores), max(1, len(scores) // 8))
    axes.set_xticks(ticks, [f"{scores[tick]:.2f}" for tick in ticks])
    axes.set_yticks(np.arange(len(ious)), [f"{iou:.2f}" for iou in ious])
    axes.set(xlabel="score threshold", ylabel=f"IoU threshold of {'WBF' if merging == 'wbf' else 'NMS'}")
    axes.set_title(f"best {best:.3f} at score {scores[column]:.2f}, IoU {ious[row]:.2f}", fontsize=10)
    drawing.colorbar(shown, ax=axes, label="OOF RMSE of the number of boxes", extend="max")
    _save(drawing, path)
    return Figure(
        path,
        f"RMSE over both thresholds for {settings.name}",
        "OOF RMSE of the number of boxes above a score threshold, merged at an IoU threshold; the star "
        "marks the minimum. Colours end at twice the minimum.",
    )


def _save(drawing: Drawing, path: Path) -> None:
    with atomic.atomic_write(path) as partial:
        drawing.savefig(partial)
