"""Flood detection as the shared parts see it."""

from pathlib import Path

from common.competition import Competition, imported_when_called
from competitions.etci_flood.experiment import FloodExperiment

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
    write_sample_data=imported_when_called("competitions.etci_flood.sample_data", "write_sample_data"),
    validate=imported_when_called("competitions.etci_flood.submission_archive", "submission_faults"),
    score=imported_when_called("competitions.etci_flood.submission_archive", "score_submission"),
    baselines=imported_when_called("competitions.etci_flood.naive_floods", "naive_scores"),
    naive=("all flood", "water mask", "VV below", "linear"),
    figures=imported_when_called("competitions.etci_flood.flood_figures", "draw_figures"),
)
