"""OOF IoU by scene next to the baselines: the README's table, from a finished run.

    python -m competitions.etci_flood.report.scenes --work DIR [--experiment NAME] [--data-name TEXT]

Rows are kept in results/etci_flood_scenes.csv, from which the README's table is made.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from common.base.atomic import write_text
from common.base.console import log
from common.base.errors import InputError, explain_fault
from common.base.paths import ROOT, WorkPaths, display_path
from common.report.markdown import markdown_table
from common.report.results_table import fill_markers
from common.run.run_record import read_record
from competitions.etci_flood.competition import COMPETITION

RESULTS = ROOT / "results" / "etci_flood_scenes.csv"
MARKERS = ("<!-- scenes -->", "<!-- /scenes -->")
COLUMNS = {
    "iou": "IoU",
    "iou_clean": "without noisy labels",
    "iou_upper_bound": "upper bound",
    "linear_rule": "best VV/VH rule",
    "vv_threshold": "best VV threshold",
    "water_mask": "permanent water",
}


def rows_of(work: Path, experiment: str, data_name: str) -> pd.DataFrame:
    """One row per scene, the pooled one last; InputError when the experiment is not finished."""
    paths = WorkPaths(work)
    file = paths.experiment(experiment) / "oof_scenes.csv"
    if not file.is_file():
        raise InputError(
            f"{display_path(file)} is missing: run 2_train_folds.py --experiment {experiment} first"
        )
    pooled = read_record(paths.oof_record(experiment))
    scenes = pd.read_csv(file)
    metrics = pooled.metrics
    total = {
        "scene": "all",
        "tiles": int(scenes["tiles"].sum()),
        "iou": metrics["oof_iou"],
        "iou_clean": metrics.get("oof_iou_clean", metrics["oof_iou"]),
        "iou_upper_bound": metrics.get("oof_iou_upper_bound", 1.0),
        "linear_rule": metrics["baseline: best linear rule on VV and VH"],
        "vv_threshold": metrics["baseline: best VV threshold"],
        "water_mask": metrics["baseline: permanent water"],
        "noisy_tiles": int(scenes["noisy_tiles"].sum()),
    }
    table = pd.concat([scenes, pd.DataFrame([total])], ignore_index=True)
    return table.assign(
        experiment=experiment, data=data_name, git_commit=pooled.git_commit, date=pooled.finished[:10]
    )


def keep_rows(new: pd.DataFrame) -> pd.DataFrame:
    """Add rows, replacing older ones of the same experiment and data."""
    kept = new
    if RESULTS.is_file():
        old = pd.read_csv(RESULTS)
        same = (old["experiment"] == new["experiment"][0]) & (old["data"] == new["data"][0])
        kept = pd.concat([old[~same], new], ignore_index=True)
    write_text(RESULTS, kept.to_csv(index=False, lineterminator="\n", float_format="%.6f"))
    return kept


def scenes_table(kept: pd.DataFrame) -> str:
    """The rows as Markdown."""
    rows = [
        [
            f"`{row['experiment']}`",
            row["data"],
            row["scene"],
            f"{row['tiles']} ({row['noisy_tiles']})",
            *(f"{row[column]:.3f}" for column in COLUMNS),
        ]
        for row in kept.to_dict("records")
    ]
    table = markdown_table(["experiment", "data", "scene", "tiles (noisy labels)", *COLUMNS.values()], rows)
    dates = ", ".join(sorted(set(kept["date"])))
    return f"{table}\n\nMade by `python -m competitions.etci_flood.report.scenes` from runs of {dates}."


def main(argv: list[str] | None = None) -> int:
    """Keep the rows of one experiment, and update the README's table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="as in the numbered stages")
    parser.add_argument("--experiment", default="champion", metavar="NAME", help="(champion)")
    parser.add_argument(
        "--data-name", default="sample data", metavar="TEXT", help="name of the data in the table"
    )
    flags = parser.parse_args(argv)
    try:
        table = scenes_table(keep_rows(rows_of(flags.work, flags.experiment, flags.data_name)))
        fill_markers(COMPETITION.folder / "README.md", table, MARKERS)
    except (InputError, OSError) as fault:
        print(f"error: {explain_fault(fault)}", file=sys.stderr)
        return 2
    log(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
