"""Face counting as the shared parts see it."""

from pathlib import Path

from common.competition import Competition, Figure, Finished, Score
from competitions.face_counting.experiment import FaceCountingExperiment


def _write_sample_data(folder: Path, seed: int, scale: float) -> None:
    from competitions.face_counting.sample_data import write_sample_data

    write_sample_data(folder, seed, scale)


def _validate(submission: Path, data: Path) -> list[str]:
    from competitions.face_counting.submission import submission_faults

    return submission_faults(submission, data)


def _score(submission: Path, truth: Path) -> Score:
    from competitions.face_counting.submission import score_submission

    return score_submission(submission, truth)


def _baselines(data: Path, truth: Path) -> dict[str, float]:
    from competitions.face_counting.baselines import naive_scores

    return naive_scores(data, truth)


def _figures(finished: Finished, out: Path) -> list[Figure]:
    from competitions.face_counting.figures import draw_figures

    return draw_figures(finished, out)


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
    write_sample_data=_write_sample_data,
    validate=_validate,
    score=_score,
    baselines=_baselines,
    naive=("mean count",),
    figures=_figures,
)
