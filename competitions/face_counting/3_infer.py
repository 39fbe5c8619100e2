"""Predict the test pictures with every fold's network, or count the faces of your own photos.

    python competitions/face_counting/3_infer.py [--experiment NAME]
    python competitions/face_counting/3_infer.py --images DIR [--save-pictures] [--weights DIR]

Own photos are JPEG, PNG or WebP of any size. They are counted by the trained networks and their counting
rule, or, with --weights, by pretrained weights off the shelf and default thresholds; that needs no training.

Reads
    <work>/processed/, <work>/<experiment>/fold<k>/checkpoint.safetensors, <work>/<experiment>/oof.run.json

Writes
    <work>/<experiment>/test.parquet  boxes: fold, Name, view, corners in px of the picture, score
    <work>/<experiment>/images/counts.csv  (--images) Name, HeadCount (real-valued), Faces (boxes drawn)
    <work>/<experiment>/images/pictures/<name>.jpg  (--save-pictures) the photos with their boxes
"""

from common.run import Stage, lazy
from competitions.face_counting.competition import COMPETITION
from competitions.face_counting.predict.own_data import OWN_DATA

if __name__ == "__main__":
    Stage(COMPETITION, "infer", __doc__, own_data=OWN_DATA).run(
        lazy("competitions.face_counting.pipeline:infer")
    )
