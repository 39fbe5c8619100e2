"""Read all tiles into memory-mapped arrays and assign the labelled tiles to folds.

    python competitions/etci_flood/1_preprocess.py --data DIR [--work DIR]

The layers of a tile (VV, VH, flood label, permanent water) are joined by scene, row and column. Tiles that
lack a layer or cannot be read are reported and left out. Labels hold 0 and 255, or 0 and 1; any others are
refused. 16-bit images, and tiles of another size than 256 x 256, are read where all agree.

Labelled tiles are those of `train` and of phase 1 (`test`). Phase 2 (`test_internal`) is predicted where
there is one, otherwise phase 1. Each labelled tile is assigned to a fold of every kind of split: by scene, by
contiguous block, at random, by phase.

Reads
    <data>/{train,test,test_internal}/<scene>/tiles/{vv,vh,flood_label,water_body_label}/*.png  the tiles
    <data>/test_sentinel.csv  the organisers' order of the submission, if given

Writes
    <work>/processed/tiles.parquet  one row per tile: scene, x, y, split, no_data, folds; labelled tiles first
    <work>/processed/vv.npy  VV backscatter, uint8 (tiles, 256, 256)
    <work>/processed/vh.npy  VH backscatter, uint8 (tiles, 256, 256)
    <work>/processed/water.npy  permanent water, uint8 0 or 1 (tiles, 256, 256)
    <work>/processed/flood.npy  flood label, uint8 0 or 1 (labelled tiles, 256, 256)
"""

from common.run import Stage, lazy
from competitions.etci_flood.competition import COMPETITION

if __name__ == "__main__":
    Stage(COMPETITION, "preprocess", __doc__).run(lazy("competitions.etci_flood.pipeline:preprocess"))
