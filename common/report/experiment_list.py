"""What there is to run: every experiment with its row of the paper, its settings, its needs and its runs."""

import json
from collections.abc import Iterable
from typing import Any

from common.report.results_table import ResultRow, figure, read_results, results_file
from common.run.competition import Competition
from common.run.experiments import Experiment


def describe_experiments(competition: Competition[Any], names: Iterable[str]) -> list[dict[str, Any]]:
    """One dictionary per experiment, ready for JSON.

    `minutes` is of the run with the full profile that is kept in results/, None where there is none.
    """
    rows = read_results(results_file(competition))
    return [_described(competition, name, [row for row in rows if row.experiment == name]) for name in names]


def _described(competition: Competition[Any], name: str, rows: list[ResultRow]) -> dict[str, Any]:
    settings: Experiment = competition.experiment(name, "full")
    full = [row for row in rows if row.profile == "full"]
    return {
        "name": name,
        "paper": settings.paper,
        "reported": settings.reported,
        "metric": settings.reported_metric or competition.metric,
        "idea": settings.about,
        "needs": {
            "weights": competition.weights_needed(settings),
            "gpu": settings.needs_gpu,
            "minutes": round(max(row.seconds for row in full) / 60, 1) if full else None,
        },
        "was_run": bool(rows),
        "runs": [row.model_dump() for row in rows],
        "not_in_paper": settings.not_in_paper,
        "settings": settings.model_dump(exclude={"name", *settings.DESCRIPTIVE, "processed_suffix"}),
    }


def as_json(described: list[dict[str, Any]]) -> str:
    """The descriptions as JSON."""
    return json.dumps(described, indent=1, ensure_ascii=False)


def as_text(described: list[dict[str, Any]]) -> str:
    """The descriptions as one block per experiment; settings are in the JSON."""
    lines = []
    for one in described:
        head = [one["name"]]
        if one["paper"]:
            reported = "not printed" if one["reported"] is None else f"{one['reported']:g}"
            head.append(f"[{one['paper']}, reported {one['metric']} {reported}]")
        lines.append("  ".join(head))
        if one["idea"]:
            lines.append(f"    {one['idea']}")
        lines += [f"    needs {need}" for need in _needs(one["needs"])]
        lines += [f"    {_run(row)}" for row in one["runs"]] or ["    not run"]
    return "\n".join(lines)


def _needs(needs: dict[str, Any]) -> list[str]:
    texts = [f"weights {name} (--weights)" for name in needs["weights"]]
    if needs["gpu"]:
        texts.append("a GPU for the full profile")
    if needs["minutes"] is not None:
        texts.append(f"{needs['minutes']:g} minutes (full profile, on the hardware of its run)")
    return texts


def _run(row: dict[str, Any]) -> str:
    scores = [f"OOF {figure(row['oof'])}" if row["oof"] is not None else ""]
    scores.append(f"test {figure(row['test'])}" if row["test"] is not None else "")
    return f"run on {row['data']} ({row['profile']}): {', '.join(filter(None, scores))}"
