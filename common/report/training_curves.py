"""Training curves of all folds, from their run records."""

from collections.abc import Sequence
from pathlib import Path

from common.run.run_record import RunRecord


def draw_training_curves(records: Sequence[RunRecord], path: Path) -> bool:
    """Draw each logged figure over the epochs, one line per fold, as PNG; False when nothing was logged."""
    trained = [record for record in records if record.fold is not None and len(record.history) > 1]
    if not trained:
        return False
    step = next(iter(trained[0].history[0]))  # what the entries are counted by: epoch, or a booster's horizon
    names = sorted({name for record in trained for entry in record.history for name in entry} - {step})
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    size = (3.6 * columns, 2.5 * rows)
    figure, axes = pyplot.subplots(rows, columns, figsize=size, squeeze=False, constrained_layout=True)
    for axis in axes.flat[len(names) :]:
        axis.set_visible(False)
    for axis, name in zip(axes.flat, names, strict=False):
        for record in trained:
            points = [(entry[step], entry[name]) for entry in record.history if name in entry]
            axis.plot(*zip(*points, strict=True), marker=".", markersize=3, label=f"fold {record.fold}")
        axis.set_title(name.replace("_", " "), fontsize=9)
        axis.set_xlabel(step, fontsize=8)
        axis.tick_params(labelsize=8)
        axis.grid(alpha=0.25)
    axes.flat[0].legend(fontsize=7, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
    pyplot.close(figure)
    return True
