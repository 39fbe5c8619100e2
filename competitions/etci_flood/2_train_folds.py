"""Train one network per fold and predict the tiles that it never saw.

    python competitions/etci_flood/2_train_folds.py [--experiment NAME] [--fold K] [--weights DIR]

A network learns flood pixels from VV, VH and their ratio on the tiles of all folds but one, then maps the
held-out tiles. When all folds are there, the maps are pooled: the threshold on the probability is the one
with the highest pooled IoU. Naive maps are measured beside: the water mask, and the best VV threshold,
which is flattered by being chosen on the tiles that it is measured on. The intervals come from resampling
tiles.

Reads
    <work>/processed/  what 1_preprocess.py wrote
    --weights DIR  ImageNet weights, for the experiments that start from them

Writes
    <work>/<experiment>/fold<k>/checkpoint.safetensors  the fold's network
    <work>/<experiment>/fold<k>/oof.npy  probability of flood x 255 on held-out tiles, uint8 (tiles, 256, 256)
    <work>/<experiment>/fold<k>/oof_tiles.parquet  which tiles they are: row in processed/tiles.parquet, name
    <work>/<experiment>/oof_scenes.csv  out-of-fold IoU of each scene beside the naive maps
    <work>/<experiment>/oof_thresholds.csv  out-of-fold IoU at each threshold
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, cast

from common.stage import Job, Outcome, Stage
from competitions.etci_flood.competition import COMPETITION
from competitions.etci_flood.experiment import FloodExperiment

if TYPE_CHECKING:
    import pandas as pd


def train_fold(job: Job) -> Outcome:
    """Train on the other folds, predict this one."""
    import numpy as np
    from torch.utils.data import DataLoader

    from common.device import torch_device
    from common.training import fit
    from common.weights import save_weights
    from competitions.etci_flood.flood_maps import predicted_maps, write_maps
    from competitions.etci_flood.flood_training import (
        FloodTiles,
        FloodTraining,
        seed_of_fold,
        settle_batch_statistics,
        settling_loader,
        training_loader,
    )
    from competitions.etci_flood.segmentation_networks import build_network
    from competitions.etci_flood.tile_arrays import open_tile_arrays
    from competitions.etci_flood.tile_folds import training_and_held_out

    settings = cast(FloodExperiment, job.settings)
    device = torch_device(job.device)
    arrays = open_tile_arrays(job.processed)
    training, held_out = training_and_held_out(arrays.tiles, settings.tiles, job.fold)

    seed = seed_of_fold(job.seed, job.fold)
    network = build_network(settings.network, settings.channels, job.own.weights)
    settling = settling_loader(arrays, training, settings.channels, settings.training)
    history = fit(
        FloodTraining(network, settings.training, settling),
        training_loader(arrays, training, settings.channels, settings.training, seed),
        DataLoader(FloodTiles(arrays, held_out, settings.channels), batch_size=settings.prediction.batch)
        if len(held_out)
        else None,
        epochs=settings.training.epochs,
        folder=job.scratch,
        device=device,
        what=f"fold {job.fold}",
        validate_every=settings.training.validate_every,
    )
    settle_batch_statistics(network, settling)

    checkpoint = job.fold_folder / "checkpoint.safetensors"
    maps, tiles = job.fold_folder / "oof.npy", job.fold_folder / "oof_tiles.parquet"
    save_weights(checkpoint, network.state_dict())
    predicted = predicted_maps([network], arrays, held_out, settings.channels, settings.prediction, device)
    write_maps(maps, len(held_out), predicted, f"mapping fold {job.fold}")
    write_table(tiles, arrays.tiles.loc[held_out, ["tile"]].assign(row=np.int64(held_out)))
    return Outcome(
        [checkpoint, maps, tiles],
        metrics={"training_tiles": float(len(training)), "held_out_tiles": float(len(held_out))},
        history=history,
    )


def pool_folds(job: Job) -> Outcome:
    """Choose the threshold on the pooled out-of-fold maps, and measure them."""
    from competitions.etci_flood.out_of_fold import count_out_of_fold, pooled_figures
    from competitions.etci_flood.tile_arrays import open_tile_arrays

    arrays = open_tile_arrays(job.processed)
    counted = count_out_of_fold(arrays, job.fold_folders)
    figures = pooled_figures(counted, job.seed)
    scenes, thresholds = (
        job.paths.experiment(job.settings.name) / name for name in ("oof_scenes.csv", "oof_thresholds.csv")
    )
    write_table(scenes, figures.scenes)
    write_table(thresholds, figures.thresholds)
    return Outcome([scenes, thresholds], figures.metrics, {"threshold": figures.threshold})


def write_table(path: Path, table: "pd.DataFrame") -> None:
    """Write a table as CSV or parquet, whole or not at all."""
    from common.atomic import whole_file

    with whole_file(path) as partial:
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
    from common.paths import readable_folder
    from common.run_record import fingerprint

    return fingerprint(readable_folder(own.weights, "the folder of weights")) if own.weights else None


if __name__ == "__main__":
    Stage(COMPETITION, "train_folds", __doc__, add_flags, weights_signature).run(train_fold, pool_folds)
