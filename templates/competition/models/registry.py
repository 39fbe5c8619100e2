"""The classifiers that experiments.toml may name; each module of this room registers its own.

    @CLASSIFIERS.register("logistic")
    class LogisticClassifier(Classifier): ...

Names are read from the source text: this module stays light, and imports none of them.
"""

from typing import TYPE_CHECKING

from common.run.registry import Registry

if TYPE_CHECKING:
    from competitions.my_competition.models.base import Classifier

CLASSIFIERS: Registry[type["Classifier"]] = Registry(
    "competitions.my_competition.models", "CLASSIFIERS", "classifier"
)
