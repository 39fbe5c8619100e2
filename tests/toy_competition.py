"""A competition of ten numbers, for tests of the shared parts: predict y = 2 x."""

import argparse
import json
from pathlib import Path

from common.base.atomic import write_text
from common.base.errors import InputError
from common.run.competition import Competition, Figure, Finished, Score
from common.run.experiments import Experiment
from common.run.job import Job, Result
from common.run.own_data import OwnData, OwnDataFlags, OwnDataJob, own_data_name


class ToyExperiment(Experiment):
    factor: float = 2.0


def write_sample_data(folder: Path, seed: int, scale: float) -> None:
    (folder / "numbers.json").write_text(json.dumps([seed + row for row in range(int(10 * scale))]))
    (folder / "truth").mkdir()
    (folder / "truth" / "y.json").write_text("[2]")


def competition(folder: Path) -> Competition[ToyExperiment]:
    return Competition(
        slug="toy",
        title="Toy",
        folder=folder,
        experiment_model=ToyExperiment,
        metric="error",
        higher_is_better=False,
        submission_suffix=".json",
        truth_name="truth/y.json",
        expected_data="numbers.json",
        input_files=("numbers.json", "pictures/*"),
        write_sample_data=write_sample_data,
        validate=lambda submission, data: [],
        score=lambda submission, truth: Score(0.0),
        baselines=lambda data, truth: {},
        model_free=("zero",),
        figures=_no_figures,
    )


def _no_figures(finished: Finished, out: Path) -> list[Figure]:
    return []


def preprocess(job: Job[ToyExperiment]) -> Result:
    source = job.data / "numbers.json"
    if not source.is_file():
        raise InputError(f"{source}: missing")
    target = job.processed / "numbers.json"
    target.write_text(source.read_text())
    return Result([target])


def train_fold(job: Job[ToyExperiment]) -> Result:
    target = job.fold_folder / "oof.json"
    unfinished = job.resume_dir / "steps"
    steps = int(unfinished.read_text()) if unfinished.exists() else 0
    if job.data.joinpath("kill").exists() and steps == 0:
        unfinished.write_text("1")
        raise KeyboardInterrupt
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"fold": job.fold, "steps": steps}))
    return Result([target], metrics={"steps": steps})


def pool(job: Job[ToyExperiment]) -> Result:
    return Result([], decision={"threshold": 0.5}, metrics={"folds": len(job.fold_folders)})


def infer(job: Job[ToyExperiment]) -> Result:
    target = job.paths.test(job.settings.name, ".json")
    target.write_text(json.dumps({"threshold": job.upstream["oof"].decision["threshold"]}))
    return Result([target])


def make_submission(job: Job[ToyExperiment]) -> Result:
    target = job.paths.submission(job.settings.name, ".json")
    target.write_text(json.dumps({"factor": job.settings.factor, "seed": job.seed}))
    return Result([target])


def own_data_flags(needs_training: bool) -> OwnDataFlags:
    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--numbers", type=Path)

    def request(args: argparse.Namespace) -> OwnData | None:
        if args.numbers is None:
            return None
        if not args.numbers.is_file():
            raise InputError(f"{args.numbers}: no such file")
        name = own_data_name("numbers", args.numbers)
        return OwnData(
            name, {"--numbers": args.numbers}, {}, predict_own_numbers, needs_training=needs_training
        )

    return OwnDataFlags(add, request)


def predict_own_numbers(job: OwnDataJob[ToyExperiment]) -> Result:
    doubled = []
    for word in job.stage_args.numbers.read_text().split():
        if word.isdigit():
            doubled.append(2.0 * int(word))
        else:
            job.warn(f"{word!r} is no number")
    if not doubled:
        raise InputError("no number is left")
    job.understood(f"{len(doubled)} whole numbers between spaces")
    target = job.output(".txt")
    write_text(target, " ".join(map(str, doubled)))
    return Result([target], metrics={"numbers": float(len(doubled))})
