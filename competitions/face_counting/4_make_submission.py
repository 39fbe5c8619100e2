"""Count the faces by the rule tuned on OOF predictions, combine the folds, and write the submission.

    python competitions/face_counting/4_make_submission.py [--experiment NAME]

An unreadable test picture gets the mean count of the labelled pictures, with a warning.

Reads
    <work>/processed/, <work>/<experiment>/oof.run.json, <work>/<experiment>/test.parquet

Writes
    <work>/<experiment>/submission.csv  Name,HeadCount in the order of test.csv
"""

from common.run import Stage, lazy
from competitions.face_counting.competition import COMPETITION

if __name__ == "__main__":
    Stage(COMPETITION, "make_submission", __doc__).run(
        lazy("competitions.face_counting.pipeline:make_submission")
    )
