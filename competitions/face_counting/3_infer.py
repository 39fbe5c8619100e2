"""Predict the test pictures with every fold's network, or count the faces of your own photos.

    python competitions/face_counting/3_infer.py [--experiment NAME]
    python competitions/face_counting/3_infer.py --images DIR [--save-pictures] [--weights DIR] [--tiles off]

Own photos may have any size and any format that Pillow reads. They are counted by the trained networks and
their counting rule, or, with --weights, by pretrained weights off the shelf and a default rule, without any
training. A stopped run goes on with the same command.

Reads
    <work>/processed/, <work>/<experiment>/fold<k>/checkpoint.safetensors, <work>/<experiment>/oof.run.json

Writes
    <work>/<experiment>/test.parquet  boxes: fold, Name, view, corners in px of the picture, score
    <work>/<experiment>/images/<folder>-<hash>/  (--images) one folder for each DIR and settings:
        counts.csv  Name, HeadCount (real-valued), Faces (boxes drawn)
        pictures/<name>.jpg  (--save-pictures) the photos with their boxes
        counts.resume/counts.csv  while it runs: the photos that are done
"""

from common.run import Stage, lazy
from competitions.face_counting.competition import COMPETITION
from competitions.face_counting.predict.own_data import OWN_DATA

if __name__ == "__main__":
    Stage(COMPETITION, "infer", __doc__, own_data=OWN_DATA).run(
        lazy("competitions.face_counting.pipeline:infer")
    )
