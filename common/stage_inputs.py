"""What a stage works on: as its flags say, else as the earlier stages had it."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pydantic import ValidationError

from common.competition import Competition
from common.console import say
from common.errors import InputError
from common.experiments import Experiment, Profile
from common.flags import StageFlags
from common.job import SCRIPTS, StageName
from common.paths import WorkPaths, default_data, is_sample_data, readable_folder, shown
from common.run_record import RunRecord, read_record
from common.sample_data import DEFAULT_SEED, make_sample_data


@dataclass(frozen=True)
class Given:
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

    def parent_records(self, parent: str, own_data: bool = False) -> dict[str, RunRecord]:
        """What an ensemble needs to know of one of its parents; on a user's own data nothing of the test."""
        found = {f"{parent}/oof": read_record(self.paths.oof_record(parent))}
        if self.stage != "train_folds" and not own_data:
            found[f"{parent}/test"] = read_record(self.paths.test_record(parent))
        return found

    def of(self, name: str) -> Given:
        """What experiment `name` is run on in this stage."""
        flags = self.flags
        if self.stage == "preprocess":
            # An unknown name is no reason to make sample data first.
            self.competition.experiment(name, "full")
            data = self._raw_data()
            profile = cast(Profile, flags.profile or ("sample" if is_sample_data(data) else "full"))
            seed = DEFAULT_SEED if flags.seed is None else flags.seed
            return Given(self.competition.experiment(name, profile), profile, seed, data, {})
        if self.stage == "train_folds":
            settings, profile, processed = self._processed(name)
            self._same_preprocessing(settings, processed)
            seed = processed.seed if flags.seed is None else flags.seed
            return Given(settings, profile, seed, self._recorded_data(processed), {"processed": processed})
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
        if self.stage == "make_submission":
            upstream["test"] = self._needed(self.paths.test_record(name), "infer", name)
        return Given(settings, cast(Profile, oof.profile), seed, self._recorded_data(processed), upstream)

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
