"""A user's own table through the real command line, and new listings against its index."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.base.paths import WorkPaths
from common.run.run_record import read_record
from competitions.shopee_matching.data.listings import load_listings
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


def results(work: Path, stem: str) -> Path:
    (folder,) = (path for path in (work / "champion" / "catalogue").glob(f"{stem}-*") if path.is_dir())
    return folder


@pytest.fixture(scope="module")
def work(trained: Callable[[str], WorkPaths], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the trained work folder to write to."""
    return Path(shutil.copytree(trained(SLUG).work, tmp_path_factory.mktemp("own") / "work"))


def test_a_catalogue_and_new_listings_against_its_index(
    sample: Callable[[str], Path], work: Path, tmp_path: Path
) -> None:
    data = sample(SLUG)
    truth = {row["posting_id"]: row["label_group"] for row in rows_of(data / "truth" / "test.csv")}
    rows = rows_of(data / "test.csv")
    rows[3]["image"] = "nowhere.jpg"
    rows[4]["title"] = "tidak ada"
    rows[5]["image"] = "https://shop.example/a.jpg"
    half = len(rows) // 2
    first = write_catalogue(tmp_path / "shop.csv", rows[:half])
    second = write_catalogue(tmp_path / "news.csv", rows[half:])
    pictures = data / "test_images"
    flags: list[str | Path] = ["--work", work, "--columns", COLUMNS, "--pictures", pictures]

    done = run_stage(SLUG, 3, "--catalogue", first, *flags)
    assert done.code == 0, done.text
    folder = results(work, "shop")
    record = read_record(folder.with_name(f"{folder.name}.run.json"))
    assert record.warnings_count == 2
    assert any("'nowhere.jpg' in line 5" in line for line in record.warnings)
    assert any("web address" in line for line in record.warnings)
    assert f"commas, UTF-8, {half} rows; id = 'sku', title = 'name', image = 'photo'" in record.understood[0]
    assert f"titles: {half - 1} of {half} rows" in record.understood[1]
    assert f"pictures: {half - 2} of {half} rows" in record.understood[2]
    assert all(line in done.text for line in record.understood)
    assert {row["id"] for row in rows_of(folder / "groups.csv")} == {
        row["posting_id"].replace("test", "sku") for row in rows[:half]
    }
    done = run_stage(SLUG, 3, "--catalogue", first, *flags)
    assert "done already" in done.text
    assert all(line in done.text for line in record.understood)

    done = run_stage(SLUG, 3, "--catalogue", second, *flags, "--index", folder / "index")
    assert done.code == 0, done.text
    grown = results(work, "news")
    pairs, all_pairs = rows_of(grown / "pairs.csv"), rows_of(grown / "all_pairs.csv")
    new = {row["posting_id"].replace("test", "sku") for row in rows[half:]}
    assert {row["id"] for row in pairs} <= new
    assert any(row["match"] not in new for row in pairs), "listings of the index are found"
    assert any(row["match"] in new for row in all_pairs if row["id"] not in new), "and find the new ones"
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
    assert read_record(work / "champion" / "test.run.json").metrics["gallery_size"] == len(rows)

    # A rerun that fails leaves everything as it is; two tables of one name do not share results.
    (before / "listings.parquet").write_bytes(b"PAR1")
    changed = tmp_path / "later" / "news.csv"
    changed.parent.mkdir()
    shutil.copy(second, changed)
    kept = {path: path.read_bytes() for path in grown.rglob("*") if path.is_file()}
    for table in (second, changed):
        done = run_stage(SLUG, 3, "--catalogue", table, *flags, "--index", before, "--again")
        assert done.code == 2, done.text
        assert "listings.parquet: damaged" in done.text
        assert "Traceback" not in done.text
    assert {path: path.read_bytes() for path in grown.rglob("*") if path.is_file()} == kept
    assert grown.with_name(f"{grown.name}.run.json").is_file()
    assert results(work, "news") == grown, "nothing is left of the failed one"


