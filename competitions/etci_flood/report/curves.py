"""Training curves of several experiments side by side: does the validation loss follow the training loss?

    python -m competitions.etci_flood.report.curves --work DIR --out FILE.png EXPERIMENT EXPERIMENT ...

Reads fold 0 of each experiment in DIR, trained by `2_train_folds.py`; later stages need not have run.
"""

import argparse
import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from common.base.atomic import atomic_write
from common.base.console import log
from common.base.errors import InputError, explain_fault
from common.base.paths import WorkPaths, display_path
from common.run.run_record import RunRecord, read_record

TRAIN, VAL = "#8a939c", "#1f6fd0"


def draw_compared_curves(records: dict[str, RunRecord], path: Path) -> None:
    """One column per experiment: training and validation loss on top, validation IoU at the bottom.

    Losses of different kinds do not compare, so each experiment has its own loss axis.
    """
    mpl.rcParams["font.size"] = 9
    canvas = Canvas(figsize=(3.4 * len(records), 4.4), layout="constrained")
    axes = canvas.subplots(2, len(records), squeeze=False, sharex="col")
    for (above, below), (name, record) in zip(axes.T, records.items(), strict=True):
        for key, label, colour in (
            ("train_loss", "training", TRAIN),
            ("val_loss", "validation", VAL),
        ):
            points = [(entry["epoch"], entry[key]) for entry in record.history if key in entry]
            above.plot(*zip(*points, strict=True), color=colour, label=label)
        points = [(entry["epoch"], entry["val_iou"]) for entry in record.history if "val_iou" in entry]
        below.plot(*zip(*points, strict=True), color=VAL)
        above.set_title(name, fontsize=9)
        below.set_xlabel("epoch")
        below.set_ylim(0, 1)
        for axis in (above, below):
            axis.grid(alpha=0.25)
    axes[0][0].set_ylabel("loss")
    axes[1][0].set_ylabel("flood IoU, validation")
    axes[0][0].legend(fontsize=8, frameon=False)
    with atomic_write(path) as partial:
        canvas.savefig(partial, dpi=110)


def main(argv: list[str] | None = None) -> int:
    """Draw the first fold of each experiment."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("experiments", nargs="+", metavar="EXPERIMENT")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="as in the numbered stages")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="PNG file to write")
    flags = parser.parse_args(argv)
    try:
        paths = WorkPaths(flags.work)
        records = {name: read_record(paths.fold(name, 0) / "run.json") for name in flags.experiments}
        for name, record in records.items():
            if not any("val_loss" in entry for entry in record.history):
                raise InputError(f"{name}: fold 0 has no validation curve")
        draw_compared_curves(records, flags.out)
    except (InputError, OSError) as fault:
        print(f"error: {explain_fault(fault)}", file=sys.stderr)
        return 2
    log(f"written to {display_path(flags.out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
