"""Test candidates -> the official submission, by the rule that was tuned out of fold.

    python competitions/shopee_matching/4_make_submission.py [--experiment NAME] [--work DIR]

Candidates whose score reaches their branch's threshold, moved to the size of the test pool, are matches; or
each row takes the list of highest expected F1. Where it helped out of fold, a listing without any match takes
its strongest candidate. The file appears only when it breaks no official rule.

Reads
    <work>/<experiment>/test.parquet  candidates
    <work>/<experiment>/oof.run.json  thresholds
    <data>/test.csv  posting_ids and their order

Writes
    <work>/<experiment>/submission.csv  posting_id,matches
"""

from common.run.stage import Job, Result, Stage
from competitions.shopee_matching.competition import COMPETITION


def make_submission(job: Job) -> Result:
    """Select the matches, write them, validate, and only then move the file to its place."""
    import shutil

    from common.base.atomic import atomic_write
    from common.base.errors import InputError
    from competitions.shopee_matching.candidates.pairs import read_pairs
    from competitions.shopee_matching.data.listings import load_listings
    from competitions.shopee_matching.decision.match_rule import MatchRule, select_matches
    from competitions.shopee_matching.rules.submission import submission_faults, write_submission

    rule = MatchRule.model_validate(job.upstream["oof"].decision)
    listings = load_listings(job.processed / "test.parquet")
    pairs = read_pairs(job.paths.test(job.settings.name, ".parquet"))
    query, match = select_matches(pairs, rule, len(listings))
    draft = job.resume_dir / "submission.csv"
    write_submission(draft, listings.posting_id, query, match)
    faults = submission_faults(draft, job.data)
    if faults:
        raise InputError(f"the submission would break the official format: {'; '.join(faults)}")
    out = job.paths.submission(job.settings.name, ".csv")
    with atomic_write(out) as partial:
        shutil.copyfile(draft, partial)
    names_a_row = 1 + len(query) / len(listings)
    metrics = {
        "listings": float(len(listings)),
        "names_a_row": names_a_row,
        "tuned_on_pool": float(rule.pool),
    }
    return Result([out], metrics)


if __name__ == "__main__":
    Stage(COMPETITION, "make_submission", __doc__).run(make_submission)
