"""Commands over all competitions: validate and score submissions, write the report, list experiments."""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from common.base.console import log
from common.base.errors import InputError
from common.base.paths import CACHES, ROOT, display_path, readable_folder
from common.report.evaluation import Evaluation, best_baseline, evaluate, finished_experiments
from common.run.command import keep_caches_in, run_command
from common.run.competition import Competition, Finished
from common.run.experiments import read_experiments, unknown_experiment
from competitions.discovery import SLUGS, competition_of

MAX_FAULTS_LISTED = 20


def validate(flags: argparse.Namespace) -> int:
    """List every fault of a submission; 0 when there is none, else 1."""
    competition = competition_of(flags.slug)
    faults = competition.validate(flags.file, readable_folder(flags.data, "the data folder"))
    for fault in faults[:MAX_FAULTS_LISTED]:
        log(f"{display_path(flags.file)}: {fault}")
    if len(faults) > MAX_FAULTS_LISTED:
        log(f"{display_path(flags.file)}: and {len(faults) - MAX_FAULTS_LISTED} more faults")
    verdict = f"{len(faults)} faults" if faults else f"a valid {flags.slug} submission"
    log(f"{display_path(flags.file)}: {verdict}")
    return 1 if faults else 0


def score(flags: argparse.Namespace) -> int:
    """Print the official metric of a submission and what else there is to know."""
    competition = competition_of(flags.slug)
    result = competition.score(flags.file, flags.truth)
    log(f"{competition.metric}: {result.value:.6f}")
    for name, value in result.details.items():
        log(f"  {name.replace('_', ' ')}: {value:.6g}")
    return 0


def report(flags: argparse.Namespace) -> int:
    """Validate and score what is finished, and write the page; 1 when a submission is not valid."""
    found = [
        (competition, finished)
        for competition in map(competition_of, flags.slug or SLUGS)
        for finished in finished_experiments(competition, flags.work / competition.slug)
    ]
    if not found:
        raise InputError(f"{display_path(flags.work)}: holds no finished run; ./run_all.sh makes them")
    folder = flags.work / "report"
    keep_caches_in(folder / CACHES)
    evaluations = [
        evaluate(
            competition, finished, folder / "evaluations" / f"{competition.slug}.{finished.experiment}.json"
        )
        for competition, finished in found
    ]
    _print_scores(found, evaluations)
    page = folder / "index.html"
    marker = folder / "inputs_hash"
    inputs_hash = "\n".join(evaluation.inputs_hash for evaluation in evaluations)
    if page.is_file() and marker.is_file() and marker.read_text() == inputs_hash and not flags.readme:
        log(f"report: up to date in {display_path(page)}")
    else:
        _write_report(found, evaluations, folder, flags.readme, flags.data_name)
        marker.write_text(inputs_hash)
        log(f"report: written to {display_path(page)}")
    return 1 if any(evaluation.faults for evaluation in evaluations) else 0


def _write_report(
    found: Sequence[tuple[Competition, Finished]],
    evaluations: Sequence[Evaluation],
    folder: Path,
    readme: bool,
    data_name: str | None,
) -> None:
    from common.report import report as page
    from common.report import results_table as tables

    sections = []
    for (competition, finished), evaluation in zip(found, evaluations, strict=True):
        pictures = folder / "figures" / competition.slug / finished.experiment
        figures = page.draw_figures(competition, finished, pictures)
        sections.append(page.Section(competition, finished, evaluation, list(map(page.embedded, figures))))
        if readme and "+" not in finished.experiment and not evaluation.faults:
            result = tables.result_of(competition, finished, evaluation, data_name)
            tables.keep_results(tables.results_file(competition), [result])
            if finished.experiment == "champion" and evaluation.score is not None and figures:
                shutil.copyfile(
                    figures[0].path, ROOT / "docs" / f"{competition.slug}{figures[0].path.suffix}"
                )
    page.write_page(sections, folder / "index.html")
    if readme:
        _fill_readmes()


def _fill_readmes() -> None:
    from common.report import results_table as tables

    results = [(each, tables.read_results(tables.results_file(each))) for each in map(competition_of, SLUGS)]
    for competition, rows in results:
        tables.fill_markers(competition.folder / "README.md", tables.paper_table(competition, rows))
    tables.fill_markers(ROOT / "README.md", tables.overview_table(results))


