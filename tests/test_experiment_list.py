"""`python -m competitions experiments`: what there is to run, and what was run."""

import json
from typing import Any

import pytest

from common.report.results_table import read_results, results_file
from competitions.discovery import SLUGS, competition_of
from tests.conftest import run_python

TABLE_1_OF_FACES = """
0.88 0.84 0.94 0.87  0.82 0.82 0.79 0.91  0.83 0.78 0.81 0.90
0.89 0.80 0.86 0.93  0.92 0.89 0.92 0.82  0.83 0.96 0.89 0.7677
0.93 0.82 0.85 0.80  0.84 0.85 0.85 0.88  0.85 0.93 0.86 0.87
"""
"""A line a preprocessing, four sizes for each of the batches 2, 4 and 8."""
PRINTED: dict[str, list[tuple[str, float | None]]] = {
    "etci_flood": [
        (f"Table 2, row {row}", score)
        for row, score in enumerate(
            (0.3, 0.3719, 0.537, 0.072, 0.083, 0.024, 0.0408755773, 0.2659540006, 0.066, 0.01, None), start=1
        )
    ],
    "face_counting": [
        *((f"Table 1, row {row}", float(s)) for row, s in enumerate(TABLE_1_OF_FACES.split(), start=1)),
        ("Figure 4", 2.4211),
        ("text", None),
    ],
    "bit_trader": [
        (f"Table 3, row {row}", score)
        for row, score in enumerate(
            (
                9630.1477,
                13533.8037,
                11911.3113,
                6176.9907,
                4201.1918,
                6565.8799,
                6176.9907,
                16320.6726,
                10062.6977,
            ),
            start=1,
        )
    ],
    "shopee_matching": [
        ("Table 2, row 1", 0.466),
        *(
            (f"Table 2, row {row}, {data} data", score)
            for row, scores in (
                (2, (0.659, 0.553)),
                (3, (0.735, 0.608)),
                (4, (0.712, 0.621)),
                (5, (0.876, 0.577)),
            )
            for data, score in zip(("original", "augmented"), scores, strict=True)
        ),
    ],
}
"""Rows of the journal's tables with their scores; `text` and `Figure 4` are runs outside its tables."""


def listed(slug: str) -> list[dict[str, Any]]:
    done = run_python("-m", "competitions", "experiments", slug, "--json")
    assert done.code == 0, done.text
    found: list[dict[str, Any]] = json.loads(done.text)
    return found


@pytest.mark.parametrize("slug", SLUGS)
def test_each_experiment_is_described(slug: str) -> None:
    rows = read_results(results_file(competition_of(slug)))
    found = listed(slug)
    assert found[0]["metric"] == competition_of(slug).metric
    for one in found:
        runs = [row for row in rows if row.experiment == one["name"]]
        assert one["idea"]
        assert (one["was_run"], len(one["runs"])) == (bool(runs), len(runs))
        assert isinstance(one["settings"]["folds"], int)
        assert set(one["needs"]) == {"weights", "gpu", "minutes"}
        if one["reported"] is not None:
            assert one["paper"]
    assert {row.experiment for row in rows} <= {one["name"] for one in found}, "a kept run without its entry"


@pytest.mark.parametrize("slug", PRINTED)
def test_every_row_of_the_paper_is_an_experiment_with_its_score(slug: str) -> None:
    found = {(one["paper"], one["reported"]) for one in listed(slug) if one["paper"]}
    missing = set(PRINTED[slug]) - found
    assert not missing


def test_all_67_printed_rows_are_there() -> None:
    assert sum(len(rows) for rows in PRINTED.values()) == 67


def test_the_text_names_needs_and_runs() -> None:
    done = run_python("-m", "competitions", "experiments", "etci_flood")
    assert done.code == 0
    assert "champion\n" in done.text
    assert "reported flood IoU" in done.text
    assert "run on " in done.text
    assert "needs weights" in done.text


@pytest.mark.parametrize("which", ["champion", "paper"])
def test_names_alone_are_printed_for_scripts(which: str) -> None:
    done = run_python("-m", "competitions", "experiments", "bit_trader", "--which", which)
    assert done.code == 0
    assert all(line.replace("_", "").isalnum() for line in done.text.split("\n") if line)
