"""Folds do not leak, and a fold's score does not see its own labels."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.base.errors import InputError
from common.base.paths import WorkPaths
from competitions.my_competition.competition import COMPETITION
from competitions.my_competition.data.folds import machine_folds
from competitions.my_competition.data.tables import read_train
from competitions.my_competition.decision.tuning import Decision, cross_fitted, tune, weight_grid
from competitions.my_competition.experiment import DecisionSettings
from competitions.my_competition.rules.metric import f1_score


def test_no_machine_lies_in_two_folds(sample: Callable[[str], Path]) -> None:
    train = read_train(sample("my_competition"))
    train["fold"] = machine_folds(train, 3, seed=1)
    assert set(train["fold"]) == {0, 1, 2}
    assert (train.groupby("machine")["fold"].nunique() == 1).all()
    assert (train.groupby("fold")["fails"].sum() > 0).all()
    with pytest.raises(InputError, match="groups cannot be cut into"):
        machine_folds(train, 1000, seed=1)


def test_every_labelled_row_is_predicted_once(trained: Callable[[str], WorkPaths]) -> None:
    paths = trained("my_competition")
    train = pd.read_parquet(paths.processed() / "train.parquet")
    for name in ("champion", *COMPETITION.experiment("champion", "sample").parents):
        oof = pd.read_parquet(paths.experiment(name) / "oof.parquet")
        assert sorted(oof["id"]) == sorted(train["id"])
        merged = oof.merge(train, on="id")
        assert (merged["fold_x"] == merged["fold_y"]).all()


def test_the_threshold_of_highest_f1_is_found() -> None:
    probability = np.array([[0.1], [0.35], [0.4], [0.8]])
    decision = tune(probability, np.array([0, 1, 0, 1]), DecisionSettings())
    assert decision.weights == [1.0]
    # Both failures and one false alarm: F1 = 4 / 5, more than 2 / 3 above 0.4.
    assert decision.threshold == pytest.approx(0.11)


def test_the_better_member_gets_the_weight() -> None:
    labels = np.array([0, 1] * 20)
    noise = np.random.default_rng(1).random(40)
    decision = tune(np.stack([noise, 0.1 + 0.8 * labels], axis=1), labels, DecisionSettings())
    assert f1_score(decision.predicted(decision.probability(np.stack([noise, labels], 1))), labels) == 1
    assert decision.weights[1] > decision.weights[0]


def test_weights_add_up_to_one() -> None:
    assert weight_grid(1, 0.1) == [(1.0,)]
    assert weight_grid(2, 0.5) == [(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)]
    assert all(sum(weights) == pytest.approx(1) for weights in weight_grid(3, 0.1))


def test_a_fold_is_decided_by_the_other_folds() -> None:
    """Turning the labels of a fold around changes nothing of its own predictions."""
    generator = np.random.default_rng(3)
    members, folds = generator.random((60, 2)), np.repeat([0, 1, 2], 20)
    labels = (members[:, 0] > 0.6).astype(np.int64)
    turned = np.where(folds == 1, 1 - labels, labels)
    before, after = (cross_fitted(members, each, folds, DecisionSettings()) for each in (labels, turned))
    assert (before[folds == 1] == after[folds == 1]).all()
    assert (before != after).any(), "it decides the other folds"


def test_a_decision_outlives_its_record() -> None:
    decision = Decision([0.25, 0.75], 0.4)
    assert Decision.from_record(decision.as_record()) == decision
