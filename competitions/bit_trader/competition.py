"""The competition as the shared parts see it; cheap to import."""

from pathlib import Path

from common.competition import Competition, imported_when_called
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
    write_sample_data=imported_when_called("competitions.bit_trader.sample_data", "write_sample_data"),
    validate=imported_when_called("competitions.bit_trader.trade_orders", "submission_faults"),
    score=imported_when_called("competitions.bit_trader.backtest", "score_submission"),
    baselines=imported_when_called("competitions.bit_trader.naive_traders", "naive_equities"),
    naive=("never buying",),
    figures=imported_when_called("competitions.bit_trader.equity_figures", "draw_figures"),
)
