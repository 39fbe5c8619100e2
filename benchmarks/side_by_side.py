"""Two ways to do the same work, measured in one run: alternating, medians, hardware named.

A benchmark is a function that prepares the work in an empty folder and calls `compare` (or
`compare_processes`, when memory counts) for each pair. `benchmark_command` runs those that are asked for,
`python -m benchmarks.<name> PART ...`, and keeps what they measured in results/benchmarks.csv and in the
table of benchmarks/README.md.
"""

import argparse
import csv
import io
import multiprocessing
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from common.base.atomic import write_text
from common.base.console import log
from common.base.paths import ROOT
from common.report.results_table import fill_markers
from common.run.run_record import git_commit, hardware

RESULTS = ROOT / "results" / "benchmarks.csv"
README = ROOT / "benchmarks" / "README.md"
Work = Callable[[], object]
Measure = TypeVar("Measure")


class Comparison(BaseModel):
    """One row of the benchmarks' table."""

    competition: str
    task: str
    """The work with its size: `neighbours of 70,000 x 1,792, k = 51`."""
    ours: str
    peer: str
    target: str
    """What was aimed at, in words: `at least 3x faster`."""
    our_seconds: float
    our_fastest: float
    our_slowest: float
    peer_seconds: float
    peer_fastest: float
    peer_slowest: float
    our_memory_mb: float | None = None
    """Peak resident memory above what the process had before the work; median over runs."""
    peer_memory_mb: float | None = None
    runs: int
    note: str = ""
    """What a reader must know: extrapolated from a part, other precision, equal results within ..."""
    hardware: str
    git_commit: str
    date: str

    @property
    def speed_up(self) -> float:
        """How many times faster ours is."""
        return self.peer_seconds / self.our_seconds


def compare(
    competition: str,
    task: str,
    *,
    ours: tuple[str, Work],
    peer: tuple[str, Work],
    target: str,
    runs: int = 5,
    note: str = "",
    warm: bool = True,
) -> Comparison:
    """Time two functions in this process, in alternating order, after one untimed call of each.

    Parameters
    ----------
    ours, peer : name and work; both must do the same work, which the benchmark checks before it calls this.
    runs : timed calls of each side; medians are reported, with the fastest and slowest call them.
    warm : False leaves the untimed calls out, for work of minutes whose set-up hardly counts.
    """
    if warm:
        ours[1]()
        peer[1]()
    seconds = _alternating(ours[1], peer[1], runs, _seconds)
    return _comparison(competition, task, ours[0], peer[0], target, seconds, {}, note)


def compare_processes(
    competition: str,
    task: str,
    *,
    ours: tuple[str, Work],
    peer: tuple[str, Work],
    target: str,
    runs: int = 3,
    note: str = "",
) -> Comparison:
    """Time two functions, each call in a process of its own, and take the memory that the call adds.

    The functions must be picklable (module level, or partial of such). Imports that they do inside count.
    """
    measured = _alternating(ours[1], peer[1], runs, _in_a_process)
    seconds = {side: [took for took, _ in calls] for side, calls in measured.items()}
    memory = {side: [added for _, added in calls] for side, calls in measured.items()}
    return _comparison(competition, task, ours[0], peer[0], target, seconds, memory, note)


def _alternating(
    ours: Work, peer: Work, runs: int, measure: Callable[[Work], Measure]
) -> dict[str, list[Measure]]:
    """What `measure` says of each call; who is first changes from turn to turn."""
    measured: dict[str, list[Measure]] = {"ours": [], "peer": []}
    for turn in range(runs):
        for side in ("ours", "peer") if turn % 2 == 0 else ("peer", "ours"):
            measured[side].append(measure(ours if side == "ours" else peer))
    return measured


def _seconds(work: Work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _in_a_process(work: Work) -> tuple[float, float]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(work, there))
    process.start()
    there.close()
    try:
        measured: tuple[float, float] = here.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"the measured process ended with exit code {process.exitcode}") from None
    process.join()
    return measured


def _measure(work: Work, answer: Connection) -> None:
    before = _memory_mb("VmRSS")
    took = _seconds(work)
    answer.send((took, _memory_mb("VmHWM") - before))


