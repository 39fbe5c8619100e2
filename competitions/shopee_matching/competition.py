"""What the shared parts need to know of the Shopee competition."""

from pathlib import Path

from common.competition import Competition, Figure, Finished, Score
from competitions.shopee_matching.experiment import ShopeeExperiment


def _write_sample_data(folder: Path, seed: int, scale: float) -> None:
    from competitions.shopee_matching.sample_data import write_sample_data

    write_sample_data(folder, seed, scale)


def _validate(submission: Path, data: Path) -> list[str]:
    from competitions.shopee_matching.submission import submission_faults

    return submission_faults(submission, data)


def _score(submission: Path, truth: Path) -> Score:
    from competitions.shopee_matching.submission import score_submission

    return score_submission(submission, truth)


def _baselines(data: Path, truth: Path) -> dict[str, float]:
    from competitions.shopee_matching.baselines import naive_scores

    return naive_scores(data, truth)


def _figures(finished: Finished, out: Path) -> list[Figure]:
    from competitions.shopee_matching.report_figures import draw_figures

    return draw_figures(finished, out)


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
    write_sample_data=_write_sample_data,
    validate=_validate,
    score=_score,
    baselines=_baselines,
    naive=("only oneself",),
    figures=_figures,
)
