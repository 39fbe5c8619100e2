"""Flood detection as the shared parts see it."""

from pathlib import Path

from common.competition import Competition, Figure, Finished, Score
from competitions.etci_flood.experiment import FloodExperiment


def _write_sample_data(folder: Path, seed: int, scale: float) -> None:
    from competitions.etci_flood.sample_data import write_sample_data

    write_sample_data(folder, seed, scale)


def _validate(submission: Path, data: Path) -> list[str]:
    from competitions.etci_flood.submission_archive import submission_faults

    return submission_faults(submission, data)


def _score(submission: Path, truth: Path) -> Score:
    from competitions.etci_flood.submission_archive import score_submission

    return score_submission(submission, truth)


def _baselines(data: Path, truth: Path) -> dict[str, float]:
    from competitions.etci_flood.naive_floods import naive_scores

    return naive_scores(data, truth)


def _figures(finished: Finished, out: Path) -> list[Figure]:
    from competitions.etci_flood.flood_figures import draw_figures

    return draw_figures(finished, out)


COMPETITION = Competition(
    slug="etci_flood",
    title="ETCI 2021 flood detection",
    folder=Path(__file__).resolve().parent,
    experiment_model=FloodExperiment,
    metric="flood IoU",
    higher_is_better=True,
    submission_suffix=".zip",
    truth_name="truth/flood_label.npy",
    expected_data="train/<scene>/tiles/{vv,vh,flood_label,water_body_label}/, test/, test_internal/",
    write_sample_data=_write_sample_data,
    validate=_validate,
    score=_score,
    baselines=_baselines,
    naive=("all flood", "water mask", "VV below"),
    figures=_figures,
)
