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
import contextlib
import fcntl
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import ValidationError

from common.competition import Competition
from common.console import say
from common.errors import InputError, explain_fault
from common.experiments import Experiment, Profile
from common.flags import AddFlags, StageFlags, parse_stage_flags
from common.paths import (
    WorkPaths,
    default_data,
    default_work,
    is_sample_data,
    readable_folder,
    scratch_of,
    shown,
)
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
from common.sample_data import DEFAULT_SEED, make_sample_data

StageName = Literal["preprocess", "train_folds", "infer", "make_submission"]
SCRIPTS: dict[StageName, str] = {
    "preprocess": "1_preprocess.py",
    "train_folds": "2_train_folds.py",
    "infer": "3_infer.py",
    "make_submission": "4_make_submission.py",
}


@dataclass(frozen=True)
class Outcome:
    """What a method hands back for the run record."""

    outputs: list[Path]
    """Every file that it wrote, all below the work folder."""
    metrics: dict[str, float] = field(default_factory=dict)
    decision: dict[str, Any] = field(default_factory=dict)
    """Thresholds and weights tuned on out-of-fold predictions, for later stages."""
    history: list[dict[str, float]] = field(default_factory=list)


@dataclass
class Job:
    """One unit of a stage's work, as its method sees it."""

    competition: Competition
    settings: Experiment
    profile: Profile
    data: Path
    """Raw data, only read."""
    paths: WorkPaths
    scratch: Path
    """Folder for unfinished work: it outlives a kill, and goes when the unit is done or changed."""
    seed: int
    device: str
    """auto, cpu or cuda, as asked for."""
    own: argparse.Namespace
    """Flags that this stage alone has."""
    upstream: dict[str, RunRecord]
    """Records of earlier stages: `processed`, `oof`, `test`, `fold0`, `<parent>/oof`, `<parent>/test`."""
    fold: int = -1
    survived: list[str] = field(default_factory=list)

    def survive(self, message: str) -> None:
        """Note a fault of the input that does not stop the work; it is counted, recorded and reported."""
        self.survived.append(message)

    @property
    def processed(self) -> Path:
        """Folder of this experiment's processed data."""
        return self.paths.processed(self.settings.processed_variant())

    @property
    def fold_folder(self) -> Path:
        """Folder of this unit's fold."""
        return self.paths.fold(self.settings.name, self.fold)

    @property
    def fold_folders(self) -> list[Path]:
        """Folders of all folds, in order."""
        return [self.paths.fold(self.settings.name, fold) for fold in range(self.settings.folds)]


Method = Callable[[Job], Outcome]


