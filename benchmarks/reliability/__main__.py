"""Kills, races, damaged files, odd surroundings and fuzzed input over all four competitions.

    python -m benchmarks.reliability [PART ...] [--trials N] [--slug SLUG] [--temp-dir DIR]

Parts: kills (100 random moments), aimed (20 moments in which a certain file appears), races (50 times two at
once), damage (60 artefacts), surroundings (30), submissions (100,000 fuzzed), pictures (2,000). All of them
take some hours on two cores. Every run ends with the results of an undisturbed one, byte for byte, or with
one line and exit code 2. What was seen is kept in results/reliability.csv and in benchmarks/README.md.
"""

import argparse
import csv
import io
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel

from benchmarks.reliability import fuzz, runs
from common.base.atomic import write_text
from common.base.console import log
from common.base.paths import ROOT
from common.report.markdown import markdown_table
from common.report.results_table import fill_markers
from common.run.run_record import git_commit, hardware
from competitions.discovery import competition_of

RESULTS = ROOT / "results" / "reliability.csv"
README = ROOT / "benchmarks" / "README.md"
MARKERS = ("<!-- reliability -->", "<!-- /reliability -->")
MAX_FAULTS_SHOWN = 20


class Row(BaseModel):
    """What one part showed."""

    part: str
    competitions: str
    trials: int
    identical: int
    """Ended with the results of an undisturbed run; of fuzzed input: was read and judged."""
    refused: int
    """Ended with one line and exit code 2; of fuzzed input: with a list of faults."""
    wrong: int
    tracebacks: int
    hangs: int
    minutes: float
    hardware: str
    git_commit: str
    date: str


Trial = Callable[[int], tuple[runs.Verdict, str]]


def repeated(part: str, trials: int, trial: Trial) -> runs.Tally:
    """Do `trials` trials; faults are logged when they are seen."""
    tally = runs.Tally()
    for number in range(trials):
        verdict, what = trial(number)
        tally.add(verdict, what)
        if verdict not in ("identical", "refused"):
            log(f"{part} {number}: {tally.faults[-1]}")
        elif (number + 1) % 10 == 0:
            log(f"{part}: {number + 1} of {trials}, {tally.counts}")
    return tally