def fill_tables(flags: argparse.Namespace) -> int:  # noqa: ARG001
    """Make the READMEs' tables again from results/*.csv and experiments.toml; nothing is run."""
    _fill_readmes()
    log("the READMEs' tables are made from results/")
    return 0


def _print_scores(found: Sequence[tuple[Competition, Finished]], evaluations: Sequence[Evaluation]) -> None:
    from common.report.results_table import figure

    log("")
    columns = f"{'competition':<16} {'experiment':<34} {'metric':<24} {'test':>10}  {'submission':<10}"
    log(f"{columns}  best baseline")
    for (competition, finished), evaluation in zip(found, evaluations, strict=True):
        best = best_baseline(competition, evaluation.baselines)
        baseline = f"{figure(best[1])} {best[0]}" if best else "test labels hidden: no test score"
        valid = "valid" if not evaluation.faults else "NOT VALID"
        log(
            f"{competition.slug:<16} {finished.experiment:<34} {competition.metric:<24} "
            f"{figure(evaluation.score) or '-':>10}  {valid:<10}  {baseline}"
        )
        for fault in evaluation.faults:
            log(f"  {fault}")
    log("")


def experiments(flags: argparse.Namespace) -> int:
    """Print experiments: rows of the paper, reported scores, settings, needs, and whether they were run."""
    competition = competition_of(flags.slug)
    entries = read_experiments(competition.experiments_file)
    if flags.which in (None, "all"):
        names = list(entries)
    elif flags.which == "paper":
        names = [name for name, entry in entries.items() if "paper" in entry]
    elif flags.which in entries:
        names = [flags.which]
    else:
        raise InputError(unknown_experiment(flags.slug, flags.which, list(entries)))
    if flags.which is not None and not flags.json:
        for name in names:
            log(name)
        return 0
    from common.report import experiment_list

    listed = experiment_list.describe_experiments(competition, names)
    text = experiment_list.as_json(listed) if flags.json else experiment_list.as_text(listed)
    for line in text.splitlines():
        log(line)
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m competitions", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser(
        "validate", help="list every fault of a submission file", description=validate.__doc__
    )
    command.add_argument("slug", choices=SLUGS, metavar="SLUG", help=", ".join(SLUGS))
    command.add_argument("file", type=Path, metavar="FILE", help="the submission")
    command.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="the data that it was made for"
    )
    command.set_defaults(run=validate)

    command = commands.add_parser(
        "score", help="the official metric of a submission", description=score.__doc__
    )
    command.add_argument("slug", choices=SLUGS, metavar="SLUG", help=", ".join(SLUGS))
    command.add_argument("file", type=Path, metavar="FILE", help="the submission")
    command.add_argument(
        "--truth", type=Path, required=True, metavar="FILE", help="the test labels, as in truth/"
    )
    command.set_defaults(run=score)

    command = commands.add_parser(
        "report", help="validate, score and show all finished runs", description=report.__doc__
    )
    command.add_argument("slug", nargs="*", metavar="SLUG", help="competitions to show (all)")
    command.add_argument(
        "--work", type=Path, default=ROOT / "work", metavar="DIR", help="as in run_all.sh (work/)"
    )
    command.add_argument(
        "--readme", action="store_true", help="also update results/*.csv and the tables in the READMEs"
    )
    command.add_argument("--data-name", metavar="TEXT", help="name of the data set in the READMEs")
    command.set_defaults(run=report)

    command = commands.add_parser(
        "tables", help="make the READMEs' tables from results/", description=fill_tables.__doc__
    )
    command.set_defaults(run=fill_tables)

    command = commands.add_parser("experiments", help="list experiments", description=experiments.__doc__)
    command.add_argument("slug", choices=SLUGS, metavar="SLUG", help=", ".join(SLUGS))
    command.add_argument(
        "--which", metavar="NAME|all|paper", help="print only the names of these (default: describe all)"
    )
    command.add_argument("--json", action="store_true", help="describe them as JSON, settings included")
    command.set_defaults(run=experiments)

    flags = parser.parse_args(argv)
    unknown = [
        slug
        for slug in getattr(flags, "slug", None) or []
        if isinstance(flags.slug, list) and slug not in SLUGS
    ]
    if unknown:
        parser.error(f"unknown competition {unknown[0]}; expected: {', '.join(SLUGS)}")
    return flags


def main(argv: list[str] | None = None) -> int:
    """Run one command; faults of the input end in one line and 2."""
    flags = parse(argv)
    return run_command(lambda: flags.run(flags))


if __name__ == "__main__":
    sys.exit(main())
