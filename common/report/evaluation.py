"""Finished experiments found on disk, and their submissions validated and scored."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from common.base.atomic import write_text
from common.base.paths import WorkPaths
from common.run.competition import Competition, Finished
from common.run.experiments import experiment_names
from common.run.run_record import RunRecord, file_sha256, read_record, record_hash, short_hash


class Evaluation(BaseModel):
    """What became of one submission."""

    model_config = ConfigDict(extra="forbid")

    inputs_hash: str
    """Hash of the submission, the truth and the run records: the evaluation holds while it stays the same."""
    faults: list[str]
    """Every breach of the official format; empty when the submission is valid."""
    score: float | None
    """The official metric on the test split; None where its truth is withheld."""
    details: dict[str, float]
    baselines: dict[str, float]
    """Scores of baseline submissions on the same test split."""


def finished_experiments(competition: Competition, work: Path) -> list[Finished]:
    """All experiments below `work` whose submission is made, in the order of experiments.toml.

    Runs with --set follow their experiment.
    """
    paths = WorkPaths(work)
    found = []
    names = experiment_names(competition.experiments_file)
    variants = sorted(folder.name for folder in work.glob("*+*") if folder.is_dir())
    runs = [run for name in names for run in (name, *(v for v in variants if v.startswith(f"{name}+")))]
    for name in runs:
        if not paths.submission_record(name).is_file():
            continue
        records, parents = _records_of(competition, paths, name)
        from_parents = [each for parent in parents for each in _records_of(competition, paths, parent)[0][1:]]
        data = Path(records[-1].data)
        truth = data / competition.truth_name
        stale = tuple(_stale(competition, paths, name))
        found.append(
            Finished(name, work, data, records, truth if truth.exists() else None, from_parents, stale)
        )
    return found


def _stale(competition: Competition[Any], paths: WorkPaths, name: str) -> list[str]:
    """Stages whose inputs were made again since they ran, one line each; their results are of another run."""
    records, parents = _records_of(competition, paths, name)
    upstream = {"processed": records[0]} if records[0].stage == "preprocess" else {}
    upstream |= {f"fold{record.fold}": record for record in records if record.fold is not None}
    upstream |= {{"out_of_fold": "oof", "infer": "test"}.get(r.stage, ""): r for r in records}
    for parent in parents:
        of_parent = {record.stage: record for record in _records_of_parent(paths, parent)}
        upstream |= {
            f"{parent}/{key}": of_parent[stage]
            for stage, key in (("out_of_fold", "oof"), ("infer", "test"))
            if stage in of_parent
        }
    current = {key: record_hash(record) for key, record in upstream.items()}
    lines = []
    for record in records:
        changed = [key for key, used in record.inputs.items() if key in current and used != current[key]]
        if changed:
            unit = record.stage if record.fold is None else f"{record.stage} of fold {record.fold}"
            lines.append(f"{unit} is of an earlier run: {', '.join(changed)} changed since; run it again")
    return lines


def _records_of_parent(paths: WorkPaths, parent: str) -> list[RunRecord]:
    files = (paths.oof_record(parent), paths.test_record(parent))
    return [read_record(file) for file in files if file.is_file()]


def _records_of(competition: Competition, paths: WorkPaths, name: str) -> tuple[list[RunRecord], list[str]]:
    """Records of all stages of a finished experiment, preprocessing first, and the names of its parents."""
    submission = read_record(paths.submission_record(name))
    settings = competition.recorded_experiment(submission)
    files = [paths.processed(settings.processed_folder()) / "run.json"]
    files += [paths.fold(name, fold) / "run.json" for fold in range(settings.folds)]
    files += [paths.oof_record(name), paths.test_record(name)]
    return [read_record(file) for file in files if file.is_file()] + [submission], settings.parents


def stage_record(finished: Finished, stage: str) -> RunRecord | None:
    """The record of one stage (of `out_of_fold`, too), or None."""
    return next((record for record in finished.records if record.stage == stage), None)


def evaluate(competition: Competition, finished: Finished, kept: Path) -> Evaluation:
    """Validate and score a submission; the file `kept` keeps the answer for the next time."""
    submission = WorkPaths(finished.work).submission(finished.experiment, competition.submission_suffix)
    inputs_hash = evaluation_hash(finished, submission)
    if kept.is_file():
        try:
            evaluation = Evaluation.model_validate_json(kept.read_bytes())
            if evaluation.inputs_hash == inputs_hash:
                return evaluation
        except ValidationError:
            kept.unlink()
    faults = [*finished.stale, *competition.validate(submission, finished.data)]
    score, baselines = None, {}
    if finished.truth is not None and not faults:
        score = competition.score(submission, finished.truth)
        baselines = competition.baselines(finished.data, finished.truth)
    evaluation = Evaluation(
        inputs_hash=inputs_hash,
        faults=faults,
        score=score.value if score else None,
        details=score.details if score else {},
        baselines=baselines,
    )
    write_text(kept, evaluation.model_dump_json(indent=1) + "\n")
    return evaluation


def evaluation_hash(finished: Finished, submission: Path) -> str:
    """Hash of everything that an evaluation and its pictures are made from."""
    truth = str(finished.truth.stat().st_mtime_ns) if finished.truth else ""
    content = [record.inputs_hash + record.finished for record in finished.records]
    return short_hash(
        [content, finished.stale, file_sha256(submission) if submission.is_file() else "", truth]
    )


def best_baseline(competition: Competition, baselines: dict[str, float]) -> tuple[str, float] | None:
    """Name and score of the best submission that needs no model; None without a truth."""
    model_free = {name: value for name, value in baselines.items() if name.startswith(competition.model_free)}
    if not model_free:
        return None
    best = (max if competition.higher_is_better else min)(model_free, key=lambda name: model_free[name])
    return best, model_free[best]
