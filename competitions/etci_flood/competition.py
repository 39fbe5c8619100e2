"""The competition as the shared parts see it: names, rules, sample data, figures."""

from pathlib import Path

from common.run.competition import Competition, lazy
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
    input_files=("*.png", "*.PNG", "*.csv"),
    write_sample_data=lazy("competitions.etci_flood.sample.sample_data:write_sample_data"),
    validate=lazy("competitions.etci_flood.rules.submission:submission_faults"),
    score=lazy("competitions.etci_flood.rules.submission:score_submission"),
    baselines=lazy("competitions.etci_flood.rules.baselines:baseline_scores"),
    model_free=("all flood", "water mask", "VV below", "linear"),
    figures=lazy("competitions.etci_flood.report.figures:draw_figures"),
)
