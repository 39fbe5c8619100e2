"""Shopee Price Match Guarantee: find the listings of the same product by picture and title."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from competitions.shopee_matching.predict.predictor import ListingMatcher


def load(
    experiment: str = "champion", work: Path | str | None = None, device: str = "auto"
) -> "ListingMatcher":
    """A trained experiment that matches any catalogue.

        model = load("champion", work="work/shopee_matching") table = model.predict("shop.csv",
        images="photos/", columns={"id": "sku", "title": "name", "image": "photo"})

    Parameters
    ----------
    experiment : a name in experiments.toml, trained by 1_preprocess.py and 2_train_folds.py.
    work : work folder; it only needs the experiment's folder and those of its parents.
    device : auto, cpu or cuda.

    Raises
    ------
    InputError : the experiment is not trained in that folder.
    """
    from common.run.trained import trained_experiment
    from competitions.shopee_matching.competition import COMPETITION
    from competitions.shopee_matching.predict.predictor import ListingMatcher

    trained = trained_experiment(COMPETITION, experiment, work)
    trained.log_sample_data()
    return ListingMatcher(trained, device)
