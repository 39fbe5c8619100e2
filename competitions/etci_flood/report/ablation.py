"""What each step of the champion gave, out of fold: the table of gains, from finished runs.

    python -m competitions.etci_flood.report.ablation --work DIR [--data-name TEXT]

Every experiment with a line `ablation = "..."` that is finished (stages 1 and 2) becomes a row; a line that
begins with "+" is one step more than the last such row; one with "~" tries something on top or in place of
that one, and the next "+" starts without it. Rows are kept in results/etci_flood_ablation.csv, and the
README's table is made from them.
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
from common.report.results_table import fill_markers
from common.run.experiments import read_experiments
from common.run.run_record import RunRecord, read_record
from competitions.etci_flood.competition import COMPETITION
from competitions.etci_flood.experiment import FloodExperiment

RESULTS = ROOT / "results" / "etci_flood_ablation.csv"
MARKERS = ("<!-- ablation -->", "<!-- /ablation -->")


class Step(BaseModel):
    """One row of the table of gains."""

    experiment: str
    step: str
    data: str
    out_of_fold: float
    without_bright: float | None
    """The same without tiles whose labelled flood is as bright as dry land."""
    scenes: str
    """`nebraska 0.51, northal 0.88`, those tiles left out."""
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
    settings = FloodExperiment.model_validate(pooled.experiment)
    scenes = pd.read_csv(paths.experiment(name) / "oof_scenes.csv")
    return Step(
        experiment=name,
        step=text,
        data=data_name,
        out_of_fold=pooled.metrics["oof_iou"],
        without_bright=pooled.metrics.get("oof_iou_without_bright"),
        scenes=", ".join(
            f"{str(row['scene']).split('_')[0]} {row['iou_without_bright']:.3f}"
            for row in scenes.to_dict("records")
        ),
        minutes=round(sum(record.seconds for record in _fold_records(paths, name, settings)) / 60, 2),
        hardware=pooled.hardware,
        git_commit=pooled.git_commit or "",
        date=pooled.finished[:10],
    )


def _fold_records(paths: WorkPaths, name: str, settings: FloodExperiment) -> list[RunRecord]:
    names = [*settings.parents, name]
    return [
        read_record(paths.fold(each, fold) / "run.json") for each in names for fold in range(settings.folds)
    ]


def read_steps() -> list[Step]:
    """Rows that are kept, none when there are none."""
    if not RESULTS.is_file():
        return []
    with RESULTS.open(encoding="utf-8", newline="") as lines:
        return [
            Step.model_validate({**row, "without_bright": row["without_bright"] or None})
            for row in csv.DictReader(lines)
        ]


def keep_steps(new: list[Step], order: list[str]) -> list[Step]:
    """Add rows in place of older ones of the same experiment and data, in the order of experiments.toml."""
    rows = {(row.experiment, row.data): row for row in [*read_steps(), *new]}
    kept = sorted(rows.values(), key=lambda row: (row.data, order.index(row.experiment)))
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(Step.model_fields), lineterminator="\n")
    writer.writeheader()
    for row in kept:
        writer.writerow(row.model_dump())
    write_text(RESULTS, text.getvalue())
    return kept


def markdown_table(steps: list[Step]) -> str:
    """The table of gains for people: each step beside the one that it is compared with."""
    if not steps:
        return "No ablation is recorded yet."
    lines = [
        "| step | out of fold | without unbelievable labels | gain | by scene | minutes | experiment |",
        "|---|---|---|---|---|---|---|",
    ]
    last: Step | None = None
    for row in steps:
        compared = _believed(row)
        gain = "" if last is None or row.step[0] not in "+~" else f"{compared - _believed(last):+.3f}"
        cells = [
            row.step,
            f"{row.out_of_fold:.3f}",
            f"{compared:.3f}",
            gain,
            row.scenes,
            f"{row.minutes:.1f}",
        ]
        lines.append("| " + " | ".join([*cells, f"`{row.experiment}`"]) + " |")
        if row.step[0] != "~":
            last = row
    where = "; ".join(sorted({f"{row.data}, {row.hardware}, {row.date}" for row in steps}))
    return "\n".join(
        [*lines, "", f"Made by `python -m competitions.etci_flood.report.ablation` from runs on {where}."]
    )


def _believed(row: Step) -> float:
    return row.out_of_fold if row.without_bright is None else row.without_bright


def main(argv: list[str] | None = None) -> int:
    """Keep what is finished below --work, and make the README's table again."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="as in the numbered stages")
    parser.add_argument("--data-name", default="sample data", metavar="TEXT", help="what the data are called")
    flags = parser.parse_args(argv)
    try:
        entries = read_experiments(COMPETITION.experiments_file)["experiments"]
        texts = {name: entry["ablation"] for name, entry in entries.items() if "ablation" in entry}
        found = [step_of(flags.work, name, text, flags.data_name) for name, text in texts.items()]
        steps = [step for step in found if step is not None]
        if not steps:
            raise InputError(
                f"{display_path(flags.work)}: holds no finished experiment with a line `ablation`"
            )
        kept = keep_steps(steps, list(texts))
        fill_markers(COMPETITION.folder / "README.md", markdown_table(kept), MARKERS)
        log(markdown_table(steps))
    except (InputError, OSError) as fault:
        print(f"error: {explain_fault(fault)}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
