"""A detector of somebody's own: one module in models/ and one entry in experiments.toml."""

import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from common.run import Stage, lazy
from common.run.flags import weights_flag
from common.run.run_record import read_record
from competitions.face_counting import models
from competitions.face_counting.competition import COMPETITION
from competitions.face_counting.predict.predictor import FaceCounter

WEIGHTS = weights_flag("pretrained weights")

MODULE = '''
import torch

from common.run.experiments import Settings, read_options
from competitions.face_counting.models.base import FaceDetector
from competitions.face_counting.models.registry import DETECTORS


class SkinOptions(Settings):
    red_above: float = 0.5


@DETECTORS.register("one_box")
class OneBox(FaceDetector):
    """One box in every image, its score learned."""

    def __init__(self, settings, face_sides):
        super().__init__(settings, face_sides)
        self.options = read_options(SkinOptions, settings.options, "detector.options")
        self.logit = torch.nn.Parameter(torch.zeros(1))

    def losses(self, images, boxes):
        wanted = torch.tensor([float(len(own)) for own in boxes]).mean()
        return {"score_loss": (self.logit.sigmoid() * 5 - wanted).square().mean()}

    def candidates(self, images):
        box = torch.tensor([[8.0, 8.0, 40.0, 40.0]])
        red = images[:, 0].float().mean(dim=(1, 2)) / 255
        scores = self.logit.sigmoid() * (red > self.options.red_above)
        return [(box, score[None].detach()) for score in scores]

    def state_key(self, foreign):
        return foreign
'''
ENTRY = """

[experiments.one_box]
about = "a detector of one's own"
folds = 2
input.image_size = 64
detector = { family = "one_box", options.red_above = 0.1 }
training = { epochs = 3, batch_size = 2 }
"""


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that counts as part of models/."""
    folder = tmp_path / "room"
    folder.mkdir()
    (folder / "one_box.py").write_text(MODULE)
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(folder)])
    return folder


def test_a_new_detector_needs_one_module_and_one_entry(room: Path, drawn: Path, tmp_path: Path) -> None:
    folder = tmp_path / "competition"
    folder.mkdir()
    shutil.copyfile(COMPETITION.experiments_file, folder / "experiments.toml")
    with (folder / "experiments.toml").open("a") as file:
        file.write(ENTRY)
    competition = replace(COMPETITION, folder=folder)
    work = tmp_path / "work"
    argv = ["--experiment", "one_box", "--work", str(work), "--device", "cpu"]
    pipeline = "competitions.face_counting.pipeline"
    Stage(competition, "preprocess", "").run(
        lazy(f"{pipeline}:preprocess"), argv=[*argv, "--data", str(drawn)]
    )
    Stage(competition, "train_folds", "", WEIGHTS).run(
        lazy(f"{pipeline}:train_fold"), pool=lazy(f"{pipeline}:pool_folds"), argv=argv
    )
    Stage(competition, "infer", "").run(lazy(f"{pipeline}:infer"), argv=argv)
    Stage(competition, "make_submission", "").run(lazy(f"{pipeline}:make_submission"), argv=argv)
    assert COMPETITION.validate(work / "one_box" / "submission.csv", drawn) == []
    record = read_record(work / "one_box" / "fold0" / "run.json")
    assert record.experiment["detector"]["options"] == {"red_above": 0.1}
    assert record.history[-1]["score_loss"] < record.history[0]["score_loss"]

    table = FaceCounter.from_training("one_box", work, "cpu").predict(drawn / "image_data")
    assert table["Name"].tolist() == sorted(path.name for path in (drawn / "image_data").iterdir())
    submission = pd.read_csv(work / "one_box" / "submission.csv")
    predicted = table.set_index("Name").loc[submission["Name"], "HeadCount"]
    assert abs(predicted.to_numpy() - submission["HeadCount"]).max() < 1e-3
