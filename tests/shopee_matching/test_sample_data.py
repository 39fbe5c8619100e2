"""The sample's layout, quirks and determinism."""

import csv
import filecmp
import re
from collections import Counter
from pathlib import Path

import imagehash
import pytest
from PIL import Image

from competitions.shopee_matching.data.listings import read_listings
from competitions.shopee_matching.sample.sample_data import write_sample_data


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def test_official_layout(catalogue: Path) -> None:
    train, test = rows_of(catalogue / "train.csv"), rows_of(catalogue / "test.csv")
    assert list(train[0]) == ["posting_id", "image", "image_phash", "title", "label_group"]
    assert list(test[0]) == ["posting_id", "image", "image_phash", "title"]
    for split, rows in (("train", train), ("test", test)):
        assert all(re.fullmatch(rf"{split}_\d+", row["posting_id"]) for row in rows)
        assert [row["image"] for row in rows] == sorted(row["image"] for row in rows)
        assert all((catalogue / f"{split}_images" / row["image"]).is_file() for row in rows)
    truth = rows_of(catalogue / "truth" / "test.csv")
    assert [row["posting_id"] for row in truth] == [row["posting_id"] for row in test]
    assert not {row["label_group"] for row in truth} & {row["label_group"] for row in train}
    assert rows_of(catalogue / "sample_submission.csv")[0]["matches"] == test[0]["posting_id"]


def test_groups_have_two_listings_or_more_and_hashes_are_real(catalogue: Path) -> None:
    listings = read_listings(catalogue / "train.csv", labelled=True)
    sizes = Counter(listings.label_group.tolist()).values()
    assert min(sizes) >= 2
    assert sorted(sizes)[len(sizes) // 2] <= 3
    for row in range(0, len(listings), 7):
        with Image.open(catalogue / "train_images" / listings.image[row]) as picture:
            assert int(str(imagehash.phash(picture)), 16) == int(listings.phash[row])


def test_some_pictures_are_shared_and_some_titles_escaped(tmp_path: Path) -> None:
    write_sample_data(tmp_path, 2021, 0.4)
    rows = rows_of(tmp_path / "train.csv")
    assert len({row["image"] for row in rows}) < len(rows)
    titles = [row["title"] for row in rows]
    assert any("\\x" in title for title in titles)
    assert any(title.startswith('b"') for title in titles)
    assert max(Counter(row["label_group"] for row in rows).values()) <= 30


@pytest.mark.parametrize("seed", [5])
def test_same_seed_same_files(catalogue: Path, tmp_path: Path, seed: int) -> None:
    write_sample_data(tmp_path, seed, 0.1)
    names = sorted(path.relative_to(catalogue).as_posix() for path in catalogue.rglob("*") if path.is_file())
    assert names == sorted(
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()
    )
    assert filecmp.cmpfiles(catalogue, tmp_path, names, shallow=False)[0] == names
