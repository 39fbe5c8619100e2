"""The report's pictures: faces found in test pictures, counts out of fold, thresholds against RMSE."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from common import atomic
from common.competition import Figure, Finished
from common.paths import WorkPaths
from common.run_record import RunRecord
from competitions.face_counting import counting
from competitions.face_counting.experiment import FaceCountingExperiment
from competitions.face_counting.official_tables import head_counts
from competitions.face_counting.out_of_fold import pooled_faces
from competitions.face_counting.stored_pictures import StoredPictures, load_pictures

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

COLUMNS, ROWS = 4, 3
CELL, CAPTION, GAP = (300, 210), 30, 10
INK, PAPER, GREEN, AMBER, RED = "#1d2733", "#ffffff", "#1b9e5a", "#e09b1a", "#d0402f"
NEAR, FAR = 0.5, 1.5
"""Errors in faces up to which a count is drawn green, amber."""


def draw_figures(finished: Finished, out: Path) -> list[Figure]:
    """Draw what there is: nothing before the folds are pooled, no sheet of faces before the submission."""
    pooled = [record for record in finished.records if record.stage == "out_of_fold"]
    if not pooled:
        return []
    out.mkdir(parents=True, exist_ok=True)
    paths = WorkPaths(finished.work)
    figures = [
        _scatter(finished, paths, pooled[0], out / f"{finished.experiment}_out_of_fold.png"),
        _threshold_map(paths, pooled[0], out / f"{finished.experiment}_thresholds.png"),
    ]
    if paths.submission(finished.experiment, ".csv").is_file():
        figures.insert(0, _sheet(finished, paths, pooled[0], out / f"{finished.experiment}_faces.jpg"))
    return figures


def _sheet(finished: Finished, paths: WorkPaths, oof: RunRecord, path: Path) -> Figure:
    """Test pictures with the boxes of the first fold's detector, and their counts."""
    rule = counting.rule_of(oof.decision)
    stored = load_pictures(paths.processed(), "test")
    stored = stored.where(stored.readable)
    counts = pd.read_csv(paths.submission(finished.experiment, ".csv")).set_index("Name")["HeadCount"]
    truth = None
    if finished.truth is not None:
        truth = head_counts(finished.truth).set_index("Name")["HeadCount"]
    boxes = pd.read_parquet(paths.test(finished.experiment, ".parquet"))
    boxes = boxes[boxes["fold"] == 0]
    width = COLUMNS * (CELL[0] + GAP) + GAP
    height = ROWS * (CELL[1] + CAPTION + GAP) + GAP
    sheet = Image.new("RGB", (width, height), PAPER)
    for place, row in enumerate(_spread(counts.loc[stored.names].to_numpy(), COLUMNS * ROWS)):
        name = stored.names[row]
        found = counting.found_faces(boxes, [name]).suppressed(rule.overlap)
        sure = found.boxes[found.scores >= rule.half_a_face]
        right = None if truth is None else int(truth[name])
        cell = _cell(stored, row, sure, float(counts[name]), right)
        column, line = place % COLUMNS, place // COLUMNS
        sheet.paste(cell, (GAP + column * (CELL[0] + GAP), GAP + line * (CELL[1] + CAPTION + GAP)))
    with atomic.whole_file(path) as partial:
        sheet.save(partial, quality=80, optimize=True)
    known = "" if truth is None else " and true"
    return Figure(
        path,
        f"Faces found in test pictures by {finished.experiment}",
        f"Boxes worth at least half a face to the counting rule, and the counted{known} number of faces "
        f"(green: within {NEAR}, amber: within {FAR}).",
    )


