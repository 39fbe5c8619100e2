"""Folders of users: what is read, what is left out and why."""

import os
from pathlib import Path

import pytest

from common.files.folder_listing import list_files


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_what_is_left_out_is_counted_by_reason(tmp_path: Path) -> None:
    fill(
        tmp_path,
        "b.JPG",
        "a.jpg",
        "c.txt",
        "d.txt",
        "README",
        "._a.jpg",
        ".DS_Store",
        "@eaDir/a.jpg",
        "more/e.jpg",
    )
    listing = list_files(tmp_path, {".jpg"})
    assert [path.name for path in listing.files] == ["a.jpg", "b.JPG"]
    assert listing.sentence() == "left out: 3 files of other kinds (.txt 2, no ending 1), 3 hidden, 1 folder"
    deep = list_files(tmp_path, {".jpg"}, recursive=True)
    assert [path.name for path in deep.files] == ["a.jpg", "b.JPG", "e.jpg"]
    assert "folder" not in deep.left_out


def test_nothing_left_out_says_nothing(tmp_path: Path) -> None:
    fill(tmp_path, "a.jpg")
    assert list_files(tmp_path, lambda path: path.name.startswith("a")).sentence() == ""


def test_links_to_files_are_read_and_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    fill(tmp_path, "photos/a.jpg", "elsewhere/b.jpg", "elsewhere/c.jpg")
    photos = tmp_path / "photos"
    (photos / "linked.jpg").symlink_to(tmp_path / "elsewhere" / "b.jpg")
    (photos / "circle").symlink_to(photos)
    (photos / "out").symlink_to(tmp_path / "elsewhere")
    (photos / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    listing = list_files(photos, {".jpg"}, recursive=True)
    assert [path.name for path in listing.files] == ["a.jpg", "linked.jpg"]
    assert listing.left_out == {"link to a folder": 2, "link that leads nowhere": 1}
    assert listing.sentence() == "left out: 2 links to folders, 1 link that leads nowhere"


def test_names_of_other_encodings_are_listed(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    fill(tmp_path, name)
    assert [path.name for path in list_files(tmp_path, {".jpg"}).files] == [name]


def test_what_is_no_file_is_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert list_files(tmp_path, {".jpg"}).left_out == {"no file (a pipe or device)": 1}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_locked_folders_are_counted(tmp_path: Path) -> None:
    fill(tmp_path, "locked/a.jpg", "b.jpg")
    (tmp_path / "locked").chmod(0)
    try:
        listing = list_files(tmp_path, {".jpg"}, recursive=True)
    finally:
        (tmp_path / "locked").chmod(0o700)
    assert listing.left_out == {"locked folder": 1}
