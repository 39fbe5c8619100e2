"""Titles, tables and picture names as they come from outside."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.base.errors import InputError
from competitions.shopee_matching.data.listings import (
    decode_title,
    load_listings,
    picture_path,
    read_listings,
    write_listings,
)


@pytest.mark.parametrize(
    ("raw", "title"),
    [
        ("Maling TTS 397 gr", "Maling TTS 397 gr"),
        (r"Nescafe \xc3\x89clair Latte 220ml", "Nescafe Éclair Latte 220ml"),
        (r'b"promo \xf0\x9f\x94\xa5"', "promo 🔥"),
        ("b'kaos'", "kaos"),
        (r"baju \xf0\x9f anak", r"baju \xf0\x9f anak"),  # cut short
        (r"odd \xzz", r"odd \xzz"),
        (r"men\'s", "men's"),
        ("b", "b"),
        ('b"', 'b"'),
        ("", ""),
    ],
)
def test_decode_title(raw: str, title: str) -> None:
    assert decode_title(raw) == title


@given(st.text())
def test_titles_that_were_escaped_come_back(text: str) -> None:
    plain = "".join(sign for sign in text if sign not in "\\'\"" and sign.isprintable())
    escaped = "".join(s if s.isascii() else "".join(f"\\x{b:02x}" for b in s.encode()) for s in plain)
    assert decode_title(f'b"{escaped}"') == plain or not plain


@given(st.text(alphabet="\\xb'\"0f9é "))
def test_no_title_breaks_the_decoder(text: str) -> None:
    decode_title(text)


HEADER = "posting_id,image,image_phash,title,label_group\n"
ROW = "train_1,a.jpg,94974f937d4c2433,Paper bag,4293967295\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "empty"),
        (HEADER, "no listing"),
        ("posting_id,image,title,label_group\n", "'image_phash' is missing"),
        (HEADER + ROW + "train_2,b.jpg,9497", "row 2 has 3 cells"),
        (HEADER + ROW + 'train_2,b.jpg,94974f937d4c2433,"Paper', "cut short"),
        (HEADER + ROW + ROW, "more than once"),
        (HEADER + ROW.replace("94974f937d4c2433", "xyz"), "hexadecimal"),
        (HEADER + ROW.replace("4293967295", "1.5"), "whole number"),
        (HEADER + ROW.replace("4293967295", "1_5"), "whole number"),
        (HEADER + ROW.replace("4293967295", str(2**63)), "whole number"),
        (HEADER + ROW.replace("94974f937d4c2433", "0x94974f937d"), "hexadecimal"),
        (HEADER.replace("image_phash", "title") + ROW, "image_phash' is missing"),
        (
            HEADER.replace("label_group", "label_group,title") + ROW.replace("\n", ",x\n"),
            "2 columns are named",
        ),
        (HEADER + ROW.replace("train_1", "train 1"), "spaces"),
    ],
)
def test_broken_tables_end_in_one_line(tmp_path: Path, content: str, words: str) -> None:
    table = tmp_path / "train.csv"
    table.write_text(content)
    with pytest.raises(InputError, match=words) as fault:
        read_listings(table, labelled=True)
    assert "train.csv" in str(fault.value)
    assert "\n" not in str(fault.value)


def test_listings_are_read_as_written(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(HEADER + ROW)
    listings = read_listings(tmp_path / "train.csv", labelled=True)
    write_listings(tmp_path / "train.parquet", listings)
    again = load_listings(tmp_path / "train.parquet")
    assert again.label_group.tolist() == [4293967295]
    assert again.phash.tolist() == [0x94974F937D4C2433]
    assert again.title == ["Paper bag"]
    pq.write_table(pa.table({"posting_id": ["a"]}), tmp_path / "old.parquet")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "train.parquet").read_bytes()[:100])
    for name in ("old.parquet", "cut.parquet"):
        with pytest.raises(InputError, match="another version"):
            load_listings(tmp_path / name)


@pytest.mark.parametrize(
    "name", ["../truth/test.csv", "/etc/passwd", "a/../../b.jpg", "..", "", "..\\b.jpg", "C:/b.jpg"]
)
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="refused"):
        picture_path(tmp_path / "train_images", name, "train.csv")


def test_links_that_lead_out_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "train_images"
    folder.mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"x")
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "inside.jpg").symlink_to(folder / "plain.jpg")
    with pytest.raises(InputError, match="leads out"):
        picture_path(folder, "link.jpg", "train.csv")
    assert picture_path(folder, "inside.jpg", "train.csv").name == "inside.jpg"