def _cell(
    stored: StoredPictures, row: int, boxes: npt.NDArray[np.float32], count: float, right: int | None
) -> Image.Image:
    picture = Image.fromarray(stored.picture(row))
    scale = min(CELL[0] / picture.width, CELL[1] / picture.height)
    picture = picture.resize(
        (round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS
    )
    draw = ImageDraw.Draw(picture)
    for box in (boxes * scale).tolist():
        # Dark on both sides of the bright line: it shows on any background.
        draw.rectangle(box, outline="#000000", width=5)
        draw.rectangle([box[0] + 1, box[1] + 1, box[2] - 1, box[3] - 1], outline="#5dff9b", width=3)
    cell = Image.new("RGB", (CELL[0], CELL[1] + CAPTION), PAPER)
    cell.paste(picture, ((CELL[0] - picture.width) // 2, CELL[1] - picture.height))
    text, colour = f"counted {count:.1f}", INK
    if right is not None:
        error = abs(count - right)
        colour = GREEN if error <= NEAR else AMBER if error <= FAR else RED
        text += f", true {right}"
    ImageDraw.Draw(cell).text(
        (CELL[0] / 2, CELL[1] + CAPTION / 2), text, fill=colour, font=ImageFont.load_default(18), anchor="mm"
    )
    return cell


def _spread(counts: npt.NDArray[np.float64], wanted: int) -> list[int]:
    """Rows from the smallest to the largest count, evenly spread over their order."""
    order = np.argsort(counts, kind="stable")
    places = np.unique(np.linspace(0, len(order) - 1, min(wanted, len(order))).round().astype(int))
    return [int(row) for row in order[places]]


def _scatter(finished: Finished, paths: WorkPaths, oof: RunRecord, path: Path) -> Figure:
    from matplotlib.figure import Figure as Drawing

    table = pd.read_parquet(paths.experiment(finished.experiment) / "oof.parquet")
    drawing = Drawing(figsize=(5.6, 5.2), dpi=110, layout="constrained")
    axes = drawing.subplots()
    most = float(max(table["head_count"].max(), table["count"].max())) + 1
    axes.plot([0, most], [0, most], color=INK, linewidth=1)
    # Whole numbers lie on one another: they are moved a little, always alike.
    moved = np.random.default_rng(0).uniform(-0.25, 0.25, size=len(table))
    axes.scatter(table["head_count"] + moved, table["count"], s=14, alpha=0.45, color=GREEN, linewidths=0)
    axes.set(xlim=(0, most), ylim=(0, most), xlabel="true head count", ylabel="count out of fold")
    metrics = oof.metrics
    axes.set_title(
        f"RMSE {metrics['oof_rmse']:.3f} [{metrics['oof_rmse_low']:.3f}, {metrics['oof_rmse_high']:.3f}], "
        f"mean count {metrics['oof_rmse_mean_count']:.3f}",
        fontsize=10,
    )
    axes.grid(alpha=0.25)
    _save(drawing, path)
    return Figure(
        path,
        f"Counts out of fold by {finished.experiment}",
        "Every labelled picture, counted by a detector and a rule that had not seen it.",
    )


def _threshold_map(paths: WorkPaths, oof: RunRecord, path: Path) -> Figure:
    from matplotlib.figure import Figure as Drawing

    settings = FaceCountingExperiment.model_validate(oof.experiment)
    pooled = pooled_faces([paths.fold(settings.name, fold) for fold in range(settings.folds)])
    above = counting.boxes_above(pooled.found, settings.counting)
    errors = counting.rmse_map(above, pooled.pictures["head_count"].to_numpy(np.float64))
    confidences, overlaps = settings.counting.confidences, settings.counting.overlaps
    drawing = Drawing(figsize=(6.4, 4.2), dpi=110, layout="constrained")
    axes = drawing.subplots()
    best = float(errors.min())
    shown = axes.imshow(errors, aspect="auto", origin="lower", cmap="viridis_r", vmin=best, vmax=best * 2)
    row, column = np.unravel_index(int(errors.argmin()), errors.shape)
    axes.plot(column, row, marker="*", markersize=14, color=RED)
    ticks = np.arange(0, len(confidences), max(1, len(confidences) // 8))
    axes.set_xticks(ticks, [f"{confidences[tick]:.2f}" for tick in ticks])
    axes.set_yticks(np.arange(len(overlaps)), [f"{overlap:.2f}" for overlap in overlaps])
    axes.set(xlabel="confidence", ylabel="IoU of non-maximum suppression")
    axes.set_title(
        f"best {best:.3f} at confidence {confidences[column]:.2f}, IoU {overlaps[row]:.2f}", fontsize=10
    )
    drawing.colorbar(shown, ax=axes, label="RMSE of counting boxes, out of fold", extend="max")
    _save(drawing, path)
    return Figure(
        path,
        f"How the two thresholds move RMSE for {settings.name}",
        "RMSE of the number of boxes above a confidence after suppression at an IoU, held-out pictures; "
        "the star marks the least. Colours end at twice that.",
    )


def _save(drawing: "Drawing", path: Path) -> None:
    with atomic.whole_file(path) as partial:
        drawing.savefig(partial)
