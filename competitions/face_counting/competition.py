"""Face counting as the shared parts see it."""

from pathlib import Path

from common.run.competition import Competition, lazy
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
    input_files=("*.csv", "image_data/*", "dataset/*", "images/*"),
    write_sample_data=lazy("competitions.face_counting.sample.sample_data:write_sample_data"),
    validate=lazy("competitions.face_counting.rules.submission:submission_faults"),
    score=lazy("competitions.face_counting.rules.submission:score_submission"),
    baselines=lazy("competitions.face_counting.rules.baselines:baseline_scores"),
    model_free=("mean count",),
    figures=lazy("competitions.face_counting.report.figures:draw_figures"),
)
