"""Check the official files, decode every picture once, and find near duplicates.

    python competitions/face_counting/1_preprocess.py [--data DIR]

Pictures are stored in their own size; the three preprocessing modes are applied when a detector reads them.
Labelled pictures with similar difference hashes form a group, which no fold splits.

Reads
    <data>/train.csv, <data>/bbox_train.csv, <data>/test.csv, <data>/image_data/

Writes
    <work>/processed/pixels.npy  RGB values of all pictures, concatenated; later stages map it into memory
    <work>/processed/pictures.parquet  split, size, offset in pixels.npy, head count, near-duplicate group
    <work>/processed/boxes.parquet  one row per labelled face: Name and corners in px
"""

from common.run import Stage, lazy
from competitions.face_counting.competition import COMPETITION

if __name__ == "__main__":
    Stage(COMPETITION, "preprocess", __doc__).run(lazy("competitions.face_counting.pipeline:preprocess"))
