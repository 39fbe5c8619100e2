"""Read all tiles into memory-mapped arrays and cut the labelled ones into folds.

    python competitions/etci_flood/1_preprocess.py --data DIR [--work DIR]

The layers of a tile (VV, VH, flood label, permanent water) are joined by scene, row and column. Tiles that
lack a layer or cannot be read are counted, reported and left out. Labelled tiles are those of `train` and of
phase 1 (`test`); predicted is phase 2 (`test_internal`) where there is one, else phase 1. Each labelled tile
is given its fold under every kind of split: by scene, by contiguous block, at random, by phase.

Reads
    <data>/{train,test,test_internal}/<scene>/tiles/{vv,vh,flood_label,water_body_label}/*.png  the tiles
    <data>/test_sentinel.csv  the organisers' order of the submission, where it is given

Writes
    <work>/processed/tiles.parquet  one row a tile: scene, x, y, split, blank, folds; labelled first
    <work>/processed/vv.npy  VV backscatter, uint8 (tiles, 256, 256)
    <work>/processed/vh.npy  VH backscatter, uint8 (tiles, 256, 256)
    <work>/processed/water.npy  permanent water, uint8 0 or 1 (tiles, 256, 256)
    <work>/processed/flood.npy  flood label, uint8 0 or 1 (labelled tiles, 256, 256)
"""

from typing import cast

from common.run.stage import Job, Result, Stage
from competitions.etci_flood.competition import COMPETITION
from competitions.etci_flood.experiment import FloodExperiment


def preprocess(job: Job) -> Result:
    """Join, read, cut into folds."""
    from common.base.atomic import atomic_write
    from common.base.console import log
    from competitions.etci_flood.data.folds import NO_FOLD, fold_columns
    from competitions.etci_flood.data.layout import PHASE_1, find_tiles
    from competitions.etci_flood.data.tiles import TABLE, write_tile_arrays

    settings = cast(FloodExperiment, job.settings)
    found = find_tiles(job.data)
    for fault in found.faults:
        job.warn(fault)
    to_predict = f"{len(found.predicted)} of {found.predicted_split} to predict"
    log(f"  {len(found.labelled)} labelled tiles, {to_predict}")
    if found.predicted_split == PHASE_1:
        log("  there is no phase 2 (test_internal), so phase 1 (test) is predicted and not trained on")

    tiles, arrays = write_tile_arrays(job.processed, found.labelled, found.predicted, job.warn)

    usable = tiles[tiles["labelled"] & tiles["readable"]]
    folds = fold_columns(usable, settings.tiles.parts, job.seed)
    tiles = tiles.join(folds.reindex(tiles.index, fill_value=NO_FOLD))
    table = job.processed / TABLE
    with atomic_write(table) as partial:
        tiles.to_parquet(partial, index=False)
    metrics = {
        "labelled": float(len(usable)),
        "predicted": float(len(found.predicted)),
        "blank_share": float(usable["blank"].mean()),
        "scenes": float(usable["scene"].nunique()),
    }
    return Result([table, *arrays], metrics)


if __name__ == "__main__":
    Stage(COMPETITION, "preprocess", __doc__).run(preprocess)
