"""LightGBM (Ke et al. 2017): gradient-boosted trees; a missing reading goes to the better side of a split."""

from pathlib import Path
from typing import Annotated

import lightgbm
import numpy as np
from pydantic import Field

from common.learn.arrays import Float64, Int64
from common.learn.boosting import load_booster, save_booster, train_lightgbm
from common.run.experiments import Settings
from competitions.my_competition.models.base import Classifier
from competitions.my_competition.models.registry import CLASSIFIERS


class LightGBMOptions(Settings):
    """LightGBM's own names."""

    num_boost_round: Annotated[int, Field(ge=1)] = 100
    num_leaves: Annotated[int, Field(ge=2)] = 8
    learning_rate: Annotated[float, Field(gt=0)] = 0.1
    min_data_in_leaf: Annotated[int, Field(ge=1)] = 20


@CLASSIFIERS.register("lightgbm")
class LightGBMClassifier(Classifier):
    """One booster; the same seed gives the same trees."""

    Options = LightGBMOptions
    booster: lightgbm.Booster

    def fit(self, features: Float64, labels: Int64, names: list[str], seed: int) -> None:
        """One thread: on a few thousand rows more threads cost more than they gain."""
        self.booster = train_lightgbm(
            features,
            labels,
            objective="binary",
            seed=seed,
            num_threads=1,
            feature_names=names,
            **self.options.model_dump(),
        )

    def predict(self, features: Float64) -> Float64:
        """(rows,) probabilities."""
        return np.asarray(self.booster.predict(features, num_threads=1), np.float64)

    def save(self, folder: Path) -> list[Path]:
        """model.txt in LightGBM's text format."""
        save_booster(folder / "model.txt", self.booster)
        return [folder / "model.txt"]

    def restore(self, folder: Path) -> None:
        """From model.txt."""
        self.booster = load_booster(folder / "model.txt")
