"""The generated results tables."""

from pathlib import Path

import pytest

from common.base.errors import InputError
from common.base.paths import ROOT
from common.report.results_table import (
    ResultRow,
    fill_markers,
    keep_results,
    overview_table,
    paper_table,
    read_results,
    results_file,
)
from competitions.discovery import SLUGS, competition_of
from tests import toy_competition as toy

ROW = ResultRow(
    experiment="double",
    data="sample data",
    profile="sample",
    oof=0.5,
    oof_low=0.4,
    oof_high=0.6,
    test=None,
    baseline="",
    baseline_score=None,
    seconds=90.0,
    peak_memory_mb=512.0,
    hardware="2 x CPU",
    git_commit="abc",
    date="2026-01-02",
)


def test_rows_survive_the_file_and_newer_ones_replace(tmp_path: Path) -> None:
    file = tmp_path / "results" / "toy.csv"
    assert keep_results(file, [ROW]) == [ROW]
    assert read_results(file) == [ROW]
    better = ROW.model_copy(update={"oof": 0.7, "test": 0.8, "baseline": "mean", "baseline_score": 0.1})
    other = ROW.model_copy(update={"data": "real"})
    assert keep_results(file, [better, other]) == [better, other]
    assert read_results(file) == [better, other]


def test_what_was_not_run_is_shown_as_not_run(tmp_path: Path) -> None:
    (tmp_path / "experiments.toml").write_text(
        '[experiments.champion]\n[experiments.double]\npaper = "Table 1, row 2"\nreported = 0.5370\n'
    )
    table = paper_table(toy.competition(tmp_path), [ROW])
    run, folded = table.split("<details>")
    assert (
        "| Table 1, row 2 | 0.537 | sample data (sample) | 0.5000 (0.4000 to 0.6000) | test labels hidden"
        in run
    )
    assert "| abc | 2 x CPU |" in run, "a figure and the commit and processor that it came from"
    assert "champion" not in run
    assert "Not run: 1 of the experiments" in folded
    assert "| `champion` |  |  |  | time only |" in folded


def test_what_needs_no_model_is_named_once_for_each_data_set(tmp_path: Path) -> None:
    (tmp_path / "experiments.toml").write_text("[experiments.champion]\n[experiments.double]\n")
    rows = [
        ROW.model_copy(update={"experiment": name, "oof_baselines": "mean 1.0000; zero 2.0000"})
        for name in ("champion", "double")
    ]
    file = tmp_path / "toy.csv"
    assert keep_results(file, rows) == read_results(file) == rows
    table = paper_table(toy.competition(tmp_path), rows)
    line = "Baselines on the labelled part of sample data: mean 1.0000; zero 2.0000."
    assert table.count("Baselines on") == table.count(line) == 1
    first = rows[0].model_copy(update={"experiment": "double", "oof_baselines": "mean 7.0000"})
    assert line in paper_table(toy.competition(tmp_path), [first, rows[0]]), (
        "the champion's, whatever the order"
    )
    older = "\n".join(row.rsplit(",", 1)[0] for row in file.read_text().splitlines())
    file.write_text(older)
    assert [row.oof_baselines for row in read_results(file)] == ["", ""]


def test_only_what_stands_between_the_markers_is_replaced(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- results -->\nold\n<!-- /results -->\nafter\n")
    for _ in range(2):
        fill_markers(readme, "| new |")
    assert readme.read_text() == "before\n<!-- results -->\n\n| new |\n\n<!-- /results -->\nafter\n"
    readme.write_text("no markers")
    with pytest.raises(InputError, match="are missing"):
        fill_markers(readme, "| new |")


def test_the_readmes_show_what_results_holds() -> None:
    """`python -m competitions tables` would change nothing."""
    rows = [(competition_of(slug), read_results(results_file(competition_of(slug)))) for slug in SLUGS]
    for competition, results in rows:
        assert paper_table(competition, results) in (competition.folder / "README.md").read_text(), (
            competition.slug
        )
    assert overview_table(rows) in (ROOT / "README.md").read_text()