def run_part(
    part: str, references: Sequence[runs.Reference], folder: Path, trials: int, seed: int
) -> runs.Tally:
    """All trials of one part, taking the competitions in turn."""
    generator = random.Random(f"{part} {seed}")

    def of(number: int) -> runs.Reference:
        return references[number % len(references)]

    if part == "kills":
        return repeated(part, trials, lambda n: runs.random_kill(of(n), folder, generator))
    if part == "aimed":
        aims = [runs.AIMS[n // len(references) % len(runs.AIMS)] for n in range(trials)]
        return repeated(part, trials, lambda n: runs.aimed_kill(of(n), folder, aims[n]))
    if part == "races":
        return repeated(part, trials, lambda n: runs.race(of(n), folder, generator))
    if part == "damage":
        kinds = list(runs.DAMAGES)
        return repeated(part, trials, lambda n: runs.damage(of(n), folder, kinds[n % len(kinds)], generator))
    if part == "surroundings":
        places = runs.SURROUNDINGS
        return repeated(part, trials, lambda n: runs.surrounded(of(n), folder, places[n % len(places)]))
    if part == "pictures":
        return fuzz.fuzz_pictures(folder, trials, generator)
    total = runs.Tally()
    for reference in references:
        competition = competition_of(reference.target.slug)
        (submission,) = reference.work.glob(f"*/submission{competition.submission_suffix}")
        share = -(-trials // len(references))
        tally = fuzz.fuzz_submissions(competition, submission, reference.data, folder, share, generator)
        log(f"submissions: {reference.target.slug}, {tally.counts}")
        for verdict, count in tally.counts.items():
            total.counts[verdict] = total.counts.get(verdict, 0) + count
        total.faults += tally.faults
    return total


PARTS = {
    "kills": 100,
    "aimed": 20,
    "races": 50,
    "damage": 60,
    "surroundings": 30,
    "submissions": 100_000,
    "pictures": 2_000,
}
"""Part -> trials."""
WITHOUT_RUNS = ("pictures",)


def keep(new: Row) -> None:
    """Put a row into results/reliability.csv and the table of the README."""
    rows = {}
    if RESULTS.is_file():
        with RESULTS.open(encoding="utf-8", newline="") as lines:
            rows = {row["part"]: Row.model_validate(row) for row in csv.DictReader(lines)}
    rows[new.part] = new
    ordered = [rows[part] for part in PARTS if part in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(Row.model_fields), lineterminator="\n")
    writer.writeheader()
    for row in ordered:
        writer.writerow(row.model_dump())
    write_text(RESULTS, text.getvalue())
    header = [
        "part",
        "trials",
        "identical",
        "refused in one line",
        "wrong",
        "tracebacks",
        "hangs",
        "minutes",
        "commit",
    ]
    cells = [
        [row.part, f"{row.trials:,}", f"{row.identical:,}", f"{row.refused:,}", str(row.wrong),
         str(row.tracebacks), str(row.hangs), f"{row.minutes:.1f}", row.git_commit]
        for row in ordered
    ]  # fmt: skip
    machines = "; ".join(sorted({row.hardware for row in ordered}))
    fill_markers(README, f"{markdown_table(header, cells)}\n\nMeasured on {machines}.", MARKERS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts that are asked for; 1 when something was wrong, fell over or did not end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--trials", type=int, metavar="N", help="of each part, in place of the usual number")
    parser.add_argument("--slug", action="append", metavar="SLUG", help="only this competition (repeatable)")
    parser.add_argument("--seed", type=int, default=1, help="of the random moments and damages (1)")
    parser.add_argument("--temp-dir", type=Path, metavar="DIR", help="for the runs (some GB)")
    parser.add_argument("--keep", action="store_true", help="keep the figures in results/ and the README")
    flags = parser.parse_args(arguments)
    unknown = [part for part in flags.parts if part not in PARTS]
    if unknown:
        parser.error(f"unknown part {unknown[0]}; expected: {', '.join(PARTS)}")
    targets = [target for target in runs.TARGETS if not flags.slug or target.slug in flags.slug]
    if flags.temp_dir:
        flags.temp_dir.mkdir(parents=True, exist_ok=True)
    bad = 0
    parts = flags.parts or list(PARTS)
    with tempfile.TemporaryDirectory(dir=flags.temp_dir) as temporary:
        folder = Path(temporary)
        references = []
        if set(parts) - set(WITHOUT_RUNS):
            for target in targets:
                references.append(runs.make_reference(target, folder))
                log(f"{target.slug} {target.experiment}: undisturbed in {references[-1].seconds:.1f} s")
        for part in parts:
            begin = time.monotonic()
            tally = run_part(part, references, folder, flags.trials or PARTS[part], flags.seed)
            row = Row(
                part=part,
                competitions=" ".join(target.slug for target in targets),
                trials=tally.trials,
                identical=tally.counts.get("identical", 0),
                refused=tally.counts.get("refused", 0),
                wrong=tally.counts.get("wrong", 0),
                tracebacks=tally.counts.get("traceback", 0),
                hangs=tally.counts.get("hang", 0),
                minutes=(time.monotonic() - begin) / 60,
                hardware=hardware(),
                git_commit=git_commit() or "",
                date=datetime.now(UTC).strftime("%Y-%m-%d"),
            )
            log(f"{part}: {row.trials} trials in {row.minutes:.1f} minutes: {tally.counts}")
            for fault in tally.faults[:MAX_FAULTS_SHOWN]:
                log(f"  {fault}")
            bad += len(tally.faults)
            if flags.keep:
                keep(row)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
