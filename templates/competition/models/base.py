"""The interface of all classifiers: the stages and the predictor know nothing else of a model.

Replace: the methods, if your models take something other than a feature matrix.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from common.run.experiments import Settings, read_options

if TYPE_CHECKING:
    from common.learn.arrays import Float64, Int64


class Classifier(ABC):
    """A model of one fold: features -> probability of a failure."""

    Options: ClassVar[type[Settings]]
    """The settings that `model.options` may hold."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options: Any = read_options(self.Options, options, "model.options")

    @abstractmethod
    def fit(self, features: "Float64", labels: "Int64", names: list[str], seed: int) -> None:
        """Train on (rows, features), NaN where unknown, and (rows,) labels 0 and 1."""

    @abstractmethod
    def predict(self, features: "Float64") -> "Float64":
        """(rows,) probabilities of a failure."""

    @abstractmethod
    def save(self, folder: Path) -> list[Path]:
        """Write all that `restore` needs; the files written."""

    @abstractmethod
    def restore(self, folder: Path) -> None:
        """Read what `save` wrote; InputError when it is missing or damaged."""
