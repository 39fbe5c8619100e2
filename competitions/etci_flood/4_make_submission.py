"""Threshold the test maps and write the official submission, validated.

    python competitions/etci_flood/4_make_submission.py [--experiment NAME]

A pixel is flood where its probability reaches the threshold with the highest OOF IoU, or its scene's own
threshold where many tiles of the scene are labelled. Tiles are in the order of the organisers'
test_sentinel.csv if it is given, otherwise sorted by the full path of their VV image; submission_tiles.csv
lists them.

Reads
    <work>/<experiment>/test.npy  the test maps
    <work>/<experiment>/oof.run.json  the threshold
    <work>/processed/tiles.parquet  the tiles' names

Writes
    <work>/<experiment>/submission.zip  the official file: submission.npy, uint8 (tiles, 256, 256), 1 = flood
    <work>/<experiment>/submission.csv  the same masks run-length encoded: tile, rle (from 1, column-major)
    <work>/<experiment>/submission_tiles.csv  the order of the tiles: row, tile, scene
"""

from common.run import Stage, lazy
from competitions.etci_flood.competition import COMPETITION

if __name__ == "__main__":
    Stage(COMPETITION, "make_submission", __doc__).run(
        lazy("competitions.etci_flood.pipeline:make_submission")
    )
