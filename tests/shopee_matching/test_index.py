"""An index on disk: it grows like one call, belongs to one model, and is checked before it is used."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.base.errors import InputError
from common.base.paths import WorkPaths
from competitions.shopee_matching import load
from competitions.shopee_matching.predict.catalogue import read_catalogue
from competitions.shopee_matching.predict.index import check_index, seal_index, writable_index
from competitions.shopee_matching.predict.predictor import CatalogueMatches, ListingMatcher

SLUG = "shopee_matching"
Pairs = set[tuple[str, str]]
COLUMNS = {"id": "sku", "title": "name"}
PRODUCTS = [
    "Sari Roti tawar kupas 200 g", "Rinso cair lavender 750 ml", "Stabilo Boss highlighter kuning",
    "Lifebuoy sabun batang merah 75 g", "Sony MDR-ZX110 headphone", "Kapal Api kopi bubuk 165 g",
    "Pigeon botol susu 240 ml", "Tefal wajan anti lengket 24 cm", "Energizer baterai AA isi 4",
]  # fmt: skip


@pytest.fixture(scope="module")
def matcher(trained: Callable[[str], WorkPaths]) -> ListingMatcher:
    """The champion on the small sample data."""
    return load("champion", work=trained(SLUG).work)


def rounds(
    matcher: ListingMatcher, parts: Sequence[pd.DataFrame], images: Path, folder: Path
) -> CatalogueMatches:
    """Matches after the last of several calls, each on the index of the one before."""
    older = None
    for number, part in enumerate(parts):
        catalogue = read_catalogue(part, None, images)
        index = folder / f"index{number}"
        found = matcher.match(catalogue, index, folder / f"new{number}", older, print, print)
        older = index
    return found


def named(found: CatalogueMatches) -> tuple[Pairs, Pairs]:
    """Ids of all matches, and of all pairs within groups."""
    ids = found.listings.posting_id
    members: dict[int, list[str]] = {}
    for name, group in zip(ids, found.group.tolist(), strict=True):
        members.setdefault(group, []).append(name)
    matches = {(ids[a], ids[b]) for a, b in zip(found.query.tolist(), found.match.tolist(), strict=True)}
    return matches, {(a, b) for group in members.values() for a in group for b in group if a < b}


def test_rounds_of_any_split_give_what_one_call_gives(
    matcher: ListingMatcher, sample: Callable[[str], Path], tmp_path: Path
) -> None:
    data = sample(SLUG)
    frame = pd.read_csv(data / "test.csv")
    random = np.random.default_rng(3)
    order = random.permutation(len(frame))
    once = named(rounds(matcher, [frame], data / "test_images", tmp_path / "once"))
    assert len(once[0]) > 20
    for number, cuts in enumerate(([len(frame) // 2], [3, 11, len(frame) - 2])):
        parts = [frame.iloc[rows] for rows in np.split(order, cuts)]
        grown = named(rounds(matcher, parts, data / "test_images", tmp_path / str(number)))
        for expected, found in zip(once, grown, strict=True):
            assert len(expected & found) >= 0.98 * max(len(expected), len(found))


def test_old_listings_find_new_ones(matcher: ListingMatcher, tmp_path: Path) -> None:
    """Twins of indexed listings arrive one by one: each pair is found from both sides, groups are whole."""
    old = pd.DataFrame({"sku": [f"old{n}" for n in range(len(PRODUCTS))], "name": PRODUCTS})
    new = old.assign(sku=[f"new{n}" for n in range(len(PRODUCTS))])
    index = None
    for number, part in enumerate((old, new.iloc[:1], new.iloc[1:])):
        later = tmp_path / f"index{number}"
        table = matcher.predict(part, columns=COLUMNS, index=index, save_index=later)
        index = later
    assert table.posting_id.tolist() == [f"new{n}" for n in range(1, len(PRODUCTS))]
    assert all(f"old{n}" in found for n, found in enumerate(table.matches, 1))
    catalogue = read_catalogue(pd.DataFrame({"sku": ["other"], "name": ["Kursi lipat besi"]}), COLUMNS)
    found = matcher.match(catalogue, tmp_path / "index", tmp_path / "new", index)
    matches, groups = named(found)
    assert all((f"old{n}", f"new{n}") in matches for n in range(len(PRODUCTS)))
    assert all((f"new{n}", f"old{n}") in groups for n in range(len(PRODUCTS)))


def test_pictures_that_cannot_be_read_are_counted(
    matcher: ListingMatcher, tmp_path: Path, sample: Callable[[str], Path]
) -> None:
    some = sorted((sample(SLUG) / "test_images").iterdir())[0]
    shutil.copy(some, tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes(some.read_bytes()[:300])
    (tmp_path / "page.jpg").write_text("<html>404</html>")
    names = ["whole.jpg", "cut.jpg", "page.jpg", "page.jpg"]
    frame = pd.DataFrame({"sku": range(4), "name": PRODUCTS[:4], "photo": names})
    told: list[str] = []
    table = matcher.predict(frame, tmp_path, columns={**COLUMNS, "image": "photo"}, tell=told.append)
    assert table.matches.map(len).sum() == 0
    (line,) = [line for line in told if line.startswith("warning")]
    assert "2 pictures cannot be read, 3 listings matched by title" in line
    assert any("titles: 4 of 4 rows" in line for line in told)


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A sealed folder of the shape of an index."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in ("listings.parquet", "pictures.parquet", "minilm_embeddings.npy"):
        (folder / name).write_bytes(name.encode() * 9)
    seal_index(folder, "model")
    check_index(folder, "model")
    return folder


def test_only_an_index_is_replaced(index: Path, tmp_path: Path) -> None:
    assert writable_index(index) == index
    assert writable_index(tmp_path / "new") == tmp_path / "new"
    (tmp_path / "empty").mkdir()
    assert writable_index(tmp_path / "empty") == tmp_path / "empty"
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    for kept in (tmp_path / "photos", tmp_path / "photos" / "a.jpg"):
        with pytest.raises(InputError, match="give a new folder"):
            writable_index(kept)


@pytest.mark.parametrize(
    "name", ["listings.parquet", "pictures.parquet", "minilm_embeddings.npy", "index.json"]
)
@pytest.mark.parametrize("damage", ["gone", "cut", "changed"])
def test_a_damaged_index_is_refused_in_one_line(index: Path, name: str, damage: str) -> None:
    file = index / name
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(content[: len(content) // 2] if damage == "cut" else content[:-1] + b"?")
    with pytest.raises(InputError, match=r"without --index|not an index|earlier version") as fault:
        check_index(index, "model")
    assert "\n" not in str(fault.value)


def test_an_index_belongs_to_its_model_and_format(index: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="another model"):
        check_index(index, "other")
    content = json.loads((index / "index.json").read_text())
    for change, words in (
        ({"format": 1}, "another version"),
        ({"files": {"../secret": [1, "x"]}}, "missing from the index"),
        ({"files": {}}, "damaged"),
        ({"files": [1]}, "damaged"),
        ({"model": None}, "another model"),
    ):
        (index / "index.json").write_text(json.dumps(content | change))
        with pytest.raises(InputError, match=words):
            check_index(index, "model")
    (index / "index.json").write_text("[]")
    with pytest.raises(InputError, match="damaged"):
        check_index(index, "model")
    with pytest.raises(InputError, match="not an index"):
        check_index(tmp_path, "model")
    (index / "index.json").unlink()
    with pytest.raises(InputError, match="earlier version"):
        check_index(index, "model")


def test_an_index_of_another_experiment_is_refused(
    matcher: ListingMatcher, trained: Callable[[str], WorkPaths], tmp_path: Path
) -> None:
    frame = pd.DataFrame({"sku": ["a"], "name": [PRODUCTS[0]]})
    matcher.predict(frame, columns=COLUMNS, save_index=tmp_path / "index")
    with pytest.raises(InputError, match="in the index already"):
        matcher.predict(frame, columns=COLUMNS, index=tmp_path / "index")
    other = load("tfidf", work=trained(SLUG).work)
    with pytest.raises(InputError, match="another model"):
        other.predict(frame.assign(sku="b"), columns=COLUMNS, index=tmp_path / "index")
    copied = shutil.copytree(trained(SLUG).work, tmp_path / "work")
    same = load("champion", work=copied)
    later = same.predict(frame.assign(sku="b"), columns=COLUMNS, index=tmp_path / "index")
    assert later.matches[0] == ["a"], "a copy of the model is the same model"
