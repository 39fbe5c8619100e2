"""Face counting as the shared parts see it."""

from pathlib import Path

from common.competition import Competition, imported_when_called
from competitions.face_counting.experiment import FaceCountingExperiment

COMPETITION = Competition(
    slug="face_counting",
    title="Face Counting Challenge",
    folder=Path(__file__).resolve().parent,
    experiment_model=FaceCountingExperiment,
    metric="RMSE",
    higher_is_better=False,
    submission_suffix=".csv",
    truth_name="truth/test.csv",
    expected_data="train.csv, bbox_train.csv, test.csv, image_data/",
    write_sample_data=imported_when_called("competitions.face_counting.sample_data", "write_sample_data"),
    validate=imported_when_called("competitions.face_counting.submission", "submission_faults"),
    score=imported_when_called("competitions.face_counting.submission", "score_submission"),
    baselines=imported_when_called("competitions.face_counting.baselines", "naive_scores"),
    naive=("mean count",),
    figures=imported_when_called("competitions.face_counting.figures", "draw_figures"),
)
