"""load(...).predict(...): from a Python session, and from a copy of the trained folders alone."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from common.base.errors import InputError
from common.base.paths import WorkPaths
from common.learn.arrays import Float32, Float64
from common.run.run_record import read_record, write_record
from competitions.face_counting import load
from competitions.face_counting.decision.counting import CountingRule, Strategy, as_decision
from competitions.face_counting.experiment import (
    DetectorSettings,
    FaceCountingExperiment,
    InputSettings,
)
from competitions.face_counting.models.base import FaceDetector
from competitions.face_counting.predict.photos import Photo, as_stored
from competitions.face_counting.predict.predictor import FaceCounter, Member

Sample = Callable[[str], Path]
Trained = Callable[[str], WorkPaths]
BOX = np.array([[8, 8, 40, 40]], np.float32)
FIRST_VIEW = CountingRule(Strategy("first_view", "threshold"), 0.4, [0.5], [1.0], 0.0)
SETTINGS = FaceCountingExperiment(name="any", input=InputSettings(image_size=64))


class Fixed(FaceDetector):
    """Finds the same boxes in every image, and keeps how many images each call had."""

    def __init__(self, settings: DetectorSettings, face_sides: Float64 | None) -> None:
        super().__init__(settings, face_sides)
        self.calls: list[int] = []
        self.boxes: Float32 = BOX

    def candidates(self, images: torch.Tensor) -> Sequence[tuple[torch.Tensor, torch.Tensor]]:
        self.calls.append(len(images))
        boxes = torch.from_numpy(self.boxes)
        return [(boxes, torch.full((len(boxes),), 0.9)) for _ in images]

    def losses(self, images: torch.Tensor, boxes: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        raise NotImplementedError

    def state_key(self, foreign: str) -> str:
        return foreign


def member_that_finds(boxes: Float32) -> tuple[Member, list[int]]:
    network = Fixed(SETTINGS.detector, None)
    network.boxes = boxes
    return Member(network, SETTINGS), network.calls


def test_a_network_shared_by_several_folds_runs_once_and_counts_in_each() -> None:
    shared, calls = member_that_finds(BOX)
    nothing, more_calls = member_that_finds(np.zeros((0, 4), np.float32))
    moved, last_calls = member_that_finds(BOX + 0.5)
    model = FaceCounter([[shared, nothing], [shared, moved]], SETTINGS, as_decision(FIRST_VIEW, 0.0, 2))
    stored = as_stored([Photo("a", np.zeros((64, 64, 3), np.uint8), 1.0)])
    ((count, faces),) = model.count_pictures(stored)
    assert (calls, more_calls, last_calls) == ([1], [1], [1])
    assert count == 1.0
    np.testing.assert_allclose(faces, BOX, atol=1)


def test_a_copy_of_the_trained_folder_alone_predicts_the_same(
    trained: Trained, sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = trained("face_counting")
    shutil.copytree(paths.experiment("champion"), tmp_path / "elsewhere" / "champion")
    names = pd.read_csv(sample("face_counting") / "test.csv")["Name"].tolist()[:5]
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in names:
        shutil.copyfile(sample("face_counting") / "image_data" / name, photos / name)

    # The copied folder's record names raw data that do not exist on this "machine".
    record = tmp_path / "elsewhere" / "champion" / "oof.run.json"
    record.write_text(record.read_text().replace(str(sample("face_counting")), "/nowhere"))
    monkeypatch.chdir(tmp_path)
    model = load("champion", work="elsewhere", device="cpu")
    assert model.settings.name == "champion"
    assert model.decision["views"] == 1
    table = model.predict("photos")
    assert table.columns.tolist() == ["Name", "HeadCount", "Faces"]
    assert table["Name"].tolist() == sorted(names)

    # The same counts as in the submission, which the stages made from stored pictures.
    submission = pd.read_csv(paths.submission("champion", ".csv")).set_index("Name")["HeadCount"]
    np.testing.assert_allclose(table["HeadCount"], submission.loc[table["Name"]], atol=1e-3)

    # A file, and a list of files: names are relative to their common folder.
    one = model.predict(photos / names[0])
    assert one["Name"].tolist() == [names[0]]
    some = model.predict([photos / names[1], str(photos / names[0])])
    assert some["Name"].tolist() == [names[1], names[0]]
    wanted = table.set_index("Name").loc[some["Name"]]
    np.testing.assert_allclose(some["HeadCount"], wanted["HeadCount"], atol=1e-3)
    with pytest.raises(InputError, match="no such photo"):
        model.predict(["photos/none.jpg"])
    with pytest.raises(InputError, match="no photos given"):
        model.predict([])


def test_an_ensemble_needs_the_folders_of_its_parents_alone(
    trained: Trained, sample: Sample, tmp_path: Path
) -> None:
    """The champion twice, as the parents of an ensemble that counts the boxes of the first view."""
    champion = trained("face_counting").experiment("champion")
    record = read_record(champion / "oof.run.json")
    parents = ["yolov5n_light", "yolov5n_letterbox"]
    for name in parents:
        shutil.copytree(champion, tmp_path / "work" / name)
        renamed = record.model_copy(update={"experiment": record.experiment | {"name": name}})
        write_record(tmp_path / "work" / name / "oof.run.json", renamed)
    settings = record.experiment | {"name": "retinaface_and_yolov5n", "parents": parents}
    decision = as_decision(FIRST_VIEW, 4.0, 2)
    ensemble = record.model_copy(update={"experiment": settings, "decision": decision})
    write_record(tmp_path / "work" / "retinaface_and_yolov5n" / "oof.run.json", ensemble)

    model = load("retinaface_and_yolov5n", work=tmp_path / "work", device="cpu")
    assert [len(members) for members in model.folds] == [2, 2]
    photos = sorted((sample("face_counting") / "image_data").iterdir())[:3]
    alone = FaceCounter(
        [members[:1] for members in model.folds], model.settings, as_decision(FIRST_VIEW, 4.0, 1), "cpu"
    )
    pd.testing.assert_frame_equal(model.predict(photos), alone.predict(photos))

    shutil.rmtree(tmp_path / "work" / parents[1])
    with pytest.raises(InputError, match=f"'{parents[1]}' is not trained there"):
        load("retinaface_and_yolov5n", work=tmp_path / "work")


def test_what_is_not_trained_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"2_train_folds\.py --experiment yolov5n_light"):
        load("yolov5n_light", work=tmp_path)
