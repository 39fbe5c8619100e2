"""Face counting: the number of faces in a photo."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from competitions.face_counting.predict.predictor import FaceCounter


def load(experiment: str = "champion", work: Path | str | None = None, device: str = "auto") -> "FaceCounter":
    """A trained experiment, ready to count the faces of any photos.

        model = load("champion", work="work/face_counting")
        table = model.predict("photos/")  # Name, HeadCount, Faces

    Parameters
    ----------
    experiment : an entry of experiments.toml that 2_train_folds.py has trained.
    work : the folder that it was trained in (the project's work/face_counting). Only the experiment's own
        folder below it is read, and its parents', neither raw nor processed data.
    device : auto, cpu or cuda.

    Raises
    ------
    InputError : the experiment is not trained there; the message names the command that trains it.
    """
    from competitions.face_counting.predict.predictor import FaceCounter

    return FaceCounter.from_training(experiment, work, device)
