"""Turn the test forecasts into positions by the tuned rule, and write the submission.

    python competitions/bit_trader/4_make_submission.py [--experiment NAME]

Reads
    <work>/<experiment>/test.parquet    the forecasts of 3_infer
    <work>/<experiment>/oof.run.json    the strategy and threshold tuned by 2_train_folds
Writes
    <work>/<experiment>/submission.csv  sample_id,buy_quantity,sell_time in the order of the test samples

The file is written only if it breaks no official rule.
"""

from common.run import Stage, lazy
from competitions.bit_trader.competition import COMPETITION

if __name__ == "__main__":
    Stage(COMPETITION, "make_submission", __doc__).run(
        lazy("competitions.bit_trader.pipeline:make_submission")
    )
