"""Turn the test forecasts into orders by the rule decided out of fold, and write the submission.

    python competitions/bit_trader/4_make_submission.py [--experiment NAME]

Reads
    <work>/<experiment>/test.parquet    the forecasts of 3_infer
    <work>/<experiment>/oof.run.json    the strategy and its threshold, decided by 2_train_folds
Writes
    <work>/<experiment>/submission.csv  sample_id,buy_quantity,sell_time in the order of the test samples

Only a file that breaks no official rule is written.
"""

from common.run.stage import Job, Result, Stage
from competitions.bit_trader.competition import COMPETITION


def make_submission(job: Job) -> Result:
    """Orders of all test samples, checked against every official rule."""
    from competitions.bit_trader.decision.out_of_fold import decided_strategy
    from competitions.bit_trader.models.forecasts import read_forecasts
    from competitions.bit_trader.rules.submission import submission_faults, write_submission

    forecasts = read_forecasts(job.paths.test(job.settings.name, ".parquet"))
    orders = decided_strategy(job.upstream["oof"].decision).orders(forecasts)
    draft = job.resume_dir / "submission.csv"
    write_submission(draft, forecasts.sample_id, orders)
    faults = submission_faults(draft, job.data)
    if faults:
        raise AssertionError(f"the submission breaks the official rules: {'; '.join(faults)}")
    target = job.paths.submission(job.settings.name, ".csv")
    draft.replace(target)
    return Result([target], metrics={"rows": len(orders), "trades": float((orders.buy_quantity > 0).sum())})


if __name__ == "__main__":
    Stage(COMPETITION, "make_submission", __doc__).run(make_submission)
