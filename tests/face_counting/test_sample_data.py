from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from competitions.face_counting.competition import COMPETITION
from competitions.face_counting.sample.sample_data import write_sample_data


def test_layout_is_the_official_one(drawn: Path) -> None:
    assert sorted(path.name for path in drawn.iterdir()) == [
        "bbox_train.csv",
        "image_data",
        "sample_submission.csv",
        "test.csv",
        "train.csv",
        "truth",
    ]
    assert (drawn / "train.csv").read_bytes().startswith(b"Name,HeadCount\n")
    assert (drawn / "bbox_train.csv").read_bytes().startswith(b"Name,width,height,xmin,ymin,xmax,ymax\r\n")
    assert (drawn / "test.csv").read_bytes().startswith(b"Name\n")
    names = pd.concat([pd.read_csv(drawn / f"{split}.csv")["Name"] for split in ("train", "test")])
    assert sorted(names) == sorted(path.name for path in (drawn / "image_data").iterdir())
    assert COMPETITION.validate(drawn / "sample_submission.csv", drawn) == []
    truth = pd.read_csv(drawn / "truth" / "test.csv")
    assert truth["Name"].tolist() == pd.read_csv(drawn / "test.csv")["Name"].tolist()


def test_boxes_lie_in_their_pictures_and_are_as_many_as_heads(drawn: Path) -> None:
    train, boxes = pd.read_csv(drawn / "train.csv"), pd.read_csv(drawn / "bbox_train.csv")
    for name, heads in train.itertuples(index=False):
        own = boxes[boxes["Name"] == name]
        with Image.open(drawn / "image_data" / name) as picture:
            assert (own[["width", "height"]] == picture.size).all(axis=None)
        assert len(own) == heads
        assert ((own["xmin"] >= 0) & (own["xmin"] < own["xmax"]) & (own["xmax"] <= own["width"])).all()
        assert ((own["ymin"] >= 0) & (own["ymin"] < own["ymax"]) & (own["ymax"] <= own["height"])).all()


def test_same_seed_same_files_another_seed_others(drawn: Path, tmp_path: Path) -> None:
    for folder, seed in (("same", 7), ("other", 8)):
        (tmp_path / folder).mkdir()
        write_sample_data(tmp_path / folder, seed, 0.05)
    files = [path.relative_to(drawn) for path in drawn.rglob("*") if path.is_file()]
    assert all((drawn / file).read_bytes() == (tmp_path / "same" / file).read_bytes() for file in files)
    assert (drawn / "train.csv").read_bytes() != (tmp_path / "other" / "train.csv").read_bytes()


def test_traps_are_there(tmp_path: Path) -> None:
    write_sample_data(tmp_path, seed=2021, scale=0.3)
    train, test = (pd.read_csv(tmp_path / f"{split}.csv")["Name"] for split in ("train", "test"))
    number = np.sort(np.concatenate([train.str[:-4].astype(int), test.str[:-4].astype(int)]))
    in_test = np.isin(number, test.str[:-4].astype(int))
    assert np.abs(np.diff(in_test.astype(int))).sum() > 4  # interleaved, not one after the other
    modes = []
    for path in (tmp_path / "image_data").iterdir():
        with Image.open(path) as picture:
            modes.append(picture.mode)
    assert 0 < modes.count("L") < len(modes) / 3
    counts = pd.read_csv(tmp_path / "train.csv")["HeadCount"]
    assert counts.min() >= 1
    assert 8 < counts.max() <= 20
    assert 2.5 < counts.mean() < 6.5
