"""Weights that the user gives: they fill the network, or the command ends with how many tensors they lack."""

import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from common.base.errors import InputError
from common.files.weights import save_weights
from common.learn.seeding import seed_everything
from competitions.face_counting.experiment import DetectorSettings
from competitions.face_counting.models.factory import CHECKPOINT, build_detector, load_detector
from competitions.face_counting.models.pretrained import load_pretrained
from competitions.face_counting.models.registry import DETECTORS
from competitions.face_counting.predict.predictor import FaceCounter

State = dict[str, torch.Tensor]
SMALL = [
    DetectorSettings(family="retinaface", pretrained=True),
    DetectorSettings(family="yolov5", size="n", pretrained=True),
    DetectorSettings(family="yolo11", size="n", pretrained=True),
    DetectorSettings(family="yolov5_coco", size="n", pretrained=True),
    DetectorSettings(family="ssd_yolov5", size="n", pretrained=True),
    DetectorSettings(family="faster_rcnn_yolov5", size="n", pretrained=True),
]
LARGE = [
    DetectorSettings(family=family, pretrained=True) for family in ("ssd", "faster_rcnn", "faster_rcnn_fpn")
]
RETINAFACE = SMALL[0]


def _body_and_head(settings: DetectorSettings) -> tuple[State, list[str], list[str]]:
    seed_everything(1)
    network = build_detector(settings)
    state = network.state_dict()
    weights = [name for name in state if name.endswith("weight")]
    head = [name for name in weights if name.startswith(network.new_in_training or ("none",))]
    return state, [name for name in weights if name not in head], head


def _load(state: State, settings: DetectorSettings, folder: Path, trains: bool) -> int:
    network = build_detector(settings)
    save_weights(folder / "given.safetensors", state)
    return load_pretrained(network, settings, folder / "given.safetensors", trains=trains)


@pytest.mark.parametrize("settings", SMALL, ids=lambda settings: settings.family)
def test_every_tensor_must_be_filled_but_heads_before_a_training(
    settings: DetectorSettings, tmp_path: Path
) -> None:
    state, body, head = _body_and_head(settings)
    assert _load(state, settings, tmp_path, trains=False) == len(state)
    without_body = {name: value for name, value in state.items() if name not in (body[0], body[-1])}
    for trains in (False, True):
        with pytest.raises(InputError, match=rf"2 of the {len(state)} tensors .* missing.*{body[0]}"):
            _load(without_body, settings, tmp_path, trains)
    reshaped = state | {body[0]: torch.zeros(3, 3)}
    with pytest.raises(InputError, match=r"1 of the \d+ tensors .* \(1 have another shape\)"):
        _load(reshaped, settings, tmp_path, trains=True)
    if head:
        without_head = {name: value for name, value in state.items() if name not in head}
        assert _load(without_head, settings, tmp_path, trains=True) == len(state) - len(head)
        with pytest.raises(
            InputError, match=rf"{len(head)} of the \d+ tensors .* head is not trained for faces"
        ):
            _load(without_head, settings, tmp_path, trains=False)


@pytest.mark.parametrize("settings", LARGE, ids=lambda settings: settings.family)
def test_heads_of_large_networks_are_a_part_of_them(settings: DetectorSettings) -> None:
    with torch.device("meta"):
        names = list(build_detector(settings).state_dict())
    heads: tuple[str, ...] = DETECTORS[settings.family].new_in_training
    for prefix in heads:
        assert any(name.startswith(prefix) for name in names), prefix
    rest = [name for name in names if not name.startswith(heads)]
    assert any("backbone" in name for name in rest)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("settings", SMALL, ids=lambda settings: settings.family)
def test_weights_of_a_diverged_training_are_refused(
    settings: DetectorSettings, value: float, tmp_path: Path
) -> None:
    state, body, _ = _body_and_head(settings)
    for name in body[:3]:
        state[name][(-1,) * state[name].ndim] = value
    with pytest.raises(InputError, match=rf"given.*: 3 of {len(state)} tensors hold NaN"):
        _load(state, settings, tmp_path, trains=True)


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    state, body, _ = _body_and_head(RETINAFACE)
    state[body[0]][0, 0, 0, 0] = float("nan")
    save_weights(tmp_path / CHECKPOINT, state)
    with pytest.raises(InputError, match=r"checkpoint.safetensors: 1 of \d+ tensors hold NaN"):
        load_detector(RETINAFACE, tmp_path)


def test_half_precision_weights_are_read(tmp_path: Path) -> None:
    state, _, _ = _body_and_head(RETINAFACE)
    halves = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    assert _load(halves, RETINAFACE, tmp_path, trains=False) == len(state)


def _foreign_files(folder: Path) -> list[Path]:
    """What people have in place of a state dict."""
    files = [folder / name for name in ("whole.pt", "traced.pt", "list.pt", "pickled.pth", "zipped.bin")]
    files += [
        folder / name
        for name in ("net.onnx", "page.pt", "empty.pt", "config.pt", "nested.pt", "a.safetensors")
    ]
    whole, traced, listed, pickled, zipped, onnx, page, empty, config, nested, cut = files
    layer = nn.Conv2d(3, 8, 3)
    torch.save(layer, whole)
    torch.jit.save(torch.jit.trace(layer, torch.zeros(1, 3, 8, 8)), traced)
    torch.save([torch.zeros(3)], listed)
    pickled.write_bytes(pickle.dumps({"weight": [1.0, 2.0]}))
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("readme.txt", "no weights")
    onnx.write_bytes(b"\x08\x07\x12\x07pytorch\x1a\x052.1.0" + bytes(range(256)))
    page.write_text("<!DOCTYPE html><html><title>Quota exceeded</title></html>")
    empty.write_bytes(b"")
    torch.save({"lr": 0.1, "epochs": 3}, config)
    torch.save({"epoch": 3, "ema": {"weight": torch.zeros(3)}, "note": "best"}, nested)
    cut.write_bytes((9000).to_bytes(8, "little") + b'{"a":')
    return files


def test_foreign_weight_files_end_in_one_line_on_what_to_save(tmp_path: Path) -> None:
    for file in _foreign_files(tmp_path):
        with pytest.raises(
            InputError, match=r"save the weights alone, torch\.save\(model\.state_dict\(\)"
        ) as fault:
            FaceCounter.from_weights(file, "retinaface_pretrained", "cpu")
        assert file.name in str(fault.value)
        assert len(str(fault.value)) < 420, str(fault.value)


def test_weights_without_a_face_head_count_no_photos(tmp_path: Path) -> None:
    """COCO weights fit most of a YOLOv5n; its one-class head would be random and count anything."""
    state, _, head = _body_and_head(SMALL[1])
    save_weights(tmp_path / "yolov5n.safetensors", {n: v for n, v in state.items() if n not in head})
    with pytest.raises(InputError, match=r"head is not trained for faces: train it by 2_train_folds\.py"):
        FaceCounter.from_weights(tmp_path, "yolov5n_letterbox", "cpu")
