from pathlib import Path

import pandas as pd
import pytest
import torch

from common.base.errors import InputError
from common.files.weights import save_weights
from common.run.experiments import experiment_names
from competitions.face_counting.competition import COMPETITION
from competitions.face_counting.experiment import (
    DetectorSettings,
    FaceCountingExperiment,
)
from competitions.face_counting.models.factory import build_detector
from competitions.face_counting.models.pretrained import load_pretrained

NAMES = experiment_names(COMPETITION.experiments_file)


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_parses_in_both_profiles(name: str) -> None:
    full, sample = (COMPETITION.experiment(name, profile) for profile in ("full", "sample"))
    assert sample.folds in (2, 3)
    assert not sample.detector.pretrained
    assert sample.input.image_size <= full.input.image_size
    assert sample.augmentation.crop <= sample.input.image_size
    assert full.about


def test_table_1_of_the_paper_is_complete() -> None:
    rows = []
    for name in NAMES:
        settings = COMPETITION.experiment(name, "full")
        if (settings.paper or "").startswith("Table 1"):
            rows.append(
                (
                    settings.input.preprocessing,
                    settings.training.batch_size,
                    settings.detector.size,
                    settings.reported,
                )
            )
            assert name == f"yolov5{rows[-1][2]}_{rows[-1][0]}_batch{rows[-1][1]}"
            assert settings.detector.pretrained
            assert (settings.split, settings.folds, settings.training.optimizer) == (
                "holdout_80_20",
                1,
                "sgd",
            )
    table = pd.DataFrame(rows, columns=["preprocessing", "batch", "size", "rmse"])
    assert len(table.drop_duplicates(["preprocessing", "batch", "size"])) == 36
    best = table.sort_values("rmse").iloc[0]
    assert (best["preprocessing"], best["batch"], best["size"], best["rmse"]) == ("letterbox", 8, "x", 0.7677)


def test_networks_grow_with_their_size() -> None:
    nano, small = (build_detector(DetectorSettings(size=size)) for size in ("n", "s"))
    weights = [sum(value.numel() for value in network.parameters()) for network in (nano, small)]
    assert weights[0] < 3e6 < weights[1]


def test_pretrained_without_weights_ends_in_one_line() -> None:
    settings = DetectorSettings(size="n", pretrained=True)
    with pytest.raises(InputError, match="--weights"):
        load_pretrained(build_detector(settings), settings, None, trains=True)


def test_weights_of_another_yolov5_are_loaded_where_they_fit(tmp_path: Path) -> None:
    settings = DetectorSettings(size="n", pretrained=True)
    network, given = build_detector(settings), build_detector(settings)
    with torch.no_grad():
        for value in given.parameters():
            value.fill_(0.5)
    state = {name.removeprefix("network.model."): value for name, value in given.state_dict().items()}
    head = [name for name in state if name.startswith("24.")]
    state |= {name: torch.zeros(3, 3) for name in head}  # the head of another detector
    save_weights(tmp_path / "yolov5n.safetensors", state)
    loaded = load_pretrained(network, settings, tmp_path, trains=True)
    assert loaded == len(state) - len(head)
    head_names = {name for name, _ in network.named_parameters() if name.startswith("network.model.24.")}
    values = dict(network.named_parameters())
    assert all((values[name] == 0.5).all() for name in values.keys() - head_names)
    assert any((values[name] != 0.5).any() for name in head_names)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    settings = DetectorSettings(size="n", pretrained=True)
    save_weights(tmp_path / "yolov5n.safetensors", {"fc.weight": torch.zeros(3, 3)})
    with pytest.raises(InputError, match=r"0 of .* tensors fit yolov5n"):
        load_pretrained(build_detector(settings), settings, tmp_path, trains=True)
    with pytest.raises(InputError, match="no weights for yolov5s; expected yolov5s or"):
        load_pretrained(
            build_detector(settings), DetectorSettings(size="s", pretrained=True), tmp_path, trains=True
        )


def test_a_folder_of_weights_is_ignored_without_pretrained(tmp_path: Path) -> None:
    settings = DetectorSettings(size="n")
    assert load_pretrained(build_detector(settings), settings, tmp_path, trains=True) == 0


def test_tensor_names_of_published_retinaface_weights() -> None:
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
def test_tensor_names_of_published_weights(family: str, foreign: str, own: str) -> None:
    size = "n" if "yolov5" in family else None
    # Only the names matter: large networks are built without memory, which ultralytics' cannot be.
    with torch.device("cpu" if size else "meta"):
        network = build_detector(DetectorSettings(family=family, size=size))
    assert network.state_key(foreign) == own
    assert own in network.state_dict()


def test_no_training_needs_pretrained_weights() -> None:
    with pytest.raises(ValueError, match="pretrained"):
        FaceCountingExperiment.model_validate({"name": "any", "training": {"epochs": 0}})


@pytest.mark.parametrize(
    "settings",
    [
        {"family": "yolo11"},
        {"family": "retinaface", "size": "n"},
        {"size": "tiny"},
        {"size": "n", "options": {"anchors": "kmeans"}},
        {"family": "ssd_yolov5", "size": "n", "options": {"classes": "coco"}},
        {"family": "ssd", "options": {"classes": "birds"}},
    ],
)
def test_settings_that_do_not_belong_to_a_family(settings: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"detector\.(size|options\.(anchors|classes))"):
        build_detector(DetectorSettings.model_validate(settings))


def test_an_unknown_family_names_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"unknown detector 'yolov9'; expected one of: .*retinaface"):
        DetectorSettings(family="yolov9")


def test_weights_that_an_experiment_needs() -> None:
    for name, weights in (
        ("retinaface_pretrained", ["retinaface_mobilenet0.25"]),
        ("yolov5x_letterbox_batch8", ["yolov5x"]),
        ("ssd300_pretrained", ["ssd300_vgg16"]),
        ("yolov5n_from_scratch", []),
    ):
        assert COMPETITION.experiment(name, "full").weights_needed() == weights
        assert COMPETITION.experiment(name, "sample").weights_needed() == []
