import argparse
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pandas as pd
import pytest

from common.base.errors import InputError
from common.base.paths import WorkPaths
from common.run.job import Job
from common.run.run_record import RunRecord
from competitions.face_counting.competition import COMPETITION
from competitions.face_counting.detection.ensemble import ensemble_fold, ensemble_test, number_of_views
from competitions.face_counting.experiment import FaceCountingExperiment

FaceJob = Job[FaceCountingExperiment]


@pytest.fixture
def job(tmp_path: Path) -> FaceJob:
    """An experiment of two parents, of two views and of one, that found one box each."""
    paths = WorkPaths(tmp_path)
    for parent, view in (("retinaface_finetuned", 1), ("yolov5n_letterbox", 0)):
        folder = paths.fold(parent, 0)
        folder.mkdir(parents=True)
        pd.DataFrame({"Name": ["a", "b"], "head_count": [1, 2]}).to_parquet(folder / "held_out.parquet")
        boxes = pd.DataFrame({"Name": ["a"], "view": [view], "score": [0.5]})
        boxes.to_parquet(folder / "oof.parquet")
        boxes.assign(fold=0).to_parquet(paths.test(parent, ".parquet"))
    upstream = {
        "retinaface_finetuned/oof": SimpleNamespace(decision={"views": 2}),
        "yolov5n_letterbox/oof": SimpleNamespace(decision={"views": 1}),
    }
    settings = COMPETITION.experiment("retinaface_and_yolov5n", "full")
    return Job(
        competition=COMPETITION,
        settings=settings,
        profile="full",
        data=tmp_path,
        paths=paths,
        resume_dir=tmp_path,
        seed=1,
        device="cpu",
        stage_args=argparse.Namespace(),
        upstream=cast(dict[str, RunRecord], upstream),
        fold=0,
    )


def test_views_of_the_members_are_numbered_on(job: FaceJob) -> None:
    assert number_of_views(job) == 3
    held_out, boxes = ensemble_fold(job)
    assert held_out["Name"].tolist() == ["a", "b"]
    assert boxes["view"].tolist() == [1, 2]
    assert ensemble_test(job)["view"].tolist() == [1, 2]


def test_parents_with_other_folds_are_refused(job: FaceJob) -> None:
    other = pd.DataFrame({"Name": ["b", "a"], "head_count": [2, 1]})
    other.to_parquet(job.paths.fold("yolov5n_letterbox", 0) / "held_out.parquet")
    with pytest.raises(InputError, match="hold out different pictures in fold 0"):
        ensemble_fold(job)


def test_a_member_that_is_not_finished(job: FaceJob) -> None:
    job.paths.test("retinaface_finetuned", ".parquet").unlink()
    with pytest.raises(InputError, match=r"retinaface_finetuned/test\.parquet: missing"):
        ensemble_test(job)
