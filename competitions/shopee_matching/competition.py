"""What the shared parts need to know of the Shopee competition."""

from pathlib import Path

from common.run.competition import Competition, lazy
from competitions.shopee_matching.experiment import ShopeeExperiment

COMPETITION = Competition(
    slug="shopee_matching",
    title="Shopee price match guarantee",
    folder=Path(__file__).parent,
    experiment_model=ShopeeExperiment,
    metric="mean F1",
    higher_is_better=True,
    submission_suffix=".csv",
    truth_name="truth/test.csv",
    expected_data="train.csv, test.csv, train_images/, test_images/",
    input_files=("*.csv", "train_images/*", "test_images/*"),
    write_sample_data=lazy("competitions.shopee_matching.sample.sample_data:write_sample_data"),
    validate=lazy("competitions.shopee_matching.rules.submission:submission_faults"),
    score=lazy("competitions.shopee_matching.rules.submission:score_submission"),
    baselines=lazy("competitions.shopee_matching.rules.baselines:baseline_scores"),
    model_free=("only oneself",),
    figures=lazy("competitions.shopee_matching.report.figures:draw_figures"),
)
