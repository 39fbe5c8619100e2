"""Logistic regression on standardised features; a missing one is replaced by the training median."""

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field, ValidationError
from sklearn.linear_model import LogisticRegression

from common.base.atomic import write_text
from common.base.errors import InputError
from common.base.paths import display_path
from common.learn.arrays import Float64, Int64
from common.run.experiments import Settings
from competitions.my_competition.models.base import Classifier
from competitions.my_competition.models.registry import CLASSIFIERS


class LogisticOptions(Settings):
    """Settings of scikit-learn's LogisticRegression."""

    C: Annotated[float, Field(gt=0)] = 1.0
    """Inverse strength of the L2 penalty."""


class Coefficients(BaseModel):
    """All that a trained model is; lists have one entry per feature."""

    median: list[float]
    mean: list[float]
    scale: list[float]
    weight: list[float]
    intercept: float


@CLASSIFIERS.register("logistic")
class LogisticClassifier(Classifier):
    """Linear in the standardised features."""

    Options = LogisticOptions
    fitted: Coefficients

    def fit(self, features: Float64, labels: Int64, names: list[str], seed: int) -> None:  # noqa: ARG002
        """Deterministic: the solver needs no seed."""
        median = np.nanmedian(features, axis=0)
        filled = np.where(np.isnan(features), median, features)
        mean, scale = filled.mean(axis=0), np.maximum(filled.std(axis=0), 1e-12)
        regression = LogisticRegression(C=self.options.C, max_iter=1000)
        regression.fit((filled - mean) / scale, labels)
        self.fitted = Coefficients(
            median=median.tolist(),
            mean=mean.tolist(),
            scale=scale.tolist(),
            weight=regression.coef_[0].tolist(),
            intercept=float(regression.intercept_[0]),
        )

    def predict(self, features: Float64) -> Float64:
        """(rows,) probabilities."""
        model = self.fitted
        filled = np.where(np.isnan(features), model.median, features)
        logits = (filled - model.mean) / model.scale @ np.asarray(model.weight) + model.intercept
        return np.asarray(1 / (1 + np.exp(-logits)), np.float64)

    def save(self, folder: Path) -> list[Path]:
        """model.json: the coefficients as text, never a pickle."""
        write_text(folder / "model.json", self.fitted.model_dump_json(indent=1) + "\n")
        return [folder / "model.json"]

    def restore(self, folder: Path) -> None:
        """From model.json."""
        path = folder / "model.json"
        try:
            self.fitted = Coefficients.model_validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):
            raise InputError(
                f"{display_path(path)}: missing or damaged; run 2_train_folds.py again"
            ) from None
