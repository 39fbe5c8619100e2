"""My competition: which machines fail. Three lines predict with a trained model:

    from competitions.my_competition import load
    model = load()
    table = model.predict("readings.csv")

Replace: title, names and the example.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from competitions.my_competition.predict.predictor import Predictor


def load(
    experiment: str = "champion",
    work: Path | str | None = None,
    device: str = "auto",  # noqa: ARG001  (the same three arguments in every competition)
) -> "Predictor":
    """Load a trained experiment: models of all folds, tuned weights and threshold.

    Parameters
    ----------
    experiment : name of an entry of experiments.toml that was trained.
    work : folder that holds the experiment's folder and those of its parents; None is work/my_competition.
    device : unused, because these models run on the CPU. A network takes auto, cpu or cuda.

    Raises
    ------
    InputError : the experiment is not trained there.

    Examples
    --------
    >>> model = load("champion", work="work/my_competition")  # doctest: +SKIP
    >>> model.predict("readings.csv")[["id", "probability", "fails"]]  # doctest: +SKIP
    """
    from competitions.my_competition.predict.predictor import Predictor

    return Predictor.load(experiment, work)
