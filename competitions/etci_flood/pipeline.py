"""The four stages of flood mapping as plain functions; the numbered scripts run them."""

import numpy as np
import pandas as pd

from common.base.atomic import atomic_array
from common.base.console import log
from common.files.tables import write_table
from common.learn.seeding import seed_everything
from common.run.job import Job, Result
from competitions.etci_flood.data.folds import NO_FOLD, fold_columns, training_and_held_out
from competitions.etci_flood.data.layout import PHASE_1, find_tiles
from competitions.etci_flood.data.tiles import TABLE, open_tile_arrays, typical_scale, write_tile_arrays
from competitions.etci_flood.decision.anchors import fit_anchors
from competitions.etci_flood.decision.out_of_fold import count_out_of_fold, evaluate_oof, scene_lines
from competitions.etci_flood.decision.thresholds import threshold_of
from competitions.etci_flood.experiment import FloodExperiment
from competitions.etci_flood.models.base import model_kind, write_maps
from competitions.etci_flood.rules.submission import submission_faults, write_archive, write_rle_table


def preprocess(job: Job[FloodExperiment]) -> Result:
    """Join the layers of each tile, read them into arrays, and assign the labelled tiles to folds."""
    found = find_tiles(job.data)
    for fault in found.faults:
        job.warn(fault)
    to_predict = f"{len(found.predicted)} of {found.predicted_split} to predict"
    log(f"  {len(found.labelled)} labelled tiles, {to_predict}")
    if found.predicted_split == PHASE_1:
        log("  there is no phase 2 (test_internal), so phase 1 (test) is predicted and not trained on")
    labelled, predicted = ([str(tile.key) for tile in part] for part in (found.labelled, found.predicted))
    job.separate_splits(labelled, predicted, "tiles")
    tiles, arrays = write_tile_arrays(
        job.processed, found.labelled, found.predicted, job.warn, job.understood, job.limit_losses
    )

    usable = tiles[tiles["labelled"] & tiles["readable"]]
    folds = fold_columns(usable, job.settings.tiles.n_splits, job.seed)
    table = job.processed / TABLE
    write_table(table, tiles.join(folds.reindex(tiles.index, fill_value=NO_FOLD)))
    metrics = {
        "labelled": float(len(usable)),
        "predicted": float(len(found.predicted)),
        "no_data_share": float(usable["no_data"].mean()),
        "scenes": float(usable["scene"].nunique()),
    }
    return Result([table, *arrays], metrics)


def train_fold(job: Job[FloodExperiment]) -> Result:
    """Train on the other folds and predict the held-out tiles (OOF predictions)."""
    kind = model_kind(job.settings)
    arrays = open_tile_arrays(job.processed)
    training, held_out = training_and_held_out(arrays.tiles, job.settings.tiles, job.fold)
    fitted = kind.fit(job, arrays, training, held_out)

    maps, tiles = job.fold_folder / "oof.npy", job.fold_folder / "oof_tiles.parquet"
    write_maps(maps, len(held_out), fitted.oof_maps, f"predicting fold {job.fold}")
    write_table(tiles, arrays.tiles.loc[held_out, ["tile"]].assign(row=np.int64(held_out)))
    metrics = {"val_tiles": float(len(held_out)), **fitted.metrics}
    return Result([*fitted.outputs, maps, tiles], metrics, history=fitted.history)


def pool_folds(job: Job[FloodExperiment]) -> Result:
    """Tune thresholds (and ensemble weights) on the pooled OOF maps, and measure maps and baselines."""
    arrays = open_tile_arrays(job.processed)
    pooled = evaluate_oof(count_out_of_fold(arrays, job.fold_folders), job.seed)
    decision = pooled.decision | model_kind(job.settings).tune(job, arrays)
    # For rasters of one's own.
    decision["image_scale"] = typical_scale(arrays).tolist()
    decision["backscatter_anchors"] = fit_anchors(arrays)

    folder = job.paths.experiment(job.settings.name)
    scenes, thresholds = folder / "oof_scenes.csv", folder / "oof_thresholds.csv"
    write_table(scenes, pooled.scenes, float_format="%.6f")
    write_table(thresholds, pooled.thresholds, float_format="%.6f")
    for line in scene_lines(pooled.scenes):
        log(f"  {line}")
    return Result([scenes, thresholds], pooled.metrics, decision)


def infer(job: Job[FloodExperiment]) -> Result:
    """Predict the test tiles: the mean over folds, or the weighted mean of an ensemble's parents."""
    seed_everything(job.seed)
    arrays = open_tile_arrays(job.processed)
    rows = np.flatnonzero(~arrays.tiles["labelled"])
    maps = job.paths.test(job.settings.name, ".npy")
    write_maps(
        maps, len(rows), model_kind(job.settings).test_maps(job, arrays, rows), "predicting test tiles"
    )
    return Result([maps], metrics={"test_tiles": float(len(rows))})


def make_submission(job: Job[FloodExperiment]) -> Result:
    """Threshold the test maps, validate the archive, and move it into place."""
    tiles = pd.read_parquet(job.processed / TABLE)
    tiles = tiles.loc[~tiles["labelled"], ["tile", "scene"]].reset_index(drop=True)
    maps = np.load(job.paths.test(job.settings.name, ".npy"), mmap_mode="r")
    decision = job.upstream["oof"].decision
    with atomic_array(job.resume_dir / "masks.npy", maps.shape, np.uint8) as masks:
        for row, (probability, scene) in enumerate(zip(maps, tiles["scene"], strict=True)):
            masks[row] = probability >= threshold_of(decision, scene)

    unchecked = job.resume_dir / "submission.zip"
    masks = np.load(job.resume_dir / "masks.npy", mmap_mode="r")
    write_archive(unchecked, masks)
    faults = submission_faults(unchecked, job.data)
    if faults:
        raise AssertionError(f"an invalid submission was made: {'; '.join(faults)}")

    archive, table, manifest = (
        job.paths.submission(job.settings.name, suffix) for suffix in (".zip", ".csv", "_tiles.csv")
    )
    write_rle_table(table, tiles["tile"].tolist(), masks)
    write_table(manifest, tiles, index=True, index_label="row")
    unchecked.replace(archive)
    flood = sum(int(mask.sum()) for mask in masks)
    return Result([archive, table, manifest], metrics={"flood_fraction": flood / max(masks.size, 1)})
