"""Count the faces by the rule tuned out of fold, put the folds together, and write the submission.

    python competitions/face_counting/4_make_submission.py [--experiment NAME]

A test picture that could not be read gets the mean count of the labelled pictures, and is reported.

Reads
    <work>/processed/, <work>/<experiment>/oof.run.json, <work>/<experiment>/test.parquet

Writes
    <work>/<experiment>/submission.csv  Name,HeadCount in the order of test.csv
"""

from typing import cast

from common.run.stage import Job, Result, Stage
from competitions.face_counting.competition import COMPETITION
from competitions.face_counting.experiment import FaceCountingExperiment


def make_submission(job: Job) -> Result:
    """One count a test picture."""
    import numpy as np
    import pandas as pd

    from common.base.errors import InputError
    from competitions.face_counting.data.stored_pictures import load_pictures
    from competitions.face_counting.decision import counting
    from competitions.face_counting.detection.wbf import found_faces
    from competitions.face_counting.rules.submission import submission_faults, write_submission

    settings = cast(FaceCountingExperiment, job.settings)
    decision = job.upstream["oof"].decision
    rule = counting.rule_of(decision)
    boxes = pd.read_parquet(job.paths.test(job.settings.name, ".parquet"))
    stored = load_pictures(job.processed, "test")
    folds = [
        found_faces(boxes[boxes["fold"] == fold], stored.names, decision["looks"])
        for fold in range(settings.folds)
    ]
    counts = counting.count_by_folds(rule, folds, settings.counting)
    counts[~stored.readable] = decision["mean_count"]
    for name in np.asarray(stored.names)[~stored.readable]:
        job.warn(f"{name} could not be read: it gets the mean count {decision['mean_count']:.2f}")

    draft = job.resume_dir / "submission.csv"
    write_submission(draft, stored.names, counts)
    faults = submission_faults(draft, job.data)
    if faults:
        raise InputError(f"the submission would not be valid: {'; '.join(faults)}; run 1_preprocess.py again")
    path = job.paths.submission(job.settings.name, ".csv")
    draft.replace(path)
    return Result([path], metrics={"pictures": len(counts), "mean_count": float(counts.mean())})


if __name__ == "__main__":
    Stage(COMPETITION, "make_submission", __doc__).run(make_submission)
