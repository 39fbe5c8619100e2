"""A trained experiment as one object: models of all folds, weights and threshold.

3_infer and `load` use it alike. It reads the experiment's own folder and its parents', nothing else.
Replace: what `predict` takes and returns.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from common.base.console import log
from common.files.tables import write_table
from common.learn.arrays import Float64
from common.run.job import Result
from common.run.own_data import OwnDataJob
from common.run.trained import TrainedExperiment, trained_experiment
from competitions.my_competition.competition import COMPETITION
from competitions.my_competition.data.features import feature_matrix
from competitions.my_competition.data.tables import (
    ID,
    LABEL,
    READINGS,
    checked_table,
    missing_readings,
    read_own_readings,
)
from competitions.my_competition.decision.tuning import Decision
from competitions.my_competition.experiment import MyExperiment
from competitions.my_competition.models.base import Classifier
from competitions.my_competition.models.registry import CLASSIFIERS

COLUMNS = (ID, *READINGS)
"""What own data must have."""


@dataclass(frozen=True)
class Predictor:
    """Predicts tables of readings."""

    settings: MyExperiment
    decision: Decision
    folds: list[Classifier]
    """One model per fold; none in an ensemble."""
    members: list["Predictor"]
    """The parents of an ensemble."""

    @classmethod
    def load(cls, experiment: str = "champion", work: Path | str | None = None) -> "Predictor":
        """Read a trained experiment and its parents; InputError when one is missing or damaged."""
        trained = trained_experiment(COMPETITION, experiment, work)
        trained.log_sample_data()
        return cls._of(trained)

    @classmethod
    def _of(cls, trained: TrainedExperiment[MyExperiment]) -> "Predictor":
        folds = []
        if trained.settings.model is not None:
            for folder in trained.fold_folders:
                model = CLASSIFIERS[trained.settings.model.kind](trained.settings.model.options)
                model.restore(folder)
                folds.append(model)
        decision = Decision.from_record(trained.decision)
        return cls(trained.settings, decision, folds, [cls._of(parent) for parent in trained.parents()])

    def predict(self, table: pd.DataFrame | Path | str, tell: Callable[[str], None] = log) -> pd.DataFrame:
        """One row per row of a table, or of a file: id, probability of a failure, fails (0 or 1).

        Parameters
        ----------
        tell : is given a line on how a file was read.

        Raises
        ------
        InputError : a column is missing, an id occurs twice, or a cell is not a number (it may be empty).
        """
        if isinstance(table, pd.DataFrame):
            checked = checked_table(table, COLUMNS, "the table")
        else:
            checked, understood = read_own_readings(Path(table).expanduser())
            tell(understood)
        probability = self.probability(checked)
        return pd.DataFrame(
            {ID: checked[ID], "probability": probability, LABEL: self.decision.predicted(probability)}
        )

    def probability(self, table: pd.DataFrame) -> Float64:
        """(rows,) probabilities for a checked table: mean over folds, weighted mean over members."""
        if self.members:
            columns = [member.probability(table) for member in self.members]
        else:
            features = feature_matrix(table, self.settings.features)
            columns = [np.mean([model.predict(features) for model in self.folds], axis=0)]
        return self.decision.probability(np.stack(columns, axis=1))


def predict_own_table(job: OwnDataJob[MyExperiment]) -> Result:
    """`3_infer.py --table FILE`: the prediction as a CSV file below the experiment's folder."""
    table, understood = read_own_readings(job.stage_args.table)
    job.understood(understood)
    for fault in missing_readings(table):
        job.warn(fault)
    predicted = Predictor.load(job.experiment, job.paths.work).predict(table)
    path = job.output(".csv")
    write_table(path, predicted)
    return Result([path], metrics={"rows": len(predicted), "predicted_failures": int(predicted[LABEL].sum())})
