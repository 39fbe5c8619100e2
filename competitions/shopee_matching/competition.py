"""What the shared parts need to know of the Shopee competition."""

from pathlib import Path

from common.competition import Competition, imported_when_called
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
    write_sample_data=imported_when_called("competitions.shopee_matching.sample_data", "write_sample_data"),
    validate=imported_when_called("competitions.shopee_matching.submission", "submission_faults"),
    score=imported_when_called("competitions.shopee_matching.submission", "score_submission"),
    baselines=imported_when_called("competitions.shopee_matching.baselines", "naive_scores"),
    naive=("only oneself",),
    figures=imported_when_called("competitions.shopee_matching.report_figures", "draw_figures"),
)
