"""Train one model per fold and predict the tiles that it was not trained on (out-of-fold, OOF).

    python competitions/etci_flood/2_train_folds.py [--experiment NAME] [--fold K] [--weights DIR]

A network (or pixel-wise LightGBM) is trained on the tiles of all folds but one and predicts the held-out
tiles. An ensemble blends the OOF maps of its parents. When all folds are trained, their maps are pooled and
the probability threshold with the highest pooled IoU is chosen, noisy-label tiles left out; scenes with many
labelled tiles get their own. Baselines are measured on the same tiles: the water mask, the best VV threshold
and the best linear rule on VV and VH; the two rules are tuned on these tiles. Confidence intervals come from
resampling tiles.

Reads
    <work>/processed/  the output of 1_preprocess.py
    --weights DIR  ImageNet weights, for the experiments that start from them

Writes
    <work>/<experiment>/fold<k>/checkpoint.safetensors  the fold's network
    <work>/<experiment>/fold<k>/checkpoint.txt  or its LightGBM booster
    <work>/<experiment>/fold<k>/oof.npy  probability of flood x 255 on held-out tiles, uint8 (tiles, 256, 256)
    <work>/<experiment>/fold<k>/oof_tiles.parquet  their rows in processed/tiles.parquet, and names
    <work>/<experiment>/oof_scenes.csv  OOF IoU of each scene, with the baselines
    <work>/<experiment>/oof_thresholds.csv  OOF IoU at each threshold
"""

from common.run import Stage, lazy
from common.run.flags import weights_flag
from competitions.etci_flood.competition import COMPETITION

WEIGHTS = weights_flag("folder of ImageNet weights, <encoder>.safetensors|.pt|.pth")

if __name__ == "__main__":
    Stage(COMPETITION, "train_folds", __doc__, WEIGHTS).run(
        lazy("competitions.etci_flood.pipeline:train_fold"),
        pool=lazy("competitions.etci_flood.pipeline:pool_folds"),
    )
