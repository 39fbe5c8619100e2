from typing import Any

import pytest

from common.base.errors import InputError
from common.run.experiments import experiment_names
from competitions.etci_flood.competition import COMPETITION
from competitions.etci_flood.experiment import FloodExperiment, NetworkSettings, TrainingSettings
from competitions.etci_flood.models.base import model_kind

NAMES = experiment_names(COMPETITION.experiments_file)


def settings(**changes: Any) -> FloodExperiment:
    return FloodExperiment(name="test", **changes)


def test_all_rows_of_the_papers_table_are_there() -> None:
    rows = {COMPETITION.experiment(name, "full").paper for name in NAMES} - {None}
    assert rows == {f"Table 2, row {row}" for row in range(1, 12)}


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_suits_its_kind_of_model(name: str) -> None:
    for own in (COMPETITION.experiment(name, "sample"), COMPETITION.experiment(name, "full")):
        model_kind(own)


def test_experiments_name_the_weights_that_they_need() -> None:
    full = {name: COMPETITION.experiment(name, "full").weights_needed() for name in NAMES}
    assert {name for name, weights in full.items() if weights} == {
        name for name in NAMES if "imagenet" in name
    }
    assert full["unet_vgg19_imagenet_all"] == ["vgg19"]
    assert not any(COMPETITION.experiment(name, "sample").weights_needed() for name in NAMES)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "ensemble", "parents": ["a"]}, "at least two"),
        ({"parents": ["a"]}, "at least two; one is for"),
        ({"training": TrainingSettings(pseudo_labels=True)}, "needs one parent"),
        (
            {"model": "forest"},
            "unknown kind of model 'forest'; expected one of: ensemble, network, pixel_lgbm",
        ),
        ({"folds": 4}, "a spatial split has 1 to 3 folds"),
    ],
)
def test_contradictory_settings_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        settings(**changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "ensemble"}, "an ensemble needs at least two"),
        ({"parents": ["a", "b"]}, "a network takes a parent for"),
        ({"model": "pixel_lgbm", "parents": ["a", "b"]}, "takes no parents"),
        ({"options": {"depth": 3}}, r"options\.depth: is no known key; expected no options"),
    ],
)
def test_settings_that_a_kind_of_model_does_not_use_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        model_kind(settings(**changes))


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"unknown segmentation network 'vnet'; expected one of: .*unetplusplus"
    ):
        NetworkSettings(architecture="vnet")
