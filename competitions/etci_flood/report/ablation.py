"""The ablation table: OOF IoU of each step towards the champion, from finished runs.

    python -m competitions.etci_flood.report.ablation --work DIR [--data-name TEXT]

Every experiment with a key `ablation` whose stages 1 and 2 are finished becomes a row. `+` adds a step to the
last such row; `~` varies that row, and the next `+` starts without it. Rows are kept in
results/etci_flood_ablation.csv, from which the README's table is made.
"""

import argparse
import csv
import io
import sys
from pathlib import Path

import pandas as pd
from pydantic import BaseModel

from common.base.atomic import write_text
from common.base.console import log
from common.base.errors import InputError, explain_fault
from common.base.paths import ROOT, WorkPaths, display_path
from common.report.markdown import markdown_table
from common.report.results_table import fill_markers
from common.run.experiments import read_experiments
from common.run.run_record import read_record
from competitions.etci_flood.competition import COMPETITION

RESULTS = ROOT / "results" / "etci_flood_ablation.csv"
MARKERS = ("<!-- ablation -->", "<!-- /ablation -->")


class Step(BaseModel):
    """One row of the ablation table."""

    experiment: str
    step: str
    data: str
    oof: float
    oof_clean: float | None
    """The same without noisy-label tiles."""
    scenes: str
    """`nebraska 0.51, northal 0.88`, without noisy-label tiles."""
    minutes: float
    hardware: str
    git_commit: str
    date: str


def step_of(work: Path, name: str, text: str, data_name: str) -> Step | None:
    """The row of one experiment, or None when it is not finished."""
    paths = WorkPaths(work)
    if not paths.oof_record(name).is_file():
        return None
    pooled = read_record(paths.oof_record(name))
    settings = COMPETITION.recorded_experiment(pooled)
    scenes = pd.read_csv(paths.experiment(name) / "oof_scenes.csv")
    return Step(
        experiment=name,
        step=text,
        data=data_name,
        oof=pooled.metrics["oof_iou"],
        oof_clean=pooled.metrics.get("oof_iou_clean"),
        scenes=", ".join(
            f"{str(row['scene']).split('_')[0]} {row['iou_clean']:.3f}" for row in scenes.to_dict("records")
        ),
        minutes=round(
            sum(_fold_seconds(paths, each, settings.folds) for each in (*settings.parents, name)) / 60, 2
        ),
        hardware=pooled.hardware,
        git_commit=pooled.git_commit or "",
        date=pooled.finished[:10],
    )


def _fold_seconds(paths: WorkPaths, name: str, folds: int) -> float:
    return sum(read_record(paths.fold(name, fold) / "run.json").seconds for fold in range(folds))


def read_steps() -> list[Step]:
    """Rows of the results file, none when it does not exist."""
    if not RESULTS.is_file():
        return []
    with RESULTS.open(encoding="utf-8", newline="") as lines:
        return [
            Step.model_validate({**row, "oof_clean": row["oof_clean"] or None})
            for row in csv.DictReader(lines)
        ]


def keep_steps(new: list[Step], order: list[str]) -> list[Step]:
    """Add rows, replacing older ones of the same experiment and data, in the order of experiments.toml."""
    rows = {(row.experiment, row.data): row for row in [*read_steps(), *new]}
    kept = sorted(rows.values(), key=lambda row: (row.data, order.index(row.experiment)))
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(Step.model_fields), lineterminator="\n")
    writer.writeheader()
    for row in kept:
        writer.writerow(row.model_dump())
    write_text(RESULTS, text.getvalue())
    return kept


def ablation_table(steps: list[Step]) -> str:
    """The rows as Markdown; the gain is against the last `+` row, noisy-label tiles left out."""
    if not steps:
        return "No ablation is recorded yet."
    rows = []
    last: Step | None = None
    for step in steps:
        compared = _compared(step)
        gain = "" if last is None or step.step[0] not in "+~" else f"{compared - _compared(last):+.3f}"
        rows.append(
            [
                step.step,
                f"{step.oof:.3f}",
                f"{compared:.3f}",
                gain,
                step.scenes,
                f"{step.minutes:.1f}",
                f"`{step.experiment}`",
            ]
        )
        if step.step[0] != "~":
            last = step
    header = ["step", "OOF IoU", "without noisy labels", "gain", "by scene", "minutes", "experiment"]
    where = "; ".join(sorted({f"{step.data}, {step.hardware}, {step.date}" for step in steps}))
    made = f"Made by `python -m competitions.etci_flood.report.ablation` from runs on {where}."
    return f"{markdown_table(header, rows)}\n\n{made}"


def _compared(row: Step) -> float:
    return row.oof if row.oof_clean is None else row.oof_clean


def main(argv: list[str] | None = None) -> int:
    """Keep the finished runs of --work, and update the README's table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="as in the numbered stages")
    parser.add_argument(
        "--data-name", default="sample data", metavar="TEXT", help="name of the data in the table"
    )
    flags = parser.parse_args(argv)
    try:
        entries = read_experiments(COMPETITION.experiments_file)
        texts = {
            name: f"{entry['ablation']} {entry['about']}".removeprefix("base ")
            for name, entry in entries.items()
            if "ablation" in entry
        }
        found = [step_of(flags.work, name, text, flags.data_name) for name, text in texts.items()]
        steps = [step for step in found if step is not None]
        if not steps:
            raise InputError(
                f"{display_path(flags.work)}: holds no finished experiment with a key `ablation`"
            )
        kept = keep_steps(steps, list(texts))
        fill_markers(COMPETITION.folder / "README.md", ablation_table(kept), MARKERS)
        log(ablation_table(steps))
    except (InputError, OSError) as fault:
        print(f"error: {explain_fault(fault)}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
