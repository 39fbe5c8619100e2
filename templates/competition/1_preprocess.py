"""Check the official tables and assign the labelled rows to folds.

    python competitions/my_competition/1_preprocess.py [--data DIR]

All rows of a machine share a fold, because the test split has other machines. Readings that are missing stay
missing, and are reported.

Reads
    <data>/train.csv, <data>/test.csv, <data>/sample_submission.csv

Writes
    <work>/processed/train.parquet  id, machine, the readings, fails, fold
    <work>/processed/test.parquet  id, machine, the readings, in the order of sample_submission.csv
"""

from common.run import Stage, lazy
from competitions.my_competition.competition import COMPETITION

if __name__ == "__main__":
    Stage(COMPETITION, "preprocess", __doc__).run(lazy("competitions.my_competition.pipeline:preprocess"))