def test_repetitions_placeholders_and_nothing_at_all(work: Path, tmp_path: Path) -> None:
    """60 offers of one title are one group; a placeholder joins nothing; null words match nothing."""
    (tmp_path / "photos").mkdir()
    picture = np.random.default_rng(5).integers(0, 255, (80, 80, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "photos" / "x1.png")
    unlike = [
        "Nescafe Eclair Latte 220ml", "Dettol Antiseptic Liquid 750ml", "Logitech M170 Wireless Mouse",
        "Pampers Baby Dry L 62 pcs", "Gulaku Gula Pasir Kuning 1 kg",
    ]  # fmt: skip
    rows = [f"soap{n};Sabun mandi batang 110 g;\n" for n in range(60)]
    rows += [f"null{n};{word};-\n" for n, word in enumerate(["nan", "NULL", "N/A", "-"] * 2)]
    rows += [f"unlike {n};{title};x1.png\n" for n, title in enumerate(unlike)]
    table = tmp_path / "toko.csv"
    table.write_text("\ufeffSKU;Name ;Photo\n" + "".join(rows), encoding="utf-8")
    done = run_stage(
        SLUG, 3, "--catalogue", table, "--work", work, "--columns", COLUMNS, "--pictures", tmp_path / "photos"
    )
    assert done.code == 0, done.text
    groups = {row["id"]: row["group"] for row in rows_of(results(work, "toko") / "groups.csv")}
    pairs = rows_of(results(work, "toko") / "pairs.csv")
    assert {groups[f"soap{n}"] for n in range(60)} == {"soap0"}
    assert len({groups[name] for name in groups if not name.startswith("soap")}) == 13
    assert len(pairs) == 60 * 59
    for words in (
        "semicolons, UTF-8 with BOM, 73 rows; id = 'SKU', title = 'Name', image = 'Photo'",
        "1 picture on listings with unlike titles ('x1.png')",
        "repetitions: 59 of 73 listings",
        "8 listings with neither a title nor a usable picture",
    ):
        assert words in done.text, done.text


def test_mistakes_end_in_one_line(work: Path, tmp_path: Path) -> None:
    table = tmp_path / "faulty.csv"
    table.write_text("kode,nama\na,Kopi\nb,Teh\na,Susu\n")
    latin = tmp_path / "latin.csv"
    latin.write_bytes("kode;nama\na;Café\n".encode("cp1252"))
    own: list[str | Path] = ["--catalogue", table]
    named: list[str | Path] = ["--columns", "id=kode,title=nama"]
    mistakes: list[tuple[list[str | Path], str]] = [
        ([*own, *named], "1 id of column 'kode' more than once, 'a' in lines 2 and 4"),
        (own, "the columns are: kode, nama"),
        ([*own, "--columns", "id=kode,title=judul"], "'judul' is missing"),
        (["--catalogue", latin, *named], "with --encoding"),
        (["--catalogue", tmp_path / "none.csv"], "no such file"),
        (["--catalogue", tmp_path], "a folder"),
        ([*own, *named, "--index", tmp_path / "none"], "does not exist"),
        ([*own, *named, "--weights", tmp_path], "--weights"),
        (named, "--columns: only with --catalogue"),
        (["--pictures", tmp_path, "--index", tmp_path], "--pictures and --index: only with --catalogue"),
    ]
    for flags, words in mistakes:
        done = run_stage(SLUG, 3, "--work", work, *flags)
        assert done.code == 2, done.text
        assert words in done.text, done.text
        assert len([line for line in done.text.splitlines() if line.startswith("error: ")]) == 1
    table.write_text("kode,nama\na,Kopi\n")
    done = run_stage(SLUG, 3, "--work", work, *own, *named, "--index", tmp_path)
    assert (done.code, "not an index" in done.text) == (2, True), done.text
    assert not list((work / "champion").glob("catalogue/faulty-*"))
