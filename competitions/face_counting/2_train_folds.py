"""Train one face detector per fold, predict the held-out pictures, and tune the count on all of them.

    python competitions/face_counting/2_train_folds.py [--experiment NAME] [--fold K] [--weights DIR]

An experiment with parents trains nothing: the boxes of its parents are views of the same pictures. When all
folds are done, the counting strategy and its thresholds are selected on the pooled out-of-fold (OOF)
predictions, those for pictures that the fold's model was not trained on. The reported figures are
cross-fitted: each fold is counted by a rule fitted on the other folds.

Reads
    <work>/processed/

Writes
    <work>/<experiment>/fold<k>/checkpoint.safetensors  the fold's network
    <work>/<experiment>/fold<k>/held_out.parquet  Name and head_count of the pictures that the fold holds out
    <work>/<experiment>/fold<k>/oof.parquet  boxes in them: Name, view, corners in px of the picture, score
    <work>/<experiment>/oof.parquet  out-of-fold counts: fold, Name, head_count, count
"""

from common.run import Stage, lazy
from common.run.flags import weights_flag
from competitions.face_counting.competition import COMPETITION

WEIGHTS = weights_flag(
    "pretrained weights: a state dict, or a folder with one named after the network (yolov5s.pt)"
)

if __name__ == "__main__":
    Stage(COMPETITION, "train_folds", __doc__, WEIGHTS).run(
        lazy("competitions.face_counting.pipeline:train_fold"),
        pool=lazy("competitions.face_counting.pipeline:pool_folds"),
    )
