"""What a stage works on: as its flags say, else as the earlier stages had it."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from common.base.console import log
from common.base.errors import InputError
from common.base.paths import (
    WorkPaths,
    check_utf8,
    default_data,
    display_path,
    is_sample_data,
    readable_folder,
)
from common.run.competition import Competition
from common.run.experiments import Experiment, Profile
from common.run.flags import StageFlags
from common.run.job import SCRIPTS, StageName
from common.run.overrides import Overrides, run_name
from common.run.run_record import RunRecord, read_record
from common.run.sample_data import DEFAULT_SEED, make_sample_data


@dataclass(frozen=True)
class Inputs:
    """Everything that a unit of work starts from."""

    settings: Experiment
    profile: Profile
    seed: int
    data: Path
    upstream: dict[str, RunRecord]
    """Records of earlier stages, as in Job."""


@dataclass(frozen=True)
class StageInputs:
    """Finds what a stage works on; InputError names what is missing and the command that makes it."""

    competition: Competition
    stage: StageName
    flags: StageFlags
    paths: WorkPaths

    def parent_records(self, parent: str) -> dict[str, RunRecord]:
        """What an ensemble needs to know of one of its parents."""
        found = {f"{parent}/oof": read_record(self.paths.oof_record(parent))}
        if self.stage != "train_folds":
            found[f"{parent}/test"] = read_record(self.paths.test_record(parent))
        return found

    def of(self, name: str, overrides: Overrides) -> Inputs:
        """What experiment `name`, changed by `overrides`, is run on in this stage."""
        flags = self.flags
        if self.stage in ("preprocess", "train_folds") and "+" in name and not overrides:
            name, overrides = self._recorded_overrides(name)
        if self.stage == "preprocess":
            # An unknown name is no reason to make sample data first.
            self.competition.experiment(name, "full", overrides)
            data = self._raw_data()
            profile = cast(Profile, flags.profile or ("sample" if is_sample_data(data) else "full"))
            seed = DEFAULT_SEED if flags.seed is None else flags.seed
            settings = self.competition.experiment(name, profile, overrides)
            return Inputs(settings, profile, seed, data, {})
        if self.stage == "train_folds":
            settings, profile, processed = self._processed(name, overrides)
            self._same_preprocessing(settings, processed)
            seed = processed.seed if flags.seed is None else flags.seed
            return Inputs(settings, profile, seed, self._recorded_data(processed), {"processed": processed})
        name = run_name(name, overrides)
        oof = self._needed(self.paths.oof_record(name), "train_folds", name)
        if flags.profile not in (None, oof.profile):
            raise InputError(
                f"--profile {flags.profile}: {name} was trained with profile {oof.profile}; "
                f"run {SCRIPTS['train_folds']} with --profile {flags.profile} first"
            )
        settings = self.competition.recorded_experiment(oof)
        processed = self._needed(
            self.paths.processed(settings.processed_folder()) / "run.json", "preprocess", name
        )
        seed = oof.seed if flags.seed is None else flags.seed
        upstream = {"processed": processed, "oof": oof}
        if self.stage == "make_submission":
            upstream["test"] = self._needed(self.paths.test_record(name), "infer", name)
        return Inputs(settings, cast(Profile, oof.profile), seed, self._recorded_data(processed), upstream)

    def _processed(self, name: str, overrides: Overrides) -> tuple[Experiment, Profile, RunRecord]:
        """The experiment in the profile that was asked for, else in the one of 1_preprocess."""
        profiles: list[Profile] = (
            [cast(Profile, self.flags.profile)] if self.flags.profile else ["full", "sample"]
        )
        path = Path()
        for profile in profiles:
            settings = self.competition.experiment(name, profile, overrides)
            path = self.paths.processed(settings.processed_folder()) / "run.json"
            if path.is_file():
                processed = read_record(path)
                if self.flags.profile or processed.profile == profile:
                    return settings, profile, processed
        self._needed(path, "preprocess", name)
        raise InputError(
            f"{display_path(path)}: made with an unknown profile; run {SCRIPTS['preprocess']} again"
        )

    def _recorded_overrides(self, name: str) -> tuple[str, Overrides]:
        """What --set changed in the run `<experiment>+<hash>`, from its records."""
        base = name.partition("+")[0]
        for path in (
            self.paths.oof_record(name),
            *sorted(self.paths.experiment(name).glob("fold*/run.json")),
        ):
            if path.is_file():
                return base, read_record(path).experiment.get("overrides", {})
        raise InputError(
            f"{name}: no such run in {display_path(self.paths.work)}; "
            f"give --experiment {base} and its --set again"
        )

    def _needed(self, record: Path, stage: StageName, experiment: str) -> RunRecord:
        if not record.is_file():
            script = display_path(self.competition.folder / SCRIPTS[stage])
            base = experiment.partition("+")[0]
            extra = "" if base == "champion" else f" --experiment {base}"
            extra += "".join(f" --set {key}=..." for key in self.flags.overrides)
            extra += f" --work {display_path(self.flags.work)}" if self.flags.work else ""
            raise InputError(f"{display_path(record)} is missing: run `python {script}{extra}` first")
        return read_record(record)

    def _same_preprocessing(self, settings: Experiment, processed: RunRecord) -> None:
        made = self.competition.recorded_experiment(processed).preprocessing()
        wanted = settings.preprocessing()
        for key in wanted:
            if made.get(key) != wanted[key]:
                script = display_path(self.competition.folder / SCRIPTS["preprocess"])
                raise InputError(
                    f"the processed data were made with {key} = {made.get(key)}, {settings.name} needs "
                    f"{wanted[key]}: run `python {script} --experiment {settings.name} "
                    f"--profile {self.flags.profile or 'full'}` first"
                )

    def _raw_data(self) -> Path:
        slug = self.competition.slug
        what = f"the {slug} data folder ({self.competition.expected_data})"
        if self.flags.data is not None:
            check_utf8(self.flags.data.expanduser().absolute(), "--data")
            return self._outside_work(readable_folder(self.flags.data, what))
        if default_data(slug).exists():
            return self._outside_work(readable_folder(default_data(slug), what))
        sample = self.paths.sample_data()
        log(f"{slug}: no --data and no data/{slug}, so the sample data in {display_path(sample)} are used")
        if not is_sample_data(sample):
            make_sample_data(self.competition, sample)
        return sample

    def _outside_work(self, data: Path) -> Path:
        if self.paths.work.resolve().is_relative_to(data.resolve()):
            raise InputError(
                f"--work {display_path(self.paths.work)} lies in --data {display_path(data)}, "
                "which is only read; choose a folder outside it"
            )
        return data

    def _recorded_data(self, processed: RunRecord) -> Path:
        data = Path(processed.data)
        if self.flags.data is not None and self.flags.data.expanduser().absolute() != data:
            raise InputError(
                f"--data {display_path(self.flags.data)}: {SCRIPTS['preprocess']} was run on "
                f"{display_path(data)}; "
                f"run it on the new data first, or choose another --work"
            )
        return readable_folder(
            data, f"the {self.competition.slug} data folder that {SCRIPTS['preprocess']} was run on"
        )
