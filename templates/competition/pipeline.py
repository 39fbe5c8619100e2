"""The four stages, in the order in which a paper's method section tells them.

Replace: the body of each function. A stage function takes a Job, writes whole files below the work folder and
returns a Result; common/run/stage.py does the rest (flags, run.json, "done already", parents, faults).
"""

import numpy as np
import pandas as pd

from common.base.atomic import atomic_write
from common.base.errors import InputError
from common.base.paths import display_path
from common.files.submission_table import id_faults
from common.files.tables import write_table
from common.learn.seeding import derived_seed
from common.run.job import Job, Result
from competitions.my_competition.data.features import feature_matrix, feature_names
from competitions.my_competition.data.folds import machine_folds
from competitions.my_competition.data.tables import (
    GROUP,
    ID,
    LABEL,
    missing_readings,
    read_test,
    read_train,
    submission_ids,
)
from competitions.my_competition.decision.tuning import Decision, cross_fitted, tune
from competitions.my_competition.experiment import MyExperiment
from competitions.my_competition.models.registry import CLASSIFIERS
from competitions.my_competition.predict.predictor import Predictor
from competitions.my_competition.rules.baselines import baseline_metrics
from competitions.my_competition.rules.metric import f1_score, grouped_f1_interval
from competitions.my_competition.rules.submission import submission_faults, write_submission


def preprocess(job: Job[MyExperiment]) -> Result:
    """Raw tables -> checked tables, the labelled rows with their folds, the test rows in submission order."""
    train, test = read_train(job.data), read_test(job.data)
    ids = submission_ids(job.data)
    for fault in id_faults(ids, test[ID].tolist(), ordered=False):
        raise InputError(f"{display_path(job.data / 'sample_submission.csv')}: {fault}")
    test = test.set_index(ID).loc[ids].reset_index()
    for name, table in (("train.csv", train), ("test.csv", test)):
        for fault in missing_readings(table):
            job.warn(f"{name}: {fault}")
    train["fold"] = machine_folds(train, job.settings.folds, job.seed)
    paths = [job.processed / "train.parquet", job.processed / "test.parquet"]
    write_table(paths[0], train)
    write_table(paths[1], test)
    return Result(paths, metrics={"train_rows": len(train), "test_rows": len(test)})


def train_fold(job: Job[MyExperiment]) -> Result:
    """Train on the other folds, predict the held-out rows; an ensemble collects its parents' predictions."""
    train = pd.read_parquet(job.processed / "train.parquet")
    held_out = (train["fold"] == job.fold).to_numpy()
    oof = train.loc[held_out, [ID, GROUP, LABEL]].reset_index(drop=True)
    outputs = []
    for parent in job.settings.parents:
        members = pd.read_parquet(job.paths.experiment(parent) / "oof.parquet").set_index(ID)
        oof[parent] = members.loc[oof[ID], "probability"].to_numpy()
    if job.settings.model is not None:
        features = feature_matrix(train, job.settings.features)
        model = CLASSIFIERS[job.settings.model.kind](job.settings.model.options)
        labels = train.loc[~held_out, LABEL].to_numpy()
        if len(np.unique(labels)) < 2:
            raise InputError(f"fold {job.fold}: all other rows have the same label; give more data")
        seed = derived_seed(job.seed, "fold", job.fold)
        model.fit(features[~held_out], labels, feature_names(job.settings.features), seed)
        outputs += model.save(job.fold_folder)
        oof[job.settings.name] = model.predict(features[held_out])
    path = job.fold_folder / "oof.parquet"
    write_table(path, oof)
    return Result([*outputs, path], metrics={"held_out_rows": len(oof)})


def pool_folds(job: Job[MyExperiment]) -> Result:
    """Tune weights and threshold on all OOF predictions; the score is cross-fitted, hence honest."""
    tables = [pd.read_parquet(folder / "oof.parquet") for folder in job.fold_folders]
    oof = pd.concat([table.assign(fold=fold) for fold, table in enumerate(tables)], ignore_index=True)
    members = oof[job.settings.parents or [job.settings.name]].to_numpy()
    labels, folds, machines = (oof[column].to_numpy() for column in (LABEL, "fold", GROUP))
    decision = tune(members, labels, job.settings.decision)
    predicted = cross_fitted(members, labels, folds, job.settings.decision)

    low, high = grouped_f1_interval(predicted, labels, machines, job.seed)
    metrics = {"f1": f1_score(predicted, labels), "f1_low": low, "f1_high": high}
    metrics |= baseline_metrics(pd.read_parquet(job.processed / "train.parquet"))
    path = job.paths.experiment(job.settings.name) / "oof.parquet"
    pooled = oof[[ID, GROUP, LABEL, "fold"]]
    write_table(path, pooled.assign(probability=decision.probability(members), predicted=predicted))
    return Result([path], metrics=metrics, decision=decision.as_record())


def infer(job: Job[MyExperiment]) -> Result:
    """Predict the test split with the same object as a table of the user's own."""
    test = pd.read_parquet(job.processed / "test.parquet")
    probability = Predictor.load(job.settings.name, job.paths.work).probability(test)
    path = job.paths.test(job.settings.name, ".parquet")
    write_table(path, pd.DataFrame({ID: test[ID], "probability": probability}))
    return Result([path])


def make_submission(job: Job[MyExperiment]) -> Result:
    """Apply the tuned threshold; the file appears only if it is valid."""
    test = pd.read_parquet(job.paths.test(job.settings.name, ".parquet"))
    decision = Decision.from_record(job.upstream["oof"].decision)
    predicted = decision.predicted(test["probability"].to_numpy())
    path = job.paths.submission(job.settings.name, ".csv")
    with atomic_write(path) as partial:
        write_submission(partial, test[ID].tolist(), predicted)
        faults = submission_faults(partial, job.data)
        if faults:
            raise InputError(f"no valid submission: {'; '.join(faults)}; run 1_preprocess.py again")
    return Result([path], metrics={"rows": len(test), "predicted_failures": int(predicted.sum())})
