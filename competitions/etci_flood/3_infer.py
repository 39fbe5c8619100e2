"""Predict the test tiles, or a Sentinel-1 raster of your own, with the models of all folds.

    python competitions/etci_flood/3_infer.py [--experiment NAME]
    python competitions/etci_flood/3_infer.py --geotiff FILE [FILE] [--water FILE]

The probability of flood at a pixel is the mean over the folds' models and, where the experiment says so, over
test-time augmentations (TTA) of the tile. An ensemble weighs its parents by the weights of 2_train_folds.py.
Nothing is tuned here. With --geotiff a raster of VV and VH is mapped instead, window by window, of any size
in bounded memory, with the threshold that was tuned on OOF predictions. Its bands are found by their names,
its units by its values; the answer says how it was read, and flags say it where it can be read in two ways.

Reads
    <work>/processed/  the output of 1_preprocess.py; not needed for --geotiff
    <work>/<experiment>/fold<k>/checkpoint.safetensors, checkpoint.txt  the models
    --geotiff FILE [FILE]  calibrated backscatter, VV and VH in one file or in two
    --water FILE  mask of permanent water, on any grid

Writes
    <work>/<experiment>/test.npy  probability of flood x 255, uint8 (tiles, 256, 256), in submission order
    <work>/<experiment>/geotiff/<name>-<hash>_flood.tif  with --geotiff: its flood on its grid as COG, uint8,
    1 = flood, 0 = not, 255 = unknown; the hash is that of the files' paths and the flags
"""

from common.run import Stage, lazy
from competitions.etci_flood.competition import COMPETITION
from competitions.etci_flood.predict.own_data import OWN_DATA

if __name__ == "__main__":
    Stage(COMPETITION, "infer", __doc__, own_data=OWN_DATA).run(
        lazy("competitions.etci_flood.pipeline:infer")
    )
