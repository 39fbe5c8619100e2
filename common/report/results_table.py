"""The results tables: one row per run kept in results/<slug>.csv, shown in the READMEs between markers."""

import csv
import io
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from common.base.atomic import write_text
from common.base.errors import InputError
from common.base.paths import ROOT, display_path
from common.report.evaluation import Evaluation, best_baseline, stage_record
from common.report.markdown import folded, markdown_table
from common.run.competition import Competition, Finished
from common.run.experiments import read_experiments

MARKERS = ("<!-- results -->", "<!-- /results -->")
NOT_RUN = "not run"
HIDDEN = "test labels hidden"
COLUMNS = ("run on (profile)", "OOF score (90 % CI)", "test", "best baseline (test)", "minutes", "peak GB")
BASELINE = "baseline: "


class ResultRow(BaseModel):
    """One run of one experiment on one data set."""

    experiment: str
    data: str
    """What it was run on, in words."""
    profile: str
    oof: float | None
    oof_low: float | None
    oof_high: float | None
    """90 % bootstrap interval of the out-of-fold figure."""
    test: float | None
    baseline: str
    """Best baseline that needs no model, on the same test split."""
    baseline_score: float | None
    seconds: float
    """All stages together, those of the parents included."""
    peak_memory_mb: float
    hardware: str
    git_commit: str
    date: str
    oof_baselines: str = ""
    """Baselines on the labelled samples, in words: the run's metrics `baseline: <name>`."""


def result_of(
    competition: Competition, finished: Finished, evaluation: Evaluation, data_name: str | None
) -> ResultRow:
    """Summarise one finished experiment."""
    pooled = stage_record(finished, "out_of_fold")
    metrics = dict(pooled.metrics) if pooled else {}
    headline = next(iter(metrics), "")
    last = finished.records[-1]
    best = best_baseline(competition, evaluation.baselines)
    return ResultRow(
        experiment=finished.experiment,
        data=data_name or ("sample data" if last.sample_data else finished.data.name),
        profile=last.profile,
        oof=metrics.get(headline),
        oof_low=metrics.get(f"{headline}_low"),
        oof_high=metrics.get(f"{headline}_high"),
        test=evaluation.score,
        baseline=best[0] if best else "",
        baseline_score=best[1] if best else None,
        seconds=round(finished.seconds, 1),
        peak_memory_mb=finished.peak_memory_mb,
        hardware=next((r.hardware for r in finished.records if r.stage == "train_folds"), last.hardware),
        git_commit=last.git_commit or "",
        date=last.finished[:10],
        oof_baselines="; ".join(
            f"{name.removeprefix(BASELINE)} {figure(value)}"
            for name, value in metrics.items()
            if name.startswith(BASELINE)
        ),
    )


def results_file(competition: Competition) -> Path:
    """results/<slug>.csv in the project's root."""
    return ROOT / "results" / f"{competition.slug}.csv"


def read_results(file: Path) -> list[ResultRow]:
    """Rows of a results file, none when it does not exist."""
    if not file.is_file():
        return []
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    return [
        ResultRow.model_validate({key: value or None for key, value in row.items()} | _texts(row))
        for row in rows
    ]


def _texts(row: dict[str, str]) -> dict[str, str]:
    return {key: row.get(key) or "" for key in ("baseline", "git_commit", "oof_baselines")}


def keep_results(file: Path, new: list[ResultRow]) -> list[ResultRow]:
    """Add rows to a results file; a row replaces the older one of the same experiment, data and profile."""
    rows = {(row.experiment, row.data, row.profile): row for row in [*read_results(file), *new]}
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(ResultRow.model_fields), lineterminator="\n")
    writer.writeheader()
    for row in rows.values():
        writer.writerow(row.model_dump())
    write_text(file, text.getvalue())
    return list(rows.values())


