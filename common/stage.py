"""The stage contract: what every numbered script does around its method.

A script defines the method and hands it over:

    if __name__ == "__main__":
        Stage(COMPETITION, "infer", __doc__).run(infer)

This module then parses the flags, resolves data, experiment and profile, runs the parents of an ensemble
first, skips what is done, keeps unfinished work for the next try, writes the run record, and turns every
fault of the input into one line and exit code 2. The methods import torch, tensorflow and the competition's
nouns inside themselves, so that `--help` and "done already" answer at once.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from common.competition import Competition
from common.console import say
from common.errors import InputError, explain_fault
from common.experiments import Experiment
from common.flags import AddFlags, StageFlags, parse_stage_flags
from common.job import SCRIPTS, Job, Method, Outcome, StageName
from common.paths import WorkPaths, default_work, is_sample_data, scratch_of, shown
from common.run_record import (
    MAX_SURVIVED_LISTED,
    RunRecord,
    describe_output,
    digest,
    fingerprint,
    git_commit,
    hardware,
    outputs_intact,
    package_versions,
    peak_memory_mb,
    read_record,
    write_record,
)
from common.scratch import fresh_scratch, one_at_a_time
from common.stage_inputs import Given, StageInputs

MAX_SURVIVED_SAID = 5
__all__ = ["Job", "Outcome", "Stage"]


@dataclass
class Stage:
    """One numbered script of one competition."""

    competition: Competition
    name: StageName
    doc: str | None
    add_flags: AddFlags | None = None
    signature_flags: Callable[[argparse.Namespace], object] | None = None
    """What of the stage's own flags decides its results (the fingerprint of --weights, say)."""
    record_name: Callable[[argparse.Namespace], str] | None = None
    """In infer: name of a record for the user's own data, beside the test split's; `` for the test split."""
    instead: Callable[[StageFlags], bool] | None = None
    """Does what the stage's own flags ask for instead of its work on the official data (a folder of own
    pictures, say); returns whether they asked for anything."""

    def run(self, method: Method, pool: Method | None = None, argv: list[str] | None = None) -> None:
        """Parse the command line and do the work; leaves the process with 0, 2 (bad input) or 130 (stopped).

        Parameters
        ----------
        method : does one unit of work: the whole stage, or one fold in train_folds.
        pool : in train_folds, called when all folds are there: pools and tunes the out-of-fold predictions.
        """
        # Threads that wait for each other by spinning make torch several times slower beside other work.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        try:
            flags = parse_stage_flags(
                self.doc or "", self.competition.experiments_file, self.competition.slug, self.add_flags, argv
            )
            if self.instead is None or not self.instead(flags):
                _Run(self, flags, method, pool).experiment(flags.experiment)
        except KeyboardInterrupt:
            print("stopped; the same command goes on from here", file=sys.stderr)
            raise SystemExit(130) from None
        except Exception as fault:
            line = explain_fault(fault)
            if line is None:
                raise
            print(f"error: {line}", file=sys.stderr)
            raise SystemExit(2) from None


