"""The competition as the shared parts see it; cheap to import."""

from pathlib import Path

from common.run.competition import Competition, lazy
from competitions.bit_trader.experiment import BitTraderExperiment

COMPETITION = Competition(
    slug="bit_trader",
    title="DACON AI Bit Trader, season 3",
    folder=Path(__file__).resolve().parent,
    experiment_model=BitTraderExperiment,
    metric="final equity from 10,000",
    higher_is_better=True,
    submission_suffix=".csv",
    truth_name="truth/test_y_df.csv",
    expected_data="train_x_df, train_y_df, test_x_df as .csv or .parquet, sample_submission.csv",
    input_files=("*.csv", "*.parquet"),
    write_sample_data=lazy("competitions.bit_trader.sample.sample_data:write_sample_data"),
    validate=lazy("competitions.bit_trader.rules.submission:submission_faults"),
    score=lazy("competitions.bit_trader.decision.backtest:score_submission"),
    baselines=lazy("competitions.bit_trader.rules.baselines:baseline_equities"),
    model_free=("never buying",),
    figures=lazy("competitions.bit_trader.report.figures:draw_figures"),
)
