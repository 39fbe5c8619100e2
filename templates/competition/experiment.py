"""What an experiment of this competition may set; an unknown key or a wrong type is one clear line.

Replace: the tables. Give every setting the field's own name, a type that refuses wrong values, and one line
on what it does.
"""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from common.run.experiments import Experiment, Settings
from competitions.my_competition.models.registry import CLASSIFIERS

Options = dict[str, int | float | str | bool]


class FeatureSettings(Settings):
    """Which features a row has."""

    ratios: bool = False
    """Whether the ratios of all pairs of readings follow the readings."""


class ModelSettings(Settings):
    """The model that is trained in each fold."""

    kind: Annotated[str, AfterValidator(CLASSIFIERS.check)]
    """A registered classifier of the room `models`."""
    options: Options = Field(default={})
    """Its own settings; its module validates them."""


class DecisionSettings(Settings):
    """Weights and threshold that are tuned on OOF predictions."""

    thresholds: Annotated[int, Field(ge=2)] = 99
    """How many thresholds are tried, evenly spaced between 0 and 1."""
    weight_step: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Step of the grid of ensemble weights; the grid suits two or three members."""


class MyExperiment(Experiment):
    """One way to predict failures: a model of its own, or an ensemble of its parents.

    1_preprocess depends on `folds` alone. Override `preprocessing` where it depends on more.
    """

    folds: Annotated[int, Field(ge=2, le=100)] = 5
    """Folds of the labelled rows; the OOF score tunes on all but one."""
    features: FeatureSettings = FeatureSettings()
    model: ModelSettings | None = None
    decision: DecisionSettings = DecisionSettings()

    @model_validator(mode="after")
    def _model_or_parents(self) -> Self:
        if (self.model is None) == (not self.parents):
            raise ValueError("set either `model` or `parents`: an ensemble trains no model of its own")
        return self
