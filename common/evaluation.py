"""Finished experiments found on disk, and their submissions validated and scored."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from common.atomic import write_text
from common.competition import Competition, Finished
from common.experiments import experiment_names
from common.paths import WorkPaths
from common.run_record import RunRecord, digest, file_sha256, read_record


class Evaluation(BaseModel):
    """What became of one submission."""

    model_config = ConfigDict(extra="forbid")

    signature: str
    """Hash of the submission, the truth and the run records: the evaluation holds while it stays the same."""
    faults: list[str]
    """Every breach of the official format; empty when the submission is valid."""
    score: float | None
    """The official metric on the test split; None where its truth is withheld."""
    details: dict[str, float]
    baselines: dict[str, float]
    """Scores of naive submissions on the same test split."""


def finished_experiments(competition: Competition, work: Path) -> list[Finished]:
    """All experiments below `work` whose submission is made, in the order of experiments.toml."""
    paths = WorkPaths(work)
    found = []
    for name in experiment_names(competition.experiments_file):
        if not paths.submission_record(name).is_file():
            continue
        records, parents = _records_of(competition, paths, name)
        from_parents = [each for parent in parents for each in _records_of(competition, paths, parent)[0][1:]]
        data = Path(records[-1].data)
        truth = data / competition.truth_name
        found.append(Finished(name, work, data, records, truth if truth.exists() else None, from_parents))
    return found


def _records_of(competition: Competition, paths: WorkPaths, name: str) -> tuple[list[RunRecord], list[str]]:
    """Records of all stages of a finished experiment, preprocessing first, and the names of its parents."""
    submission = read_record(paths.submission_record(name))
    settings = competition.experiment_model.model_validate(submission.experiment)
    files = [paths.processed(settings.processed_variant()) / "run.json"]
    files += [paths.fold(name, fold) / "run.json" for fold in range(settings.folds)]
    files += [paths.oof_record(name), paths.test_record(name)]
    return [read_record(file) for file in files if file.is_file()] + [submission], settings.parents


def stage_record(finished: Finished, stage: str) -> RunRecord | None:
    """The record of one stage (of `out_of_fold`, too), or None."""
    return next((record for record in finished.records if record.stage == stage), None)


def evaluate(competition: Competition, finished: Finished, kept: Path) -> Evaluation:
    """Validate and score a submission; the file `kept` keeps the answer for the next time."""
    submission = WorkPaths(finished.work).submission(finished.experiment, competition.submission_suffix)
    signature = evaluation_signature(finished, submission)
    if kept.is_file():
        try:
            evaluation = Evaluation.model_validate_json(kept.read_bytes())
            if evaluation.signature == signature:
                return evaluation
        except ValidationError:
            kept.unlink()
    faults = competition.validate(submission, finished.data)
    score, baselines = None, {}
    if finished.truth is not None and not faults:
        score = competition.score(submission, finished.truth)
        baselines = competition.baselines(finished.data, finished.truth)
    evaluation = Evaluation(
        signature=signature,
        faults=faults,
        score=score.value if score else None,
        details=score.details if score else {},
        baselines=baselines,
    )
    write_text(kept, evaluation.model_dump_json(indent=1) + "\n")
    return evaluation


def evaluation_signature(finished: Finished, submission: Path) -> str:
    """Hash of everything that an evaluation and its pictures are made from."""
    truth = str(finished.truth.stat().st_mtime_ns) if finished.truth else ""
    content = [record.signature + record.finished for record in finished.records]
    return digest([content, file_sha256(submission) if submission.is_file() else "", truth])


def naive_baseline(competition: Competition, baselines: dict[str, float]) -> tuple[str, float] | None:
    """Name and score of the best submission that needs no skill; None without a truth."""
    naive = {name: value for name, value in baselines.items() if name.startswith(competition.naive)}
    if not naive:
        return None
    best = (max if competition.higher_is_better else min)(naive, key=lambda name: naive[name])
    return best, naive[best]