class _Run:
    """One call of one stage."""

    def __init__(self, stage: Stage, flags: StageFlags, method: Method, pool: Method | None) -> None:
        self.stage, self.flags, self.method, self.pool = stage, flags, method, pool
        self.competition = stage.competition
        self.paths = WorkPaths((flags.work or default_work(self.competition.slug)).expanduser().absolute())
        self.inputs = StageInputs(self.competition, stage.name, flags, self.paths)
        if flags.fold is not None and stage.name != "train_folds":
            raise InputError("--fold is for 2_train_folds.py; the other stages need all folds")

    # ---- one experiment, its parents first

    def experiment(self, name: str) -> None:
        given = self.inputs.of(name)
        own_data = bool(self.stage.record_name and self.stage.record_name(self.flags.own))
        for parent in given.settings.parents:
            if not own_data:  # an ensemble asks its parents' models for that itself
                self.experiment(parent)
            if self.stage.name != "preprocess":
                given.upstream.update(self.inputs.parent_records(parent, own_data))
        if self.stage.name == "train_folds":
            self._folds(given)
            return
        inputs = _digests(given.upstream)
        if self.stage.name == "preprocess":
            inputs = {"data": fingerprint(given.data)}
        self._unit(self.method, given, inputs, self._record_path(given.settings), None)

    def _folds(self, given: Given) -> None:
        name, folds = given.settings.name, given.settings.folds
        if self.flags.fold is not None and not 0 <= self.flags.fold < folds:
            raise InputError(
                f"--fold {self.flags.fold}: {name} has folds 0 to {folds - 1} in profile {given.profile}"
            )
        inputs = _digests(given.upstream)
        files = [self.paths.fold(name, fold) / "run.json" for fold in range(folds)]
        for fold in range(folds) if self.flags.fold is None else [self.flags.fold]:
            self._unit(self.method, given, inputs, files[fold], fold)
        signatures = [self._signature(given, inputs, fold) for fold in range(folds)]
        missing = [
            f"fold{fold}"
            for fold, file in enumerate(files)
            if not file.is_file() or read_record(file).signature != signatures[fold]
        ]
        if missing:
            say(f"{self._title(given.settings)}: still to train: {', '.join(missing)}")
        elif self.pool is not None:
            records = {f"fold{fold}": read_record(file) for fold, file in enumerate(files)}
            pooled = replace(given, upstream=given.upstream | records)
            self._unit(self.pool, pooled, _digests(pooled.upstream), self.paths.oof_record(name), None)

    # ---- one unit: skip it, or do it and record it

    def _unit(
        self, method: Method, given: Given, inputs: dict[str, str], record_path: Path, fold: int | None
    ) -> None:
        title = self._title(given.settings) + ("" if fold is None else f" fold {fold}")
        if method is self.pool:
            title += " out of fold"
        signature = self._signature(given, inputs, fold)
        if record_path.is_file():
            record = read_record(record_path)
            if record.signature == signature and outputs_intact(record, self.paths.work):
                if record.profile != given.profile:
                    # The same work under another name: later stages follow the last call.
                    write_record(record_path, record.model_copy(update={"profile": given.profile}))
                say(f"{title}: done already in {shown(record_path.parent)}")
                return
            say(f"{title}: settings or inputs changed since {record.finished}, running again")
        scratch = scratch_of(record_path)
        with one_at_a_time(scratch, title):
            resumed = fresh_scratch(scratch, signature)
            record_path.unlink(missing_ok=True)
            record_path.parent.mkdir(parents=True, exist_ok=True)
            doing = "going on" if resumed else "running"
            say(f"{title}: {doing} (profile {given.profile}, data {shown(given.data)})")
            job = Job(
                competition=self.competition,
                settings=given.settings,
                profile=given.profile,
                data=given.data,
                paths=self.paths,
                scratch=scratch,
                seed=given.seed,
                device=self.flags.device,
                own=self.flags.own,
                upstream=given.upstream,
                fold=-1 if fold is None else fold,
            )
            start = time.monotonic()
            outcome = method(job)
            stage = self.stage.name if method is self.method else "out_of_fold"
            record = _record_of(job, outcome, stage, fold, inputs, signature, time.monotonic() - start)
            write_record(record_path, record)
            shutil.rmtree(scratch, ignore_errors=True)
        figures = "".join(f", {key} {value:.4f}" for key, value in outcome.metrics.items())
        say(f"{title}: done in {record.seconds:.1f} s, {record.peak_memory_mb:.0f} MB{figures}")
        for message in job.survived[:MAX_SURVIVED_SAID]:
            say(f"  survived: {message}")
        if len(job.survived) > MAX_SURVIVED_SAID:
            more = len(job.survived) - MAX_SURVIVED_SAID
            say(f"  survived: {more} more, listed in {shown(record_path)}")

    def _signature(self, given: Given, inputs: dict[str, str], fold: int | None) -> str:
        decisive: object = given.settings.model_dump(exclude={"about", "paper", "reported", "chosen"})
        if self.stage.name == "preprocess":
            decisive = given.settings.preprocessing()
        flags = self.stage.signature_flags(self.flags.own) if self.stage.signature_flags else None
        return digest([self.stage.name, decisive, given.seed, inputs, fold, flags])

    def _title(self, settings: Experiment) -> str:
        return f"{self.competition.slug} {SCRIPTS[self.stage.name].removesuffix('.py')} {settings.name}"

    def _record_path(self, settings: Experiment) -> Path:
        if self.stage.name == "preprocess":
            return self.paths.processed(settings.processed_variant()) / "run.json"
        if self.stage.name == "infer":
            own = self.stage.record_name(self.flags.own) if self.stage.record_name else ""
            folder = self.paths.experiment(settings.name)
            return folder / f"{own}.run.json" if own else self.paths.test_record(settings.name)
        return self.paths.submission_record(settings.name)


def _digests(upstream: dict[str, RunRecord]) -> dict[str, str]:
    """What of earlier stages decides the results of this one."""
    return {
        key: digest([record.signature, [output.model_dump() for output in record.outputs], record.decision])
        for key, record in upstream.items()
    }


def _record_of(
    job: Job,
    outcome: Outcome,
    stage: str,
    fold: int | None,
    inputs: dict[str, str],
    signature: str,
    seconds: float,
) -> RunRecord:
    return RunRecord(
        competition=job.competition.slug,
        stage=stage,
        experiment=job.settings.model_dump(),
        profile=job.profile,
        fold=fold,
        seed=job.seed,
        data=str(job.data),
        sample_data=is_sample_data(job.data),
        inputs=inputs,
        outputs=[describe_output(path, job.paths.work) for path in outcome.outputs],
        signature=signature,
        metrics=outcome.metrics,
        decision=outcome.decision,
        history=outcome.history,
        survived=job.survived[:MAX_SURVIVED_LISTED],
        survived_count=len(job.survived),
        device=_device_used(),
        hardware=hardware(),
        git_commit=git_commit(),
        packages=package_versions(),
        seconds=round(seconds, 2),
        peak_memory_mb=round(peak_memory_mb(), 1),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _device_used() -> str:
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_available() and torch.cuda.max_memory_allocated() > 0:
            return "cuda"
    return "cpu"
