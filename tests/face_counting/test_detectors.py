"""Every network that an experiment names: built, given one training step, and asked for boxes."""

from typing import Any

import numpy as np
import pytest
import torch

from common.learn.seeding import seed_everything
from common.run.experiments import experiment_names
from competitions.face_counting.competition import COMPETITION
from competitions.face_counting.experiment import (
    CountingSettings,
    DetectorSettings,
    FaceCountingExperiment,
)
from competitions.face_counting.models.anchors import (
    AnchorOptions,
    anchor_buffer,
    kmeans_anchors,
    mean_best_iou,
)
from competitions.face_counting.models.base import DenseDetector, FaceDetector, detect
from competitions.face_counting.models.factory import build_detector
from competitions.face_counting.models.training import DetectorTraining
from competitions.face_counting.models.yolov5_coco import heads_of

SIDE = 64
ANCHORS = {
    "faster_rcnn": 9,
    "faster_rcnn_fpn": 15,
    "faster_rcnn_yolov5": 18,
    "ssd": 4 + 6 + 6 + 6 + 4 + 4,
    "ssd_yolov5": 12,
}
KMEANS = AnchorOptions(anchors="kmeans")
SIDES = np.random.default_rng(0).uniform(8, 30, size=(60, 2))


def _experiments() -> list[FaceCountingExperiment]:
    """For each network of experiments.toml the first experiment that names it.

    Pretrained weights, batch size and preprocessing do not change a network. Fitted anchors are tried on
    the same network below, because large ones take seconds to build.
    """
    found: dict[str, FaceCountingExperiment] = {}
    for name in experiment_names(COMPETITION.experiments_file):
        for profile in ("full", "sample"):
            settings = COMPETITION.experiment(name, profile)
            options = {key: value for key, value in settings.detector.options.items() if key != "anchors"}
            network = settings.detector.model_copy(update={"pretrained": False, "options": options})
            found.setdefault(network.model_dump_json(), settings)
    return list(found.values())


def _few_proposals(network: FaceDetector) -> None:
    """Two-stage networks score hundreds of proposals; a handful test the same."""
    inside: Any = getattr(network, "network", None)
    if inside is not None and hasattr(inside, "roi_heads"):
        inside.roi_heads.fg_bg_sampler.batch_size_per_image = 8
        inside.rpn._post_nms_top_n = {"training": 16, "testing": 8}


@pytest.mark.parametrize("experiment", _experiments(), ids=lambda experiment: experiment.name)
def test_every_network_finds_boxes_and_takes_a_step(experiment: FaceCountingExperiment) -> None:
    seed_everything(3)
    network = build_detector(experiment.detector)
    _few_proposals(network)
    images = torch.randint(0, 256, (1, 3, SIDE, SIDE), dtype=torch.uint8)
    faces = [torch.tensor([[4.0, 8.0, 30.0, 40.0], [30.0, 30.0, 60.0, 50.0]])]
    (found,) = detect(network.eval(), images, CountingSettings(score_threshold=0.0))
    assert len(found.boxes) == len(found.scores)
    if isinstance(network, DenseDetector):  # others drop low scores themselves: with random weights, all
        assert len(found.scores) > 0
    assert np.isfinite(found.boxes).all()
    assert (np.diff(found.scores) <= 0).all()
    assert ((found.scores >= 0) & (found.scores <= 1)).all()

    if not network.trainable:
        with pytest.raises(NotImplementedError):
            network.losses(images, faces)
        return
    training = DetectorTraining(network, experiment.training, steps=4).train()
    loss = torch.stack(list(network.losses(images, faces).values())).sum()
    assert torch.isfinite(loss)
    assert loss > 0
    if experiment.training.epochs == 0:
        return
    loss.backward()
    name, weights = next((n, p) for n, p in network.named_parameters() if p.grad is not None and p.ndim > 1)
    before = weights.detach().clone()
    optimization = training.configure_optimizers()
    optimization["optimizer"].step()
    assert not torch.equal(before, weights), name
    if experiment.detector.family not in ANCHORS:
        return
    # The same network with anchors fitted to faces of other sizes.
    before_fit = {name: float(value) for name, value in network.losses(images, faces).items()}
    network.anchor_sides = anchor_buffer(KMEANS, ANCHORS[experiment.detector.family], SIDES)
    after_fit = {name: float(value) for name, value in network.losses(images, faces).items()}
    assert before_fit.keys() == after_fit.keys()
    assert before_fit != after_fit


@pytest.mark.parametrize(
    "settings",
    [
        DetectorSettings(family="faster_rcnn"),
        DetectorSettings(family="faster_rcnn_yolov5", size="n"),
        DetectorSettings(family="ssd_yolov5", size="n"),
    ],
    ids=lambda settings: settings.family,
)
def test_images_keep_their_size_in_prediction(settings: DetectorSettings) -> None:
    network = build_detector(settings).eval()
    _few_proposals(network)
    seen = []
    inside: Any = network.network
    inside.backbone.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape)))
    detect(network, torch.zeros(1, 3, 96, 128, dtype=torch.uint8), CountingSettings(score_threshold=0.0))
    assert seen == [(1, 3, 96, 128)]


def test_kmeans_anchors_fit_better() -> None:
    generator = np.random.default_rng(1)
    sides = np.exp(generator.normal([4.0, 4.3], 0.4, size=(400, 2)))
    anchors = kmeans_anchors(sides, 9)
    assert anchors.shape == (9, 2)
    assert (np.diff(anchors.prod(axis=1)) >= 0).all()
    default = np.array([[size * r**-0.5, size * r**0.5] for size in (128, 256, 512) for r in (0.5, 1.0, 2.0)])
    assert mean_best_iou(sides, anchors) > 0.75 > mean_best_iou(sides, default) + 0.1
    np.testing.assert_array_equal(anchors, kmeans_anchors(sides, 9))


@pytest.mark.parametrize("faces", [1, 3])
def test_kmeans_anchors_of_a_few_faces(faces: int) -> None:
    anchors = kmeans_anchors(np.full((faces, 2), 40.0), 9)
    assert anchors.shape == (9, 2)
    assert np.isfinite(anchors).all()
    assert mean_best_iou(np.full((faces, 2), 40.0), anchors) > 0.97


def test_a_checkpoint_holds_its_anchors() -> None:
    assert torch.equal(anchor_buffer(KMEANS, 30, None), torch.ones(30, 2))
    assert not torch.equal(anchor_buffer(KMEANS, 30, SIDES), torch.ones(30, 2))
    assert anchor_buffer(AnchorOptions(), 30, SIDES).shape == (0, 2)


def test_the_head_of_a_person_is_in_its_upper_middle() -> None:
    standing, half = heads_of(torch.tensor([[10.0, 20.0, 50.0, 180.0], [0.0, 0.0, 100.0, 100.0]])).tolist()
    assert standing == pytest.approx([21, 20, 39, 41.6])
    assert half == pytest.approx([32.5, 0, 67.5, 42])