def paper_table(competition: Competition[Any], results: list[ResultRow]) -> str:
    """Markdown: every run with the paper's figure and ours; the others are folded."""
    header = ["experiment", "paper", f"reported {competition.metric}", *COLUMNS, "commit", "processor"]
    run, not_run = [], []
    for name, entry in read_experiments(competition.experiments_file).items():
        if "ablation" in entry:
            continue  # the ablation table shows it
        head = [f"`{name}`", str(entry.get("paper", "")), reported_score(entry)]
        rows = [row for row in results if row.experiment == name]
        run += [[*head, *_cells(row), row.git_commit, row.hardware] for row in rows]
        if not rows:
            not_run.append([*head, str(entry.get("about", "")), _needs(competition, name)])
    parts = [markdown_table(header, run) if run else "No run is recorded yet."]
    baselines: dict[tuple[str, str], str] = {}
    # The champion's run comes first: it covers all folds, where a row of the paper may hold out one alone.
    for row in sorted(results, key=lambda row: row.experiment != "champion"):
        if row.oof_baselines:
            baselines.setdefault((row.data, row.profile), row.oof_baselines)
    parts += [f"Baselines on the labelled part of {data}: {text}." for (data, _), text in baselines.items()]
    if results:
        parts.append(_provenance(results))
    if not_run:
        table = markdown_table(
            ["experiment", "paper", f"reported {competition.metric}", "idea", "needs"], not_run
        )
        parts.append(folded(f"Not run: {len(not_run)} of the experiments", table))
    return "\n\n".join(parts)


def reported_score(entry: dict[str, Any]) -> str:
    """The score that the paper prints for an entry, with its metric where that is not the official one."""
    if "reported" not in entry:
        return "not printed" if "paper" in entry else ""
    other = f" ({entry['reported_metric']})" if "reported_metric" in entry else ""
    return f"{entry['reported']:g}{other}"


def _needs(competition: Competition[Any], name: str) -> str:
    settings = competition.experiment(name, "full")
    needs = [f"weights `{weights}`" for weights in competition.weights_needed(settings)]
    needs += ["a GPU"] if settings.needs_gpu else []
    return ", ".join(needs) or "time only"


def overview_table(rows: list[tuple[Competition[Any], list[ResultRow]]]) -> str:
    """Markdown: the champion of each competition on each data set that it was run on."""
    lines, champions = [], []
    for competition, results in rows:
        arrow = "higher" if competition.higher_is_better else "lower"
        link = f"[{competition.slug}](competitions/{competition.slug})"
        head = [link, f"{competition.metric} ({arrow} is better)"]
        found = [row for row in results if row.experiment == "champion"]
        champions += found
        lines += [[*head, *_cells(row), row.git_commit, row.hardware] for row in found]
        if not found:
            lines.append([*head, NOT_RUN, *[""] * (len(COLUMNS) + 1)])
    header = ["competition", "metric", *COLUMNS, "commit", "processor"]
    return "\n\n".join([markdown_table(header, lines), _provenance(champions)])


def _cells(row: ResultRow) -> list[str]:
    interval = ""
    if row.oof_low is not None and row.oof_high is not None:
        interval = f" ({figure(row.oof_low)} to {figure(row.oof_high)})"
    baseline = f"{figure(row.baseline_score)} ({row.baseline})" if row.baseline_score is not None else ""
    return [
        f"{row.data} ({row.profile})",
        figure(row.oof) + interval,
        figure(row.test) or HIDDEN,
        baseline,
        f"{row.seconds / 60:.1f}",
        f"{row.peak_memory_mb / 1024:.1f}",
    ]


def figure(value: float | None) -> str:
    """A figure for people: four decimals, none for amounts of money."""
    if value is None:
        return ""
    return f"{value:,.2f}" if abs(value) >= 1000 else f"{value:.4f}"


def _provenance(results: list[ResultRow]) -> str:
    if not results:
        return "No run is recorded yet."
    dates = sorted({row.date for row in results})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return f"Made by `python -m competitions report --readme` from runs of {when}."


def fill_markers(file: Path, table: str, markers: tuple[str, str] = MARKERS) -> None:
    """Replace what stands between the markers of a README; InputError when it has none."""
    text = file.read_text(encoding="utf-8")
    pattern = re.compile(f"({re.escape(markers[0])}\n).*?({re.escape(markers[1])})", re.DOTALL)
    if not pattern.search(text):
        raise InputError(f"{display_path(file)}: the lines {markers[0]} and {markers[1]} are missing")
    write_text(file, pattern.sub(lambda found: f"{found[1]}\n{table}\n\n{found[2]}", text))
