from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
import torch

from common.base.errors import InputError
from common.files.weights import save_weights
from common.run.experiments import experiment_names
from competitions.face_counting.competition import COMPETITION
from competitions.face_counting.experiment import (
    SIZED,
    DetectorSettings,
    FaceCountingExperiment,
    Family,
    Size,
)
from competitions.face_counting.models.base import 
from competitions.face_counting.models.pretrained import load_pretrained

NAMES = experiment_names(COMPETITION.experiments_file)


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_parses_in_both_profiles(name: str) -> None:
    full, sample = (COMPETITION.experiment(name, profile) for profile in ("full", "sample"))
    assert isinstance(full, FaceCountingExperiment)
    assert isinstance(sample, FaceCountingExperiment)
    assert sample.folds in (2, 3)
    assert not sample.detector.pretrained
    assert sample.pictures.image <= full.pictures.image
    assert sample.augmentation.crop <= sample.pictures.image
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
    assert (best["set"], best["batch"], best["size"], best["rmse"]) == ("letterbox", 8, "x", 0.7677)


def test_networks_grow_with_their_size() -> None:
    nano, small = (build_detector(DetectorSettings(size=size)) for size in get_args(Size)[:2])
    weights = [sum(value.numel() for value in network.parameters()) for network in (nano, small)]
    assert weights[0] < 3e6 < weights[1]


def test_pretrained_without_weights_ends_in_one_line() -> None:
    settings = DetectorSettings(size="n", pretrained=True)
    with pytest.raises(InputError, match="--weights"):
        load_pretrained(build_detector(settings), settings, None)


def test_weights_of_a_classic_network_are_taken_over_where_they_fit(tmp_path: Path) -> None:
    settings = DetectorSettings(size="n", pretrained=True)
    network, given = build_detector(settings), build_detector(settings)
    with torch.no_grad():
        for value in given.parameters():
            value.fill_(0.5)
    state = {name.removeprefix("network.model."): value for name, value in given.state_dict().items()}
    head = [name for name in state if name.startswith("24.")]
    state |= {name: torch.zeros(3, 3) for name in head}  # the head of another detector
    save_weights(tmp_path / "yolov5n.safetensors", state)
    taken_over = load_pretrained(network, settings, tmp_path)
    assert taken_over == len(state) - len(head)
    head_names = {name for name, _ in network.named_parameters() if name.startswith("network.model.24.")}
    values = dict(network.named_parameters())
    assert all((values[name] == 0.5).all() for name in values.keys() - head_names)
    assert any((values[name] != 0.5).any() for name in head_names)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    settings = DetectorSettings(size="n", pretrained=True)
    save_weights(tmp_path / "yolov5n.safetensors", {"fc.weight": torch.zeros(3, 3)})
    with pytest.raises(InputError, match=r"0 of .* tensors fit yolov5n"):
        load_pretrained(build_detector(settings), settings, tmp_path)
    with pytest.raises(InputError, match="no weights for yolov5s; expected yolov5s or"):
        load_pretrained(build_detector(settings), DetectorSettings(size="s", pretrained=True), tmp_path)


def test_a_folder_of_weights_is_no_matter_to_random_first_weights(tmp_path: Path) -> None:
    settings = DetectorSettings(size="n")
    assert load_pretrained(build_detector(settings), settings, tmp_path) == 0


def test_names_of_the_usual_retinaface_weights() -> None:
    network = build_detector(DetectorSettings(family="retinaface"))
    for foreign, own in (
        ("module.body.stage1.0.0.weight", "stages.0.0.0.weight"),
        ("body.stage3.1.4.running_var", "stages.2.1.4.running_var"),
        ("fpn.output2.1.bias", "laterals.1.1.bias"),
        ("fpn.merge1.0.weight", "smoothing.0.0.weight"),
        ("ssh3.conv3X3.0.weight", "contexts.2.near.0.weight"),
        ("ssh1.conv7x7_3.1.weight", "contexts.0.widest.1.weight"),
        ("ClassHead.0.conv1x1.bias", "classes.0.bias"),
        ("BboxHead.2.conv1x1.weight", "edges.2.weight"),
    ):
        assert network.state_key(foreign) == own
        assert own in network.state_dict()
    assert network.state_key("LandmarkHead.0.conv1x1.weight") not in network.state_dict()


@pytest.mark.parametrize(
    ("family", "foreign", "own"),
    [
        ("faster_rcnn", "features.28.weight", "network.backbone.28.weight"),
        ("faster_rcnn", "classifier.0.weight", "network.roi_heads.box_head.1.weight"),
        ("faster_rcnn", "classifier.3.bias", "network.roi_heads.box_head.4.bias"),
        ("faster_rcnn_fpn", "layer4.2.conv3.weight", "network.backbone.body.layer4.2.conv3.weight"),
        ("faster_rcnn_fpn", "rpn.head.cls_logits.bias", "network.rpn.head.cls_logits.bias"),
        ("ssd", "backbone.features.0.weight", "network.backbone.features.0.weight"),
        ("ssd_yolov5", "model.9.cv1.conv.weight", "network.backbone.layers.9.cv1.conv.weight"),
        ("faster_rcnn_yolov5", "9.cv1.conv.weight", "network.backbone.features.layers.9.cv1.conv.weight"),
        ("yolov5_coco", "model.24.m.1.bias", "heads.1.bias"),
        ("yolov5_coco", "model.0.conv.weight", "features.layers.0.conv.weight"),
    ],
)
def test_names_of_given_weights(family: Family, foreign: str, own: str) -> None:
    size: Size | None = "n" if family in SIZED else None
    # Names alone: large networks are not filled. ultralytics' cannot be built so, and the smallest need not.
    with torch.device("cpu" if size else "meta"):
        network = build_detector(DetectorSettings(family=family, size=size))
    assert network.state_key(foreign) == own
    assert own in network.state_dict()


def test_untouched_weights_must_be_given() -> None:
    with pytest.raises(ValueError, match="pretrained"):
        FaceCountingExperiment.model_validate({"name": "any", "training": {"epochs": 0}})


@pytest.mark.parametrize(
    "settings",
    [
        {"family": "yolo11"},
        {"family": "retinaface", "size": "n"},
        {"size": "n", "anchors": "fitted"},
        {"size": "n", "classes": "coco"},
    ],
)
def test_settings_that_do_not_belong_to_a_family(settings: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"size|anchors|classes"):
        DetectorSettings.model_validate(settings)
