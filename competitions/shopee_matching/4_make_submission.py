"""Test candidates -> the official submission, by the rule tuned out of fold.

    python competitions/shopee_matching/4_make_submission.py [--experiment NAME] [--work DIR]

Candidates above their threshold, which is adjusted to the size of the test gallery, are matches; or each
listing gets the list of highest expected F1. With min-2 a listing without a match gets its best candidate.
The file is written only if it breaks no official rule.

Reads
    <work>/<experiment>/test.parquet  candidates
    <work>/<experiment>/oof.run.json  thresholds
    <data>/test.csv  posting_ids and their order

Writes
    <work>/<experiment>/submission.csv  posting_id,matches
"""

from common.run import Stage, lazy
from competitions.shopee_matching.competition import COMPETITION

if __name__ == "__main__":
    Stage(COMPETITION, "make_submission", __doc__).run(
        lazy("competitions.shopee_matching.pipeline:make_submission")
    )
