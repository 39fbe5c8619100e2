"""Map the test tiles, or a Sentinel-1 raster of your own, with the models of all folds.

    python competitions/etci_flood/3_infer.py [--experiment NAME]
    python competitions/etci_flood/3_infer.py --geotiff FILE [--water FILE] [--units auto|db|linear]

The probability of flood at a pixel is the mean over the folds' models and, where the experiment says so, over
mirrored and turned views of the tile; a mixture weighs its parents by the shares of 2_train_folds.py. Nothing
is tuned here. With --geotiff a raster of VV and VH is mapped instead, window by window, any size in bounded
memory; the threshold is the one tuned out of fold.

Reads
    <work>/processed/  what 1_preprocess.py wrote
    <work>/<experiment>/fold<k>/checkpoint.safetensors, checkpoint.txt  the models
    --geotiff FILE  backscatter (two bands, VV and VH), in decibels or linear power
    --water FILE  permanent water on the same grid

Writes
    <work>/<experiment>/test.npy  probability of flood x 255, uint8 (tiles, 256, 256), in the submission's
    order
    <work>/<experiment>/geotiff/<name>_flood.tif  with --geotiff: its flood on its grid, uint8, 1 = flood,
    0 = not, 255 = unknown
"""

import argparse
from pathlib import Path
from typing import cast

from common.base.paths import display_path
from common.run.stage import Job, Result, Stage
from competitions.etci_flood.competition import COMPETITION
from competitions.etci_flood.experiment import FloodExperiment


def infer(job: Job) -> Result:
    """Average the models' maps of the test tiles; a mixture takes its parents' averages."""
    import numpy as np

    from common.learn.seeding import seed_everything
    from competitions.etci_flood.data.tiles import open_tile_arrays
    from competitions.etci_flood.decision.ensemble import mixed_maps
    from competitions.etci_flood.models.base import predicted_maps, write_maps
    from competitions.etci_flood.models.registry import models_of

    if job.stage_args.geotiff is not None:
        return map_own_raster(job)
    settings = cast(FloodExperiment, job.settings)
    seed_everything(job.seed)
    arrays = open_tile_arrays(job.processed)
    rows = np.flatnonzero(~arrays.tiles["labelled"])
    if settings.model == "mixture":
        of_parents = [np.load(job.paths.test(parent, ".npy"), mmap_mode="r") for parent in settings.parents]
        predicted = mixed_maps(of_parents, job.upstream["oof"].decision["shares"])
    else:
        predicted = predicted_maps(models_of(job), arrays, rows, settings.prediction.batch)
    maps = job.paths.test(settings.name, ".npy")
    write_maps(maps, len(rows), predicted, "mapping test tiles")
    return Result([maps], metrics={"test_tiles": float(len(rows))})


def map_own_raster(job: Job) -> Result:
    """Map the raster of --geotiff on its own grid."""
    from common.base.console import log
    from competitions.etci_flood.data.tiles import open_tile_arrays, typical_scale
    from competitions.etci_flood.models.registry import models_of
    from competitions.etci_flood.predict.geotiff import map_geotiff

    flood = job.paths.experiment(job.settings.name) / f"{raster_name(job.stage_args)}_flood.tif"
    metrics = map_geotiff(
        existing_file(job.stage_args.geotiff),
        flood,
        models_of(job),
        job.upstream["oof"].decision["threshold"],
        typical_scale(open_tile_arrays(job.processed)),
        job.stage_args.units,
        existing_file(job.stage_args.water) if job.stage_args.water else None,
    )
    log(f"  the flood is in {display_path(flood)}")
    return Result([flood], metrics)


def existing_file(path: Path) -> Path:
    """An absolute path; InputError when there is no such file."""
    from common.base.errors import InputError

    if not path.expanduser().is_file():
        raise InputError(f"{display_path(path)}: no such raster file; check --geotiff and --water")
    return path.expanduser().absolute()


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The stage's own flags."""
    parser.add_argument(
        "--geotiff", type=Path, metavar="FILE", help="map this raster of VV and VH instead of the test tiles"
    )
    parser.add_argument(
        "--water", type=Path, metavar="FILE", help="permanent water (not 0) on its grid (none)"
    )
    parser.add_argument(
        "--units", choices=("auto", "db", "linear"), default="auto", help="of the raster (auto)"
    )


def raster_name(own: argparse.Namespace) -> str:
    """Name of the record of a user's raster; `` for the test tiles."""
    return f"geotiff/{own.geotiff.stem}" if own.geotiff else ""


def raster_signature(own: argparse.Namespace) -> object:
    """What of the flags decides the result: the rasters themselves."""
    from common.run.run_record import hash_path

    files = [existing_file(path) for path in (own.geotiff, own.water) if path]
    return [own.units, *map(hash_path, files)] if files else None


if __name__ == "__main__":
    Stage(COMPETITION, "infer", __doc__, add_flags, raster_signature, raster_name).run(infer)
