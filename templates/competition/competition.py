"""The competition as the shared parts see it; cheap to import.

Replace: every line. `lazy` names a function without importing it.
"""

from pathlib import Path

from common.run.competition import Competition, lazy
from competitions.my_competition.experiment import MyExperiment

COMPETITION = Competition(
    slug="my_competition",
    title="My competition: which machines fail",
    folder=Path(__file__).resolve().parent,
    experiment_model=MyExperiment,
    metric="F1",
    higher_is_better=True,
    submission_suffix=".csv",
    truth_name="truth/test.csv",
    expected_data="train.csv, test.csv, sample_submission.csv",
    input_files=("train.csv", "test.csv", "sample_submission.csv"),
    write_sample_data=lazy("competitions.my_competition.sample.sample_data:write_sample_data"),
    validate=lazy("competitions.my_competition.rules.submission:submission_faults"),
    score=lazy("competitions.my_competition.rules.submission:score_submission"),
    baselines=lazy("competitions.my_competition.rules.baselines:baseline_scores"),
    model_free=("all fail", "one reading"),
    figures=lazy("competitions.my_competition.report.figures:draw_figures"),
)
