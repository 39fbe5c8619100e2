from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
import torch

from common.errors import InputError
from common.experiments import experiment_names
from common.weights import save_weights
from competitions.face_counting.competition import COMPETITION
from competitions.face_counting.detector import build_detector
from competitions.face_counting.experiment import DetectorSettings, FaceCountingExperiment, Size
from competitions.face_counting.starting_weights import take_over_weights

NAMES = experiment_names(COMPETITION.experiments_file)


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_parses_in_both_profiles(name: str) -> None:
    full, sample = (COMPETITION.experiment(name, profile) for profile in ("full", "sample"))
    assert isinstance(full, FaceCountingExperiment)
    assert isinstance(sample, FaceCountingExperiment)
    assert sample.folds in (2, 3)
    assert not sample.detector.pretrained
    assert sample.pictures.canvas <= full.pictures.canvas
    assert full.about


def test_the_table_of_the_article_is_complete() -> None:
    rows = []
    for name in NAMES:
        settings = COMPETITION.experiment(name, "full")
        assert isinstance(settings, FaceCountingExperiment)
        if settings.paper:
            rows.append(
                (settings.pictures.set, settings.training.batch, settings.detector.size, settings.reported)
            )
            assert name == f"yolov5{rows[-1][2]}_{rows[-1][0]}_batch{rows[-1][1]}"
            assert settings.detector.pretrained
            assert (settings.split, settings.folds, settings.training.optimizer) == ("printed", 1, "sgd")
    table = pd.DataFrame(rows, columns=["set", "batch", "size", "rmse"])
    assert len(table.drop_duplicates(["set", "batch", "size"])) == 36
    best = table.sort_values("rmse").iloc[0]
    assert (best["set"], best["batch"], best["size"], best["rmse"]) == ("white_canvas", 8, "x", 0.7677)


@pytest.mark.parametrize("size", get_args(Size))
def test_every_network_builds(size: Size) -> None:
    network = build_detector(DetectorSettings(size=size)).eval()
    with torch.inference_mode():
        found = network(torch.zeros(1, 3, 64, 64))[0]
    # One class: 4 numbers of the box and its confidence, at strides 8, 16 and 32.
    assert found.shape == (1, 5, 8 * 8 + 4 * 4 + 2 * 2)


def test_networks_grow_with_their_size() -> None:
    nano, small = (build_detector(DetectorSettings(size=size)) for size in get_args(Size)[:2])
    weights = [sum(value.numel() for value in network.parameters()) for network in (nano, small)]
    assert weights[0] < 3e6 < weights[1]


def test_pretrained_without_weights_ends_in_one_line() -> None:
    settings = DetectorSettings(size="n", pretrained=True)
    with pytest.raises(InputError, match="--weights"):
        take_over_weights(build_detector(settings), settings, None)


def test_weights_of_a_classic_network_are_taken_over_where_they_fit(tmp_path: Path) -> None:
    settings = DetectorSettings(size="n", pretrained=True)
    network, given = build_detector(settings), build_detector(settings)
    with torch.no_grad():
        for value in given.parameters():
            value.fill_(0.5)
    state = {name.removeprefix("model."): value for name, value in given.state_dict().items()}
    head = [name for name in state if name.startswith("24.")]
    state |= {name: torch.zeros(3, 3) for name in head}  # the head of another detector
    save_weights(tmp_path / "yolov5n.safetensors", state)
    taken_over = take_over_weights(network, settings, tmp_path)
    assert taken_over == len(state) - len(head)
    assert all(
        (value == 0.5).all() for name, value in network.named_parameters() if not name.startswith("model.24.")
    )
    assert any(
        (value != 0.5).any() for name, value in network.named_parameters() if name.startswith("model.24.")
    )


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    settings = DetectorSettings(size="n")
    save_weights(tmp_path / "yolov5n.safetensors", {"fc.weight": torch.zeros(3, 3)})
    with pytest.raises(InputError, match=r"0 of .* tensors fit yolov5n"):
        take_over_weights(build_detector(settings), settings, tmp_path)
    with pytest.raises(InputError, match="no weights for yolov5s; expected yolov5s or"):
        take_over_weights(build_detector(settings), DetectorSettings(size="s"), tmp_path)
