"""A user's own table through the real command line, and new listings against its index."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from common.base.errors import InputError
from common.base.paths import WorkPaths
from common.run.run_record import read_record
from competitions.shopee_matching.candidates.pairs import read_pairs
from competitions.shopee_matching.data.listings import Listings, load_listings
from competitions.shopee_matching.predict.catalogue import (
    image_hashes,
    no_common_ids,
    parse_columns,
    read_catalogue,
)
from competitions.shopee_matching.predict.index import merged_listings
from competitions.shopee_matching.predict.match_catalogue import mutual_groups
from tests.conftest import run_stage

SLUG = "shopee_matching"
COLUMNS = "id=sku,title=name,image=photo"


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def write_catalogue(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["sku", "price", "name", "photo"])
        table.writerows(
            [row["posting_id"].replace("test", "sku"), 1, row["title"], row["image"]] for row in rows
        )
    return path


@pytest.mark.parametrize("text", ["", "id=a", "title=a,image=b", "id=a,title=b,title=c", "id=a,name=b", "id"])
def test_columns_that_are_not_understood(text: str) -> None:
    with pytest.raises(InputError, match="--columns"):
        parse_columns(text)


def test_columns_and_tables(tmp_path: Path) -> None:
    columns = parse_columns("id=sku, title=name")
    assert columns == {"id": "sku", "title": "name"}
    table = tmp_path / "shop.csv"
    table.write_text("name,sku,price\nKopi \\xc3\\x89,a-1,3\n,b/2,4\n")
    listings = read_catalogue(table, columns)
    assert (listings.posting_id, listings.title) == (["a-1", "b/2"], ["Kopi É", ""])
    for broken, words in (
        ("name,sku\nx,a\ny,a\n", "more than once"),
        ("name\nx\n", "'sku' is missing"),
        ("name,sku\nx,\n", "empty"),
        ("name,sku\nx", "cut short"),
    ):
        table.write_text(broken)
        with pytest.raises(InputError, match=words):
            read_catalogue(table, columns)
    with pytest.raises(InputError, match="in the index already"):
        no_common_ids(["a", "b"], ["b"])
    with pytest.raises(InputError, match="not an index"):
        merged_listings(tmp_path, listings)


def test_listings_without_a_picture_have_hashes_far_from_each_other() -> None:
    count = 40
    blank: dict[str, np.ndarray] = {
        "phash": np.zeros(count, np.uint64), "label_group": np.zeros(count, np.int64),
        "fold": np.zeros(count, np.int16), "image_row": np.full(count, -1, np.int32),
    }  # fmt: skip
    names = [str(row) for row in range(count)]
    hashes = image_hashes(Listings(names, names, names, **blank), np.zeros((0, 8, 8, 3), np.uint8))
    distance = np.bitwise_count(hashes[:, None] ^ hashes[None])
    assert distance[~np.eye(count, dtype=bool)].min() > 10


def test_groups_need_symmetrised() -> None:
    query, match = np.array([0, 1, 1, 3], np.int32), np.array([1, 0, 2, 2], np.int32)
    groups = mutual_groups(4, query, match)
    assert groups[0] == groups[1]
    assert len(set(groups.tolist())) == 3


def test_a_catalogue_and_new_listings_against_its_index(
    sample: Callable[[str], Path], trained: Callable[[str], WorkPaths], tmp_path: Path
) -> None:
    data, work = sample(SLUG), tmp_path / "work"
    shutil.copytree(trained(SLUG).work, work)
    truth = {row["posting_id"]: row["label_group"] for row in rows_of(data / "truth" / "test.csv")}
    rows = rows_of(data / "test.csv")
    rows[3]["image"] = "nowhere.jpg"
    rows[4]["title"] = ""
    rows[5]["image"] = ""
    half = len(rows) // 2
    first = write_catalogue(tmp_path / "shop.csv", rows[:half])
    second = write_catalogue(tmp_path / "news.csv", rows[half:])
    pictures = data / "test_images"
    flags: list[str | Path] = ["--work", work, "--columns", COLUMNS, "--pictures", pictures]

    done = run_stage(SLUG, 3, "--catalogue", first, *flags)
    assert done.code == 0, done.text
    folder = work / "champion" / "catalogue_shop"
    record = read_record(work / "champion" / "catalogue_shop.run.json")
    assert record.warnings_count == 1
    assert "nowhere.jpg" in record.warnings[0]
    assert {row["id"] for row in rows_of(folder / "groups.csv")} == {
        row["posting_id"].replace("test", "sku") for row in rows[:half]
    }
    assert "done already" in run_stage(SLUG, 3, "--catalogue", first, *flags).text

    done = run_stage(SLUG, 3, "--catalogue", second, *flags, "--index", folder / "index")
    assert done.code == 0, done.text
    grown = work / "champion" / "catalogue_news"
    pairs = rows_of(grown / "pairs.csv")
    new = {row["posting_id"].replace("test", "sku") for row in rows[half:]}
    assert {row["id"] for row in pairs} <= new
    assert any(row["match"] not in new for row in pairs), "listings of the index are found"
    right = [
        truth[row["id"].replace("sku", "test")] == truth[row["match"].replace("sku", "test")] for row in pairs
    ]
    assert np.mean(right) > 0.5
    assert all(0 <= float(row["score"]) <= 1 for row in pairs)
    assert len(rows_of(grown / "groups.csv")) == len(rows)

    before, after = folder / "index", grown / "index"
    old = np.load(before / "gallery_sift_vlad.npy")
    np.testing.assert_array_equal(np.load(after / "gallery_sift_vlad.npy")[: len(old)], old)
    assert load_listings(after / "listings.parquet").posting_id[:half] == [
        row["posting_id"].replace("test", "sku") for row in rows[:half]
    ]
    reranked = read_pairs(after / "champion.parquet")
    known = reranked.query < half
    np.testing.assert_array_equal(
        reranked.scores["champion"][known], read_pairs(before / "champion.parquet").scores["champion"]
    )
    assert read_record(work / "champion" / "test.run.json").metrics["gallery_size"] == len(rows)


def test_tricks_in_a_catalogue_are_refused(trained: Callable[[str], WorkPaths], tmp_path: Path) -> None:
    work = trained(SLUG).work
    table = tmp_path / "shop.csv"
    table.write_text("sku,name,photo\na,Kopi,../secret.jpg\nb,Teh,x.jpg\n")
    done = run_stage(SLUG, 3, "--catalogue", table, "--work", work, "--columns", COLUMNS)
    assert done.code == 2, done.text
    assert "'../secret.jpg' is refused" in done.text
    assert not (work / "champion" / "catalogue_shop").exists()
    done = run_stage(SLUG, 3, "--catalogue", tmp_path / "none.csv", "--work", work)
    assert (done.code, "no such file" in done.text) == (2, True)
