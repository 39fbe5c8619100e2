"""Predict the test split, or a table of your own, with the models of all folds.

    python competitions/my_competition/3_infer.py [--experiment NAME]
    python competitions/my_competition/3_infer.py --table FILE

A table of your own is a CSV file with the columns of test.csv. It needs neither raw nor processed data.

Reads
    <work>/processed/test.parquet or FILE, <work>/<experiment>/oof.run.json, <work>/<experiment>/fold<k>/

Writes
    <work>/<experiment>/test.parquet  id, probability
    <work>/<experiment>/table/<name>-<hash>.csv  with --table: id, probability, fails
"""

from common.run import Stage, lazy
from competitions.my_competition.competition import COMPETITION
from competitions.my_competition.predict.own_data import OWN_DATA

if __name__ == "__main__":
    Stage(COMPETITION, "infer", __doc__, own_data=OWN_DATA).run(
        lazy("competitions.my_competition.pipeline:infer")
    )