@dataclass
class Stage:
    """One numbered script of one competition."""

    competition: Competition
    name: StageName
    doc: str | None
    add_flags: AddFlags | None = None
    signature_flags: Callable[[argparse.Namespace], object] | None = None
    """What of the stage's own flags decides its results (the fingerprint of --weights, say)."""

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
        if flags.fold is not None and stage.name != "train_folds":
            raise InputError("--fold is for 2_train_folds.py; the other stages need all folds")

    # ---- one experiment, its parents first

    def experiment(self, name: str) -> None:
        settings, profile, seed, data, upstream = self._resolve(name)
        if self.stage.name != "preprocess":
            for parent in settings.parents:
                self.experiment(parent)
                upstream |= self._parent_records(parent)
        elif settings.parents:
            for parent in settings.parents:
                self.experiment(parent)
        if self.stage.name == "train_folds":
            self._folds(settings, profile, seed, data, upstream)
            return
        record_path = self._record_path(settings)
        inputs = {key: _digest_of(record) for key, record in upstream.items()}
        if self.stage.name == "preprocess":
            inputs = {"data": fingerprint(data)}
        self._unit(self.method, settings, profile, seed, data, upstream, inputs, record_path, None)

    def _folds(
        self, settings: Experiment, profile: Profile, seed: int, data: Path, upstream: dict[str, RunRecord]
    ) -> None:
        chosen = range(settings.folds) if self.flags.fold is None else [self.flags.fold]
        if self.flags.fold is not None and not 0 <= self.flags.fold < settings.folds:
            raise InputError(
                f"--fold {self.flags.fold}: {settings.name} has folds 0 to {settings.folds - 1} "
                f"in profile {profile}"
            )
        inputs = {key: _digest_of(record) for key, record in upstream.items()}
        for fold in chosen:
            record_path = self.paths.fold(settings.name, fold) / "run.json"
            self._unit(self.method, settings, profile, seed, data, upstream, inputs, record_path, fold)
        records = {
            f"fold{fold}": self.paths.fold(settings.name, fold) / "run.json" for fold in range(settings.folds)
        }
        missing = [key for key, path in records.items() if not path.is_file()]
        if missing:
            say(f"{self._title(settings)}: still to train: {', '.join(missing)}")
            return
        if self.pool is None:
            return
        folds = {key: read_record(path) for key, path in records.items()}
        signatures = {key: self._signature(settings, seed, inputs, int(key[4:])) for key in folds}
        stale = [key for key, record in folds.items() if record.signature != signatures[key]]
        if stale:
            say(f"{self._title(settings)}: trained with other settings, train again: {', '.join(stale)}")
            return
        together = upstream | folds
        inputs = {key: _digest_of(record) for key, record in together.items()}
        path = self.paths.oof_record(settings.name)
        self._unit(self.pool, settings, profile, seed, data, together, inputs, path, None)

    # ---- one unit: skip it, or do it and record it

    def _unit(
        self,
        method: Method,
        settings: Experiment,
        profile: Profile,
        seed: int,
        data: Path,
        upstream: dict[str, RunRecord],
        inputs: dict[str, str],
        record_path: Path,
        fold: int | None,
    ) -> None:
        title = self._title(settings) + ("" if fold is None else f" fold {fold}")
        if method is self.pool:
            title += " out of fold"
        signature = self._signature(settings, seed, inputs, fold)
        if record_path.is_file():
            record = read_record(record_path)
            if record.signature == signature and outputs_intact(record, self.paths.work):
                if (
                    record.profile != profile
                ):  # the same work under another name: later stages follow the last call
                    write_record(record_path, record.model_copy(update={"profile": profile}))
                say(f"{title}: done already in {shown(record_path.parent)}")
                return
            say(f"{title}: settings or inputs changed since {record.finished}, running again")
        scratch = scratch_of(record_path)
        with _one_at_a_time(scratch, title):
            resumed = _fresh_scratch(scratch, signature)
            record_path.unlink(missing_ok=True)
            say(f"{title}: {'going on' if resumed else 'running'} (profile {profile}, data {shown(data)})")
            job = Job(
                competition=self.competition,
                settings=settings,
                profile=profile,
                data=data,
                paths=self.paths,
                scratch=scratch,
                seed=seed,
                device=self.flags.device,
                own=self.flags.own,
                upstream=upstream,
                fold=-1 if fold is None else fold,
            )
            start = time.monotonic()
            record_path.parent.mkdir(parents=True, exist_ok=True)
            outcome = method(job)
            record = RunRecord(
                competition=self.competition.slug,
                stage=self.stage.name if method is self.method else "out_of_fold",
                experiment=settings.model_dump(),
                profile=profile,
                fold=fold,
                seed=seed,
                data=str(data),
                sample_data=is_sample_data(data),
                inputs=inputs,
                outputs=[describe_output(path, self.paths.work) for path in outcome.outputs],
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
                seconds=round(time.monotonic() - start, 2),
                peak_memory_mb=round(peak_memory_mb(), 1),
                finished=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            write_record(record_path, record)
            shutil.rmtree(scratch, ignore_errors=True)
        figures = "".join(f", {key} {value:.4f}" for key, value in outcome.metrics.items())
        say(f"{title}: done in {record.seconds:.1f} s, {record.peak_memory_mb:.0f} MB{figures}")
        for message in job.survived[:5]:
            say(f"  survived: {message}")
        if len(job.survived) > 5:
            say(f"  survived: {len(job.survived) - 5} more, listed in {shown(record_path)}")

    def _signature(self, settings: Experiment, seed: int, inputs: dict[str, str], fold: int | None) -> str:
        decisive: object = settings.model_dump(exclude={"about", "paper", "reported", "chosen"})
        if self.stage.name == "preprocess":
            decisive = settings.preprocessing()
        flags = self.stage.signature_flags(self.flags.own) if self.stage.signature_flags else None
        return digest([self.stage.name, decisive, seed, inputs, fold, flags])

    def _title(self, settings: Experiment) -> str:
        return f"{self.competition.slug} {SCRIPTS[self.stage.name].removesuffix('.py')} {settings.name}"

    # ---- where things are, and what earlier stages said

    def _record_path(self, settings: Experiment) -> Path:
        if self.stage.name == "preprocess":
            return self.paths.processed(settings.processed_variant()) / "run.json"
        if self.stage.name == "infer":
            return self.paths.test_record(settings.name)
        return self.paths.submission_record(settings.name)

    def _parent_records(self, parent: str) -> dict[str, RunRecord]:
        found = {f"{parent}/oof": read_record(self.paths.oof_record(parent))}
        if self.stage.name != "train_folds":
            found[f"{parent}/test"] = read_record(self.paths.test_record(parent))
        return found

    def _resolve(self, name: str) -> tuple[Experiment, Profile, int, Path, dict[str, RunRecord]]:
        """Experiment, profile, seed, data and upstream records: as given, else as earlier stages had them."""
        flags = self.flags
        if self.stage.name == "preprocess":
            self.competition.experiment(
                name, "full"
            )  # an unknown name is no reason to make sample data first
            data = self._raw_data()
            profile = cast(Profile, flags.profile or ("sample" if is_sample_data(data) else "full"))
            seed = DEFAULT_SEED if flags.seed is None else flags.seed
            return self.competition.experiment(name, profile), profile, seed, data, {}
        if self.stage.name == "train_folds":
            settings, profile, processed = self._processed(name)
            self._same_preprocessing(settings, processed)
            seed = processed.seed if flags.seed is None else flags.seed
            return settings, profile, seed, self._recorded_data(processed), {"processed": processed}
        oof = self._needed(self.paths.oof_record(name), "train_folds", name)
        if flags.profile not in (None, oof.profile):
            raise InputError(
                f"--profile {flags.profile}: {name} was trained with profile {oof.profile}; "
                f"run {SCRIPTS['train_folds']} with --profile {flags.profile} first"
            )
        settings = self._recorded(oof)
        processed = self._needed(
            self.paths.processed(settings.processed_variant()) / "run.json", "preprocess", name
        )
        seed = oof.seed if flags.seed is None else flags.seed
        upstream = {"processed": processed, "oof": oof}
        if self.stage.name == "make_submission":
            upstream["test"] = self._needed(self.paths.test_record(name), "infer", name)
        return settings, cast(Profile, oof.profile), seed, self._recorded_data(processed), upstream

    def _processed(self, name: str) -> tuple[Experiment, Profile, RunRecord]:
        """The experiment in the profile that was asked for, else in the one of 1_preprocess."""
        profiles: list[Profile] = (
            [cast(Profile, self.flags.profile)] if self.flags.profile else ["full", "sample"]
        )
        path = Path()
        for profile in profiles:
            settings = self.competition.experiment(name, profile)
            path = self.paths.processed(settings.processed_variant()) / "run.json"
            if path.is_file():
                processed = read_record(path)
                if self.flags.profile or processed.profile == profile:
                    return settings, profile, processed
        self._needed(path, "preprocess", name)
        raise InputError(f"{shown(path)}: made with an unknown profile; run {SCRIPTS['preprocess']} again")

    def _needed(self, record: Path, stage: StageName, experiment: str) -> RunRecord:
        if not record.is_file():
            script = shown(self.competition.folder / SCRIPTS[stage])
            extra = "" if experiment == "champion" else f" --experiment {experiment}"
            extra += f" --work {shown(self.flags.work)}" if self.flags.work else ""
            raise InputError(f"{shown(record)} is missing: run `python {script}{extra}` first")
        return read_record(record)

    def _same_preprocessing(self, settings: Experiment, processed: RunRecord) -> None:
        made = self._recorded(processed).preprocessing()
        wanted = settings.preprocessing()
        for key in wanted:
            if made.get(key) != wanted[key]:
                script = shown(self.competition.folder / SCRIPTS["preprocess"])
                raise InputError(
                    f"the processed data were made with {key} = {made.get(key)}, {settings.name} needs "
                    f"{wanted[key]}: run `python {script} --experiment {settings.name} "
                    f"--profile {self.flags.profile or 'full'}` first"
                )

    def _recorded(self, record: RunRecord) -> Experiment:
        """The experiment of a record; InputError when another version, with other settings, wrote it."""
        try:
            return self.competition.experiment_model.model_validate(record.experiment)
        except ValidationError as fault:
            problem = fault.errors()[0]
            key = ".".join(str(part) for part in problem["loc"])
            raise InputError(
                f"the record of {record.stage} in {shown(self.paths.work)} has settings of another version "
                f"({key!r}: {problem['msg']}); delete it and run that stage again, or choose another --work"
            ) from None

    def _raw_data(self) -> Path:
        slug = self.competition.slug
        what = f"the {slug} data folder ({self.competition.expected_data})"
        if self.flags.data is not None:
            return readable_folder(self.flags.data, what)
        if default_data(slug).exists():
            return readable_folder(default_data(slug), what)
        sample = self.paths.sample_data(slug)
        say(f"{slug}: no --data and no data/{slug}, so the sample data in {shown(sample)} are used")
        if not is_sample_data(sample):
            make_sample_data(self.competition, sample)
        return sample

    def _recorded_data(self, processed: RunRecord) -> Path:
        data = Path(processed.data)
        if self.flags.data is not None and self.flags.data.expanduser().absolute() != data:
            raise InputError(
                f"--data {shown(self.flags.data)}: {SCRIPTS['preprocess']} was run on {shown(data)}; "
                f"run it on the new data first, or choose another --work"
            )
        return readable_folder(
            data, f"the {self.competition.slug} data folder that {SCRIPTS['preprocess']} was run on"
        )


def _digest_of(record: RunRecord) -> str:
    return digest([record.signature, [output.model_dump() for output in record.outputs], record.decision])


def _device_used() -> str:
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_available() and torch.cuda.max_memory_allocated() > 0:
            return "cuda"
    return "cpu"


def _fresh_scratch(scratch: Path, signature: str) -> bool:
    """Keep unfinished work of the same signature (True), wipe any other (False)."""
    marker = scratch / "signature"
    if marker.is_file() and marker.read_text() == signature:
        return any(path != marker for path in scratch.iterdir())
    for path in scratch.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    marker.write_text(signature)
    return False


@contextlib.contextmanager
def _one_at_a_time(scratch: Path, title: str) -> Iterator[None]:
    """Hold the unit's scratch folder; InputError when another process is at the same work."""
    scratch.mkdir(parents=True, exist_ok=True)
    handle = os.open(scratch, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"{title}: another process is at the same work; wait for it or stop it"
            ) from None
        yield
    except BaseException:
        # Nothing half-written stays: an empty scratch folder says nothing, and goes.
        if scratch.is_dir() and {path.name for path in scratch.iterdir()} <= {"signature"}:
            shutil.rmtree(scratch, ignore_errors=True)
        raise
    finally:
        os.close(handle)
