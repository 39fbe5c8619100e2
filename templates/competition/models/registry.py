"""The classifiers that experiments.toml may name; each module of this room registers its own.

    @CLASSIFIERS.register("logistic")
    class LogisticClassifier(Classifier): ...

Names are read from the source text, so that only the module of the classifier that is used gets imported.
"""

from common.run.registry import Registry
from competitions.my_competition.models.base import Classifier

CLASSIFIERS: Registry[type[Classifier]] = Registry(
    "competitions.my_competition.models", "CLASSIFIERS", "classifier"
)
"""Name -> class, which is called with `model.options`."""
