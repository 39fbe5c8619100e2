"""Tables of users as shops export them: what is read, what is told, what is refused."""

import gzip
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from common.base.errors import InputError
from competitions.shopee_matching.predict.catalogue import (
    is_null,
    no_common_ids,
    parse_columns,
    read_catalogue,
)

COLUMNS = {"id": "sku", "title": "name"}
WITH_IMAGE = {**COLUMNS, "image": "photo"}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with pictures, a link out of it, a link in a circle, and a picture next to it."""
    folder = tmp_path / "photos"
    (folder / "red").mkdir(parents=True)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8))
    for place in (
        folder / "a.jpg",
        folder / "red" / "b.png",
        folder / "red, blue.jpg",
        tmp_path / "secret.jpg",
    ):
        picture.save(place)
    (folder / "out.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "circle").symlink_to(folder)
    (folder / "itself.jpg").symlink_to(folder / "itself.jpg")
    return folder


def write(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(content.encode(encoding))
    return path


@pytest.mark.parametrize("text", ["", "id=a", "title=a,image=b", "id=a,title=b,title=c", "id=a,name=b", "id"])
def test_columns_that_are_not_understood(text: str) -> None:
    with pytest.raises(InputError, match="--columns"):
        parse_columns(text)


def test_columns_with_odd_names() -> None:
    assert parse_columns("id=sku, title=name") == {"id": "sku", "title": "name"}
    assert parse_columns('ID=Item No.,"title=Name, long"') == {"id": "Item No.", "title": "Name, long"}
    assert parse_columns("id=a=b,title=c") == {"id": "a=b", "title": "c"}


def test_separators_encodings_and_formats_are_read_alike(tmp_path: Path) -> None:
    rows = [("A 1", "Kopi Éclair, 200 g"), ("B/2", "Teh; celup")]
    frame = pd.DataFrame(rows, columns=[" SKU ", "Name"])
    quoted = '"A 1"{0}"Kopi Éclair, 200 g"\n"B/2"{0}"Teh; celup"\n'
    files = [
        write(
            tmp_path / f"{number}.csv",
            mark + " SKU " + separator + "Name\n" + quoted.format(separator),
            coding,
        )
        for number, (separator, mark, coding) in enumerate(
            [(",", "", "utf-8"), (";", "\ufeff", "utf-8"), ("\t", "", "utf-16"), ("|", "", "utf-8")]
        )
    ]
    with gzip.open(tmp_path / "z.csv.gz", "wb") as packed:
        packed.write(files[0].read_bytes())
    frame.to_excel(tmp_path / "x.xlsx", index=False)
    frame.to_parquet(tmp_path / "p.parquet")
    sources: list[Path | pd.DataFrame] = [
        *files,
        *(tmp_path / name for name in ("z.csv.gz", "x.xlsx", "p.parquet")),
    ]
    for source in [*sources, frame]:
        catalogue = read_catalogue(source, COLUMNS)
        assert catalogue.listings.posting_id == ["A 1", "B/2"], source
        assert catalogue.listings.title == [title for _, title in rows], source
        assert "2 rows; id = 'SKU', title = 'Name'" in catalogue.understood[0]
        assert catalogue.faults == []
    latin = write(tmp_path / "latin.csv", "sku;name\nA;Café\n", "cp1252")
    with pytest.raises(InputError, match="line 2 is not UTF-8"):
        read_catalogue(latin, COLUMNS)
    assert read_catalogue(latin, COLUMNS, encoding="cp1252").listings.title == ["Café"]


def test_titles_of_the_official_kind_are_decoded(tmp_path: Path) -> None:
    table = write(tmp_path / "shop.csv", "name,sku,price\nKopi \\xc3\\x89,a-1,3\n,b/2,4\n")
    assert read_catalogue(table, COLUMNS).listings.title == ["Kopi É", ""]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("kode,nama\nA,x\nB,y\nA,z\n", ["'kode'", "'A' in lines 2 and 4", "leave repeated rows out"]),
        ("kode,nama\nA,x\n ,y\n", ["line 3 has no id", "'kode'", "leave it out"]),
        ("kode,nama,nama\nA,x,y\n", ["2 columns are named 'nama'"]),
        ("kode,title\nA,x\n", ["'nama' is missing", "kode, title"]),
        ("kode,nama\nA,x,9\n", ["line 2 has 3 cells"]),
        ("kode,nama\n", ["no row"]),
        ('kode,nama\nA,"x', ["line 2"]),
    ],
)
def test_refusals_name_the_line_the_users_own_column_and_the_remedy(
    tmp_path: Path, content: str, words: list[str]
) -> None:
    table = write(tmp_path / "toko.csv", content)
    with pytest.raises(InputError) as fault:
        read_catalogue(table, {"id": "kode", "title": "nama"})
    assert all(word in str(fault.value) for word in [*words, "toko.csv"]), fault.value


def test_columns_that_nobody_named(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.csv", "Posting_ID,Title\nA,x\n")
    assert read_catalogue(plain).listings.title == ["x"]
    with pytest.raises(InputError, match=r"give --columns id=.*kode, nama"):
        read_catalogue(write(tmp_path / "toko.csv", "kode,nama\nA,x\n"))
    with pytest.raises(InputError, match="in the index already"):
        no_common_ids(["a", "b"], ["b"])


SHORT = "nan NaN NULL None N/A n.a. NA #N/A #REF! - -- ? ... — <NA> (null) Kosong Ｎ/Ａ"
LONG = ["tidak ada", "Tidak  Ada", "belum ada", "TANPA NAMA", "no title", " null "]


@pytest.mark.parametrize("word", [*SHORT.split(), *LONG])
def test_null_words(word: str) -> None:
    assert is_null(word)


@pytest.mark.parametrize(
    "word", ["Nana", "kopi", "0", "N95", "½", "ada", "茶", "😀", "Nil Cream", "NAN 2 susu"]
)
def test_words_that_are_titles(word: str) -> None:
    assert not is_null(word)


def test_titles_of_web_exports(tmp_path: Path) -> None:
    titles = [
        "Tom &amp; Jerry &#39;mug&#39;",
        "R&D kit & co;",
        "\u200bTeh\u200b  celup\u00ad",
        "\u200b",
        "kopi\ntubruk",
    ]
    frame = pd.DataFrame({"sku": range(5), "name": titles})
    expected = ["Tom & Jerry 'mug'", "R&D kit & co;", "Teh celup", "", "kopi tubruk"]
    frame.to_csv(tmp_path / "shop.csv", index=False)
    for source in (frame, tmp_path / "shop.csv"):
        assert read_catalogue(source, COLUMNS).listings.title == expected
    odd = pd.DataFrame({"sku": ["a\udc80"], "name": ["k\udc80pi"]})
    assert read_catalogue(odd, COLUMNS).listings.title == ["k?pi"], "bytes that were never decoded"


def test_null_words_are_missing_titles_and_counted(tmp_path: Path) -> None:
    table = write(tmp_path / "shop.csv", "sku,name\n1,nan\n2,NULL\n3,nan\n4,kopi\n5,\n")
    catalogue = read_catalogue(table, COLUMNS)
    assert catalogue.listings.title == ["", "", "", "kopi", ""]
    assert catalogue.understood[1] == "titles: 1 of 5 rows; 4 are empty or a null word ('nan' 2, 'NULL' 1)"


def test_one_odd_image_cell_goes_by_title_and_is_told(tmp_path: Path, photos: Path) -> None:
    cells = {
        "a.jpg": None,
        "red/b.png": None,
        "red, blue.jpg": None,
        "circle/a.jpg": None,
        str(photos / "a.jpg"): None,
        "": None,
        "nan": None,
        "https://shop.example/a.jpg": "web address",
        "//cdn.shop.example/a.jpg": "web address",
        "data:image/png;base64," + "A" * 5_000: "web address",
        "a.jpg|red/b.png": "list",
        "['a.jpg', 'b.jpg']": "list",
        "a.jpg, b.jpg": "list",
        "C:\\photos\\a.jpg": "backslashes",
        "red\\b.png": "backslashes",
        "../secret.jpg": "leads out",
        "/etc/passwd": "leads out",
        "out.jpg": "leads out",
        "gone.jpg": "no file",
        "red": "no file",
        "itself.jpg": "no file",
        "x" * 300 + ".jpg": "no file",
    }
    frame = pd.DataFrame({"sku": range(len(cells)), "name": "kopi", "photo": list(cells)})
    table = tmp_path / "shop.csv"
    frame.to_csv(table, index=False)
    for source, place in ((table, "line"), (frame, "row")):
        catalogue = read_catalogue(source, WITH_IMAGE, photos)
        used = [bool(name) for name in catalogue.listings.image]
        assert used == [kind is None and cell not in ("", "nan") for cell, kind in cells.items()]
        assert "5 of 22 rows name a file that is there, looked up in photos/" in catalogue.understood[2]
        for kind in ("web address", "list", "backslashes", "leads out", "no file"):
            (line,) = [line for line in catalogue.faults if kind in line]
            assert line.startswith(str(sum(other == kind for other in cells.values())))
            assert f" in {place} " in line
            assert "matched by title" in line


def test_the_folder_of_the_pictures(tmp_path: Path, photos: Path) -> None:
    table = write(tmp_path / "shop.csv", "sku,name,photo\nA,kopi,secret.jpg\n")
    assert read_catalogue(table, WITH_IMAGE).listings.image == ["secret.jpg"], "next to the table"
    with pytest.raises(InputError, match="does not exist"):
        read_catalogue(table, WITH_IMAGE, tmp_path / "none")
    frame = pd.DataFrame({"sku": [1], "name": ["kopi"], "photo": ["a.jpg"]})
    with pytest.raises(InputError, match="folder of the pictures"):
        read_catalogue(frame, WITH_IMAGE)
    assert read_catalogue(frame.assign(photo=None), WITH_IMAGE).listings.image == [""]


def test_frames_of_any_type(photos: Path) -> None:
    frame = pd.DataFrame(
        {
            "sku": [1.0, 2.0, 3.0],
            "name": pd.array(["kopi", pd.NA, "NULL"], dtype="string"),
            "photo": [["a.jpg", "b.jpg"], np.nan, "a.jpg"],
        }
    )
    catalogue = read_catalogue(frame, WITH_IMAGE, photos)
    assert catalogue.listings.posting_id == ["1", "2", "3"]
    assert catalogue.listings.title == ["kopi", "", ""]
    assert catalogue.listings.image == ["", "", "a.jpg"]
    assert "list" in catalogue.faults[0]
    for broken, words in (
        (frame.assign(sku=[1, 1, 2]), "'1' in rows 0 and 1"),
        (frame.assign(sku=[1, np.nan, 2]), "row 1 has no id"),
        (frame.head(0), "no row"),
        (frame.set_axis(["sku", "name", "name"], axis=1), "2 columns are named"),
        (frame.drop(columns="name"), "'name' is missing"),
    ):
        with pytest.raises(InputError, match=words):
            read_catalogue(broken, COLUMNS)


def test_hashes_of_the_users_own(tmp_path: Path) -> None:
    table = write(
        tmp_path / "shop.csv",
        "sku,name,h\nA,x,94974F937d4c2433\nB,y,9.49E+15\nC,z,\nD,w,0000000000000000\nE,v,8000000000000000\n",
    )
    catalogue = read_catalogue(table, {**COLUMNS, "phash": "h"})
    assert catalogue.listings.phash.tolist() == [0x94974F937D4C2433, 0, 0, 0, 0], (
        "blank pictures have no hash"
    )
    assert catalogue.faults == [
        "1 cell of column 'h' without a hash of 16 hexadecimal digits ('9.49E+15' in line 3): matched "
        "without it"
    ]
    with pytest.raises(InputError, match="holds no perceptual hash"):
        read_catalogue(write(tmp_path / "no.csv", "sku,name,h\nA,x,12\n"), {**COLUMNS, "phash": "h"})


def test_no_folder_is_walked(tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table's folder may be a home folder with links in circles."""
    table = write(tmp_path / "shop.csv", "sku,name,photo\nA,kopi,photos/a.jpg\n")
    monkeypatch.setattr(os, "scandir", None)
    monkeypatch.setattr(os, "listdir", None)
    assert read_catalogue(table, WITH_IMAGE).listings.image == ["photos/a.jpg"]
    assert photos.is_dir()
