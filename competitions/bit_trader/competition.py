"""The competition as the shared parts see it; cheap to import."""

from pathlib import Path

from common.competition import Competition, Figure, Finished, Score
from competitions.bit_trader.experiment import BitTraderExperiment


def _write_sample_data(folder: Path, seed: int, scale: float) -> None:
    from competitions.bit_trader.sample_data import write_sample_data

    write_sample_data(folder, seed, scale)


def _validate(submission: Path, data: Path) -> list[str]:
    from competitions.bit_trader.trade_orders import submission_faults

    return submission_faults(submission, data)


def _score(submission: Path, truth: Path) -> Score:
    from competitions.bit_trader.equity import score_submission

    return score_submission(submission, truth)


def _baselines(data: Path, truth: Path) -> dict[str, float]:
    from competitions.bit_trader.naive_traders import naive_equities

    return naive_equities(data, truth)


def _figures(finished: Finished, out: Path) -> list[Figure]:
    from competitions.bit_trader.equity_figures import draw_figures

    return draw_figures(finished, out)


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
    write_sample_data=_write_sample_data,
    validate=_validate,
    score=_score,
    baselines=_baselines,
    naive=("never buying",),
    figures=_figures,
)
