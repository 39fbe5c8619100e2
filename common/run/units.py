"""Units of a stage's work: what is done is skipped, the rest is done, recorded, and kept for the next try."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from common.base.console import log
from common.base.errors import InputError
from common.base.paths import WorkPaths, check_utf8, default_work, display_path, is_sample_data, resume_dir_of
from common.run.competition import Competition
from common.run.experiments import Experiment, Profile
from common.run.flags import StageArgs, StageFlags
from common.run.job import SCRIPTS, Job, Method, Notes, Result, StageName
from common.run.overrides import Overrides, run_name
from common.run.own_data import OwnData, OwnDataJob
from common.run.resume import Stopwatch, file_lock, prepare_resume_dir, remove_empty_resume_dir
from common.run.run_record import (
    MAX_WARNINGS_LISTED,
    RecordStage,
    RunRecord,
    code_hash,
    damaged_outputs,
    describe_output,
    git_commit,
    hardware,
    hash_path,
    package_versions,
    peak_memory_mb,
    read_record,
    record_hash,
    short_hash,
    write_record,
)
from common.run.sample_data import DEFAULT_SEED
from common.run.stage_inputs import Inputs, StageInputs
from common.run.trained import TrainedExperiment, trained_experiment

MAX_WARNINGS_LOGGED = 5
MAX_OUTPUTS_LOGGED = 3


class StageRun:
    """One call of one stage."""

    def __init__(
        self,
        competition: Competition[Any],
        stage: StageName,
        args: StageArgs | None,
        flags: StageFlags,
        method: Method,
        pool: Method | None,
    ) -> None:
        self.competition, self.stage, self.args, self.flags = competition, stage, args, flags
        self.method, self.pool = method, pool
        self.paths = WorkPaths((flags.work or default_work(self.competition.slug)).expanduser().absolute())
        check_utf8(self.paths.work, "--work")
        self.made: set[Path] = set()
        """Records that this call wrote; the parents of an ensemble can share a unit of work."""
        self.verified: dict[str, str] = {}
        """Earlier records whose outputs were compared with their hashes by this call."""
        self.inputs = StageInputs(competition, stage, flags, self.paths)
        if flags.fold is not None and stage != "train_folds":
            raise InputError("--fold is for 2_train_folds.py; the other stages need all folds")

    # ---- one experiment, its parents first

    def experiment(self, name: str, overrides: Overrides) -> None:
        """Do the stage for an experiment, for its parents first."""
        inputs = self.inputs.of(name, overrides)
        for parent in inputs.settings.parents:
            self.experiment(parent, {})
            if self.stage != "preprocess":
                inputs.upstream.update(self.inputs.parent_records(parent))
        if self.stage == "train_folds":
            self._folds(inputs)
            return
        hashes = _hashes(inputs.upstream)
        if self.stage == "preprocess":
            hashes = {"data": hash_path(inputs.data, self.competition.input_files)}
        self._unit(self.method, inputs, hashes, self._record_path(inputs.settings), None)

    # ---- data of the user's own

    def own_data(self, asked: OwnData) -> None:
        """Predict what `asked` names; a run.json is kept as for any unit of work."""
        competition, flags = self.competition, self.flags
        hashes: dict[str, str] = {}
        if asked.needs_training:
            trained = trained_experiment(
                competition, run_name(flags.experiment, flags.overrides), self.paths.work
            )
            settings, profile = trained.settings, cast(Profile, trained.record.profile)
            seed = trained.record.seed if flags.seed is None else flags.seed
            hashes |= _hashes(_records_with_parents(trained))
        else:
            profile = cast(Profile, flags.profile or "full")
            settings = competition.experiment(flags.experiment, profile, flags.overrides)
            seed = DEFAULT_SEED if flags.seed is None else flags.seed
        hashes |= asked.hashes | {label: hash_path(path) for label, path in asked.files.items()}
        paths = self.paths
        record_path = paths.experiment(settings.name) / f"{asked.name}.run.json"
        decisive = [settings.model_dump(exclude=set(settings.DESCRIPTIVE)), asked.options]
        inputs_hash = short_hash(["own_data", decisive, seed, hashes])
        title = f"{self._title(settings)} {asked.name}"
        if self._is_done(record_path, inputs_hash, profile, title):
            record = read_record(record_path)
            _log_understood(record)
            self._log_outputs(record, record_path)
            return
        unit = self._resume_dir(record_path, inputs_hash, title, keep_record=True)
        with unit as (resume_dir, resumed, stopwatch):
            log(f"{title}: {'resuming' if resumed else 'running'}")
            job = OwnDataJob(
                competition,
                settings.name,
                paths,
                asked.name,
                flags.device,
                seed,
                flags.stage_args,
                resume_dir,
            )
            result = asked.predict(job)
            source = asked.source or next(iter(asked.files.values()))
            about = _About("own_data", settings, profile, None, seed, source)
            record = _record_of(self, about, result, job, hashes, inputs_hash, stopwatch.seconds)
            write_record(record_path, record)
            self.made.add(record_path)
            shutil.rmtree(resume_dir, ignore_errors=True)
        _log_result(title, record, job.warnings, record_path)
        self._log_outputs(record, record_path)

    def _log_outputs(self, record: RunRecord, record_path: Path) -> None:
        """Say where the result is."""
        for output in record.outputs[:MAX_OUTPUTS_LOGGED]:
            log(f"  written: {display_path(self.paths.work / output.path)}")
        more = len(record.outputs) - MAX_OUTPUTS_LOGGED
        if more > 0:
            log(f"  written: {more} more, listed in {display_path(record_path)}")

    def _folds(self, inputs: Inputs) -> None:
        name, folds = inputs.settings.name, inputs.settings.folds
        if self.flags.fold is not None and not 0 <= self.flags.fold < folds:
            raise InputError(
                f"--fold {self.flags.fold}: {name} has folds 0 to {folds - 1} in profile {inputs.profile}"
            )
        hashes = _hashes(inputs.upstream)
        files = [self.paths.fold(name, fold) / "run.json" for fold in range(folds)]
        for fold in range(folds) if self.flags.fold is None else [self.flags.fold]:
            self._unit(self.method, inputs, hashes, files[fold], fold)
        wanted = [self._inputs_hash(inputs, hashes, fold) for fold in range(folds)]
        missing = [
            f"fold{fold}"
            for fold, file in enumerate(files)
            if not file.is_file() or read_record(file).inputs_hash != wanted[fold]
        ]
        if missing:
            log(f"{self._title(inputs.settings)}: still to train: {', '.join(missing)}")
        elif self.pool is not None:
            records = {f"fold{fold}": read_record(file) for fold, file in enumerate(files)}
            pooled = replace(inputs, upstream=inputs.upstream | records)
            self._unit(self.pool, pooled, _hashes(pooled.upstream), self.paths.oof_record(name), None)

    # ---- one unit: skip it, or do it and record it

    def _unit(
        self, method: Method, inputs: Inputs, hashes: dict[str, str], record_path: Path, fold: int | None
    ) -> None:
        title = self._title(inputs.settings) + ("" if fold is None else f" fold {fold}")
        if method is self.pool:
            title += " out of fold"
        inputs_hash = self._inputs_hash(inputs, hashes, fold)
        if self._is_done(record_path, inputs_hash, inputs.profile, title):
            return
        self._verify(inputs.upstream)
        with self._resume_dir(record_path, inputs_hash, title) as (resume_dir, resumed, stopwatch):
            doing = "resuming" if resumed else "running"
            log(f"{title}: {doing} (profile {inputs.profile}, data {display_path(inputs.data)})")
            job = Job(
                competition=self.competition,
                settings=inputs.settings,
                profile=inputs.profile,
                data=inputs.data,
                paths=self.paths,
                resume_dir=resume_dir,
                seed=inputs.seed,
                device=self.flags.device,
                stage_args=self.flags.stage_args,
                upstream=inputs.upstream,
                fold=-1 if fold is None else fold,
            )
            result = method(job)
            stage: RecordStage = self.stage if method is self.method else "out_of_fold"
            about = _About(stage, job.settings, job.profile, fold, job.seed, job.data)
            record = _record_of(self, about, result, job, hashes, inputs_hash, stopwatch.seconds)
            write_record(record_path, record)
            self.made.add(record_path)
            shutil.rmtree(resume_dir, ignore_errors=True)
        _log_result(title, record, job.warnings, record_path)

    def _is_done(self, record_path: Path, inputs_hash: str, profile: Profile, title: str) -> bool:
        if not record_path.is_file():
            return False
        record = read_record(record_path)
        if record.inputs_hash != inputs_hash:
            log(f"{title}: settings or inputs changed since {record.finished}, running again")
            return False
        damaged = damaged_outputs(record, self.paths.work)
        if damaged:
            log(f"{title}: {display_path(damaged[0])} is not as it was written, running again")
            return False
        if self.flags.again and record_path not in self.made:
            log(f"{title}: running again, as --again says")
            return False
        if record.profile != profile:
            # The same work under another name: later stages follow the last call.
            write_record(record_path, record.model_copy(update={"profile": profile}))
        other = record.code != code_hash(self.competition.folder)
        note = " (made by other code; --again repeats it)" if other else ""
        log(f"{title}: done already in {display_path(record_path.parent)}{note}")
        return True

    def _verify(self, upstream: dict[str, RunRecord]) -> None:
        """InputError when a file of an earlier stage is missing or is not as it was written."""
        for key, record in upstream.items():
            if self.verified.get(key) == record.inputs_hash:
                continue
            damaged = damaged_outputs(record, self.paths.work)
            if damaged:
                stage = cast(StageName, "train_folds" if record.stage == "out_of_fold" else record.stage)
                script = display_path(self.competition.folder / SCRIPTS[stage])
                raise InputError(
                    f"{display_path(damaged[0])}: missing, or not as {SCRIPTS[stage]} wrote it; "
                    f"run `python {script} --experiment {record.experiment['name']} "
                    f"--work {display_path(self.paths.work)}` again"
                )
            self.verified[key] = record.inputs_hash

    @contextmanager
    def _resume_dir(
        self, record_path: Path, inputs_hash: str, title: str, keep_record: bool = False
    ) -> Iterator[tuple[Path, bool, Stopwatch]]:
        """The unit's folder for unfinished work, whether it holds any, and the time spent on it.

        With `keep_record` the record of an earlier success stays until the new one replaces it.
        """
        folder = resume_dir_of(record_path)
        with file_lock(self.paths.lock(record_path), title):
            resumed = prepare_resume_dir(folder, inputs_hash)
            if not keep_record:
                record_path.unlink(missing_ok=True)
            record_path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with Stopwatch(folder) as stopwatch:
                    yield folder, resumed, stopwatch
            finally:
                remove_empty_resume_dir(folder)

    def _inputs_hash(self, inputs: Inputs, hashes: dict[str, str], fold: int | None) -> str:
        """Hash of everything that decides a unit's results."""
        settings = inputs.settings
        decisive: object = settings.model_dump(exclude=set(settings.DESCRIPTIVE))
        if self.stage == "preprocess":
            decisive = settings.preprocessing()
        decisive_args = self.args.decisive if self.args else None
        flags = decisive_args(self.flags.stage_args) if decisive_args else None
        return short_hash([self.stage, decisive, inputs.seed, hashes, fold, flags])

    def _title(self, settings: Experiment) -> str:
        return f"{self.competition.slug} {SCRIPTS[self.stage].removesuffix('.py')} {settings.name}"

    def _record_path(self, settings: Experiment) -> Path:
        if self.stage == "preprocess":
            return self.paths.processed(settings.processed_folder()) / "run.json"
        if self.stage == "infer":
            return self.paths.test_record(settings.name)
        return self.paths.submission_record(settings.name)


