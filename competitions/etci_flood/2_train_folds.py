"""Train one model per fold and predict the tiles that it never saw.

    python competitions/etci_flood/2_train_folds.py [--experiment NAME] [--fold K] [--weights DIR]

A network (or boosted trees) learns flood pixels on the tiles of all folds but one, then maps the held-out
tiles; a mixture of experiments takes its parents' maps. When all folds are there, the maps are pooled: the
threshold on the probability is the one with the highest pooled IoU on labels that can be believed, and scenes
of many labelled tiles have their own. Naive maps are measured beside: the water mask, the best VV threshold
and the best linear rule on VV and VH, which are flattered by being chosen on the tiles that they are measured
on. The intervals come from resampling tiles.

Reads
    <work>/processed/  what 1_preprocess.py wrote
    --weights DIR  ImageNet weights, for the experiments that start from them

Writes
    <work>/<experiment>/fold<k>/checkpoint.safetensors  the fold's network
    <work>/<experiment>/fold<k>/checkpoint.txt  or its trees
    <work>/<experiment>/fold<k>/oof.npy  probability of flood x 255 on held-out tiles, uint8 (tiles, 256, 256)
    <work>/<experiment>/fold<k>/oof_tiles.parquet  which tiles they are: row in processed/tiles.parquet, name
    <work>/<experiment>/oof_scenes.csv  out-of-fold IoU of each scene beside the naive maps
    <work>/<experiment>/oof_thresholds.csv  out-of-fold IoU at each threshold
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, cast

from common.run.stage import Job, Result, Stage
from competitions.etci_flood.competition import COMPETITION
from competitions.etci_flood.experiment import FloodExperiment

if TYPE_CHECKING:
    import pandas as pd

    from competitions.etci_flood.decision.ensemble import Bytes, Rows


def train_fold(job: Job) -> Result:
    """Train on the other folds, predict this one."""
    import numpy as np

    from competitions.etci_flood.data.folds import training_and_held_out
    from competitions.etci_flood.data.tiles import open_tile_arrays
    from competitions.etci_flood.models.base import equal_shares, predicted_maps, write_maps
    from competitions.etci_flood.models.registry import TRAINERS

    settings = cast(FloodExperiment, job.settings)
    if settings.model == "mixture":
        return mix_fold(job)
    arrays = open_tile_arrays(job.processed)
    training, held_out = training_and_held_out(arrays.tiles, settings.tiles, job.fold)
    trained = TRAINERS[settings.model](job, arrays, training, held_out)

    maps, tiles = job.fold_folder / "oof.npy", job.fold_folder / "oof_tiles.parquet"
    predicted = predicted_maps(equal_shares([trained.model]), arrays, held_out, settings.prediction.batch)
    write_maps(maps, len(held_out), predicted, f"mapping fold {job.fold}")
    write_table(tiles, arrays.tiles.loc[held_out, ["tile"]].assign(row=np.int64(held_out)))
    metrics = {"training_tiles": float(len(training)), "held_out_tiles": float(len(held_out))}
    return Result(
        [trained.checkpoint, maps, tiles], metrics={**metrics, **trained.metrics}, history=trained.history
    )


def mix_fold(job: Job) -> Result:
    """Mix the parents' held-out maps, with the shares that are best on the other folds."""
    from competitions.etci_flood.data.tiles import open_tile_arrays
    from competitions.etci_flood.decision.ensemble import best_shares, mixed_maps
    from competitions.etci_flood.models.base import write_maps

    arrays = open_tile_arrays(job.processed)
    found = held_out_by_fold(job)
    others = [each for fold, each in enumerate(found) if fold != job.fold]
    shares = best_shares(others, arrays.flood, len(job.settings.parents))
    rows, of_parents = found[job.fold]
    maps, tiles = job.fold_folder / "oof.npy", job.fold_folder / "oof_tiles.parquet"
    write_maps(maps, len(rows), mixed_maps(of_parents, shares), f"mixing fold {job.fold}")
    write_table(tiles, arrays.tiles.loc[rows, ["tile"]].assign(row=rows))
    metrics = {f"share_{parent}": share for parent, share in zip(job.settings.parents, shares, strict=True)}
    return Result([maps, tiles], metrics=metrics)


def held_out_by_fold(job: Job) -> "list[tuple[Rows, list[Bytes]]]":
    """Held-out rows of each fold, and the parents' maps of them."""
    from competitions.etci_flood.decision.ensemble import held_out_maps

    return [
        held_out_maps([job.paths.fold(parent, fold) for parent in job.settings.parents])
        for fold in range(job.settings.folds)
    ]


def pool_folds(job: Job) -> Result:
    """Choose threshold (and shares) on the pooled out-of-fold maps, and measure them beside naive maps."""
    from common.base.console import log
    from competitions.etci_flood.data.tiles import open_tile_arrays
    from competitions.etci_flood.decision.ensemble import best_shares
    from competitions.etci_flood.decision.out_of_fold import count_out_of_fold, pooled_figures, scene_lines

    settings = cast(FloodExperiment, job.settings)
    arrays = open_tile_arrays(job.processed)
    figures = pooled_figures(count_out_of_fold(arrays, job.fold_folders), job.seed)
    decision = dict(figures.decision)
    if settings.model == "mixture":
        decision["shares"] = best_shares(held_out_by_fold(job), arrays.flood, len(settings.parents))
    scenes, thresholds = (
        job.paths.experiment(settings.name) / name for name in ("oof_scenes.csv", "oof_thresholds.csv")
    )
    write_table(scenes, figures.scenes)
    write_table(thresholds, figures.thresholds)
    for line in scene_lines(figures.scenes):
        log(f"  {line}")
    return Result([scenes, thresholds], figures.metrics, decision)


def write_table(path: Path, table: "pd.DataFrame") -> None:
    """Write a table as CSV or parquet, whole or not at all."""
    from common.base.atomic import atomic_write

    with atomic_write(path) as partial:
        if path.suffix == ".csv":
            table.to_csv(partial, index=False, lineterminator="\n", float_format="%.6f")
        else:
            table.to_parquet(partial, index=False)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The stage's own flag."""
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="DIR",
        help="folder of ImageNet weights, <encoder>.safetensors|.pt|.pth",
    )


def weights_signature(own: argparse.Namespace) -> str | None:
    """What of --weights decides the result: the files of the folder."""
    from common.base.paths import readable_folder
    from common.run.run_record import hash_path

    return hash_path(readable_folder(own.weights, "the folder of weights")) if own.weights else None


if __name__ == "__main__":
    Stage(COMPETITION, "train_folds", __doc__, add_flags, weights_signature).run(train_fold, pool_folds)