def _memory_mb(field: str) -> float:
    """A figure of /proc/self/status in MB; getrusage would count the parent's memory before the exec, too."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)[0]) / 1024


def _comparison(
    competition: str,
    task: str,
    our_name: str,
    peer_name: str,
    target: str,
    seconds: dict[str, list[float]],
    memory: dict[str, list[float]],
    note: str,
) -> Comparison:
    def spread(side: str) -> tuple[float, float, float]:
        taken = seconds[side]
        return statistics.median(taken), min(taken), max(taken)

    our, peer = spread("ours"), spread("peer")
    result = Comparison(
        competition=competition,
        task=task,
        ours=our_name,
        peer=peer_name,
        target=target,
        our_seconds=our[0],
        our_fastest=our[1],
        our_slowest=our[2],
        peer_seconds=peer[0],
        peer_fastest=peer[1],
        peer_slowest=peer[2],
        our_memory_mb=statistics.median(memory["ours"]) if memory else None,
        peer_memory_mb=statistics.median(memory["peer"]) if memory else None,
        runs=len(seconds["ours"]),
        note=note,
        hardware=hardware(),
        git_commit=git_commit() or "",
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
    )
    log(
        f"{task}: {our_name} {our[0]:.4g} s, {peer_name} {peer[0]:.4g} s, {result.speed_up:.3g}x "
        f"(target: {target})"
    )
    if memory:
        log(f"  memory: {result.our_memory_mb:.0f} MB against {result.peer_memory_mb:.0f} MB")
    return result


def read_comparisons() -> list[Comparison]:
    """Rows of results/benchmarks.csv, none when it does not exist."""
    if not RESULTS.is_file():
        return []
    optional = ("our_memory_mb", "peer_memory_mb")
    with RESULTS.open(encoding="utf-8", newline="") as lines:
        rows: list[dict[str, Any]] = list(csv.DictReader(lines))
    return [
        Comparison.model_validate(
            {key: None if key in optional and not row[key] else row[key] for key in row}
        )
        for row in rows
    ]


def keep(new: list[Comparison]) -> None:
    """Add rows to results/benchmarks.csv in place of older ones of the same task; make the table again."""
    rows = {(row.competition, row.task, row.ours, row.peer): row for row in [*read_comparisons(), *new]}
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(Comparison.model_fields), lineterminator="\n")
    writer.writeheader()
    ordered = sorted(rows.values(), key=lambda row: row.competition)
    for row in ordered:
        writer.writerow(row.model_dump())
    write_text(RESULTS, text.getvalue())
    fill_markers(README, markdown_table(ordered))


def markdown_table(rows: list[Comparison]) -> str:
    """The comparisons as a table for people."""
    lines = [
        "| competition | task | ours | peer | ours, s | peer, s | faster by | memory, MB | target | runs "
        "| note |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        memory = ""
        if row.our_memory_mb is not None and row.peer_memory_mb is not None:
            memory = f"{row.our_memory_mb:,.0f} / {row.peer_memory_mb:,.0f}"
        ours = f"{row.our_seconds:.3g} ({row.our_fastest:.3g} to {row.our_slowest:.3g})"
        peer = f"{row.peer_seconds:.3g} ({row.peer_fastest:.3g} to {row.peer_slowest:.3g})"
        cells = [row.competition, row.task, row.ours, row.peer, ours, peer, f"{row.speed_up:.3g}x", memory]
        lines.append("| " + " | ".join([*cells, row.target, str(row.runs), row.note]) + " |")
    if not rows:
        return "No benchmark is recorded yet."
    machines = "; ".join(sorted({row.hardware for row in rows}))
    dates = sorted({row.date for row in rows})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return "\n".join([*lines, "", f"Medians (fastest to slowest call), measured {when} on {machines}."])


def benchmark_command(doc: str | None, parts: Mapping[str, Callable[[Path], list[Comparison]]]) -> None:
    """The command line of a benchmark: measure the parts that are asked for, all by default, and keep each.

    Parameters
    ----------
    parts : name -> function of an empty folder, which goes afterwards.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts))
    parser.add_argument("--temp-dir", type=Path, metavar="DIR", help="for temporary files (up to 10 GB)")
    flags = parser.parse_args()
    unknown = [part for part in flags.parts if part not in parts]
    if unknown:
        parser.error(f"unknown part {unknown[0]}; expected: {', '.join(parts)}")
    if flags.temp_dir:
        flags.temp_dir.mkdir(parents=True, exist_ok=True)
    for part in flags.parts or parts:
        with tempfile.TemporaryDirectory(dir=flags.temp_dir) as folder:
            keep(parts[part](Path(folder)))