def _hashes(upstream: dict[str, RunRecord]) -> dict[str, str]:
    return {key: record_hash(record) for key, record in upstream.items()}


def _records_with_parents(trained: TrainedExperiment[Any]) -> dict[str, RunRecord]:
    found = {f"{trained.settings.name}/oof": trained.record}
    for parent in trained.parents():
        found |= _records_with_parents(parent)
    return found


@dataclass(frozen=True)
class _About:
    """What a record says of the work."""

    stage: RecordStage
    settings: Experiment
    profile: Profile
    fold: int | None
    seed: int
    data: Path


def _record_of(
    run: StageRun,
    about: _About,
    result: Result,
    notes: Notes,
    hashes: dict[str, str],
    inputs_hash: str,
    seconds: float,
) -> RunRecord:
    return RunRecord(
        competition=run.competition.slug,
        stage=about.stage,
        experiment=about.settings.model_dump(),
        profile=about.profile,
        fold=about.fold,
        seed=about.seed,
        data=str(about.data),
        sample_data=is_sample_data(about.data),
        inputs=hashes,
        outputs=[describe_output(path, run.paths.work) for path in result.outputs],
        inputs_hash=inputs_hash,
        metrics=result.metrics,
        decision=result.decision,
        history=result.history,
        warnings=notes.warnings[:MAX_WARNINGS_LISTED],
        warnings_count=len(notes.warnings),
        understood=notes.understood_lines,
        device=_device_used(),
        hardware=hardware(),
        git_commit=git_commit(),
        code=code_hash(run.competition.folder),
        packages=package_versions(),
        seconds=round(seconds, 2),
        peak_memory_mb=round(peak_memory_mb(), 1),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _log_result(title: str, record: RunRecord, warnings: list[str], record_path: Path) -> None:
    figures = "".join(f", {key} {value:.4f}" for key, value in record.metrics.items())
    log(f"{title}: done in {record.seconds:.1f} s, {record.peak_memory_mb:.0f} MB{figures}")
    for message in warnings[:MAX_WARNINGS_LOGGED]:
        log(f"  warning: {message}")
    if len(warnings) > MAX_WARNINGS_LOGGED:
        more = len(warnings) - MAX_WARNINGS_LOGGED
        log(f"  warning: {more} more, listed in {display_path(record_path)}")
    _log_understood(record)


def _log_understood(record: RunRecord) -> None:
    for line in record.understood:
        log(f"  understood: {line}")


def _device_used() -> str:
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_available() and torch.cuda.max_memory_allocated() > 0:
            return "cuda"
    return "cpu"
