"""Files appear whole or not at all."""

from pathlib import Path

import numpy as np
import pytest

from common.base.atomic import atomic_array, atomic_folder, atomic_write, write_text


def test_a_file_keeps_its_old_content_when_writing_fails(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    write_text(target, "old\n")

    def write_half() -> None:
        with atomic_write(target) as partial:
            partial.write_text("half")
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        write_half()
    assert target.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_is_replaced_at_the_end_only(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "table.csv"
    with atomic_write(target) as partial:
        partial.write_text("new")
        assert not target.exists()
        assert partial.suffix == ".csv"
    assert target.read_text() == "new"


def test_a_folder_is_replaced_at_the_end_only(tmp_path: Path) -> None:
    target = tmp_path / "sample"
    target.mkdir()
    (target / "old").touch()

    def write_half() -> None:
        with atomic_folder(target) as partial:
            (partial / "half").touch()
            raise KeyError

    with pytest.raises(KeyError):
        write_half()
    assert [path.name for path in target.iterdir()] == ["old"]
    with atomic_folder(target) as partial:
        (partial / "new").touch()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("renames", [1, 2])
def test_a_kill_between_the_renames_of_a_folder_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    """Whatever rename comes last, the old or the new folder is there, and the next try ends well."""
    target = tmp_path / "sample"
    with atomic_folder(target) as partial:
        (partial / "old").touch()
    done = 0
    rename = Path.rename

    def killed(path: Path, to: Path) -> Path:
        nonlocal done
        if done == renames - 1:
            raise KeyboardInterrupt
        done += 1
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt), atomic_folder(target) as partial:
        (partial / "new").touch()
    monkeypatch.undo()
    folders = [path for path in tmp_path.iterdir() if any(path.iterdir())]
    assert [path.name for folder in folders for path in folder.iterdir()] == ["old"]
    with atomic_folder(target) as partial:
        assert target.is_dir(), "the old folder is back in its place"
        (partial / "new").touch()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("shape", [(3, 4), (0, 4)])
def test_an_array_is_an_ordinary_npy_file(tmp_path: Path, shape: tuple[int, ...]) -> None:
    target = tmp_path / "maps.npy"
    with atomic_array(target, shape, np.uint8) as array:
        array[...] = 7
        assert not target.exists()
    loaded = np.load(target, mmap_mode="r" if 0 not in shape else None, allow_pickle=False)
    assert loaded.shape == shape
    assert (loaded == 7).all()


def test_claiming_the_space_of_an_array_fails_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("common.base.atomic.os.posix_fallocate", full_disk)
    with pytest.raises(OSError, match="No space left"), atomic_array(tmp_path / "maps.npy", (2, 2), np.uint8):
        pass
    assert list(tmp_path.iterdir()) == []
