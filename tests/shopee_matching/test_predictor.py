"""`load(...).predict(...)` from the copied folders of the champion and its parents alone."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.base.errors import InputError
from common.base.paths import WorkPaths
from common.run.run_record import read_record
from competitions.shopee_matching import load

SLUG = "shopee_matching"


@pytest.fixture
def copied_work(trained: Callable[[str], WorkPaths], tmp_path: Path) -> Path:
    """The champion's folder and those of its parents, without processed data, elsewhere."""
    paths = trained(SLUG)
    parents = read_record(paths.oof_record("champion")).experiment["parents"]
    work = tmp_path / "elsewhere"
    for name in ("champion", *parents):
        ignored = shutil.ignore_patterns("test*", "oof.parquet", "embeddings.npy", "submission*")
        shutil.copytree(paths.experiment(name), work / name, ignore=ignored)
    return work


def test_copied_folders_predict_the_same_as_the_original(
    sample: Callable[[str], Path],
    trained: Callable[[str], WorkPaths],
    copied_work: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = sample(SLUG)
    images = shutil.copytree(data / "test_images", tmp_path / "photos")
    listings = pd.read_csv(data / "test.csv")
    original = load("champion", work=trained(SLUG).work).predict(listings, images)
    hidden = data.with_name("hidden")
    monkeypatch.chdir(tmp_path)
    data.rename(hidden)
    try:
        model = load("champion", work=copied_work)
        table = model.predict(listings, images, save_index=tmp_path / "index")
    finally:
        hidden.rename(data)
    pd.testing.assert_frame_equal(table, original)
    assert table.posting_id.tolist() == listings.posting_id.tolist()
    assert [len(each) for each in table.matches] == [len(each) for each in table.scores]
    assert all(name not in found for name, found in zip(table.posting_id, table.matches, strict=True))
    assert model.settings.name == "champion"
    assert model.decision["tuned"]

    truth = pd.read_csv(data / "truth" / "test.csv").set_index("posting_id").label_group
    right = [
        truth[name] == truth[other]
        for name, row in zip(table.posting_id, table.matches, strict=True)
        for other in row
    ]
    assert np.mean(right) > 0.5

    renamed = listings.rename(columns={"posting_id": "sku"}).assign(
        sku=[f"new_{row}" for row in range(len(listings))]
    )
    columns = {"id": "sku", "title": "title", "image": "image"}
    later = model.predict(renamed.head(5), images, columns=columns, index=tmp_path / "index")
    assert len(later) == 5
    twins = [name in row for name, row in zip(listings.posting_id, later.matches, strict=False)]
    assert np.mean(twins) > 0.5, "a listing finds its twin in the index"


def test_titles_alone_and_faults(copied_work: Path) -> None:
    model = load("champion", work=copied_work)
    titles = pd.DataFrame({"sku": [1, 2, 3], "name": ["kopi bubuk 200 gr", "kopi bubuk 200gr", None]})
    table = model.predict(titles, columns={"id": "sku", "title": "name"})
    assert table.posting_id.tolist() == ["1", "2", "3"]
    for frame, columns, words in (
        (titles, None, "which columns hold the id"),
        (titles, {"id": "sku"}, "title or image"),
        (titles.head(0), {"id": "sku", "title": "name"}, "holds no row"),
        (titles.assign(sku=1), {"id": "sku", "title": "name"}, "more than once"),
        (titles.assign(photo="a.jpg"), {"id": "sku", "image": "photo"}, "folder of the pictures"),
    ):
        with pytest.raises(InputError, match=words):
            model.predict(frame, columns=columns)
    with pytest.raises(InputError, match="not trained"):
        load("tfidf", work=copied_work / "none")


def test_each_retriever_alone_matches_a_catalogue(
    sample: Callable[[str], Path], copied_work: Path, tmp_path: Path
) -> None:
    """One retriever without a reranker; a null title, a missing picture, a table with nothing in it."""
    data = sample(SLUG)
    listings = pd.read_csv(data / "test.csv").head(12)
    listings.loc[0, "title"], listings.loc[1, "image"] = "N/A", None
    twin = listings.iloc[[5]].assign(posting_id="twin")
    listings = pd.concat([listings, twin], ignore_index=True)
    told: list[str] = []
    for name in read_record(WorkPaths(copied_work).oof_record("champion")).experiment["parents"]:
        table = load(name, work=copied_work).predict(listings, data / "test_images", tell=told.append)
        matches = table.set_index("posting_id").matches
        assert "twin" in matches[listings.posting_id[5]], name
        nothing = pd.DataFrame({"sku": [1, 2], "title": [None, "-"]})
        empty = load(name, work=copied_work).predict(
            nothing, columns={"id": "sku", "title": "title"}, tell=told.append
        )
        assert empty.matches.tolist() == [[], []], name
