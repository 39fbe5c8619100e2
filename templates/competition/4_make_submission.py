"""Apply the tuned threshold and write the submission, if it is valid.

    python competitions/my_competition/4_make_submission.py [--experiment NAME]

Reads
    <work>/<experiment>/oof.run.json, <work>/<experiment>/test.parquet
    <data>/sample_submission.csv, to validate

Writes
    <work>/<experiment>/submission.csv  id,fails in the order of sample_submission.csv
"""

from common.run import Stage, lazy
from competitions.my_competition.competition import COMPETITION

if __name__ == "__main__":
    Stage(COMPETITION, "make_submission", __doc__).run(
        lazy("competitions.my_competition.pipeline:make_submission")
    )
