"""Faults of the machine end in one line; bugs keep their traceback."""

import errno

import pytest

from common.base.errors import InputError, explain_fault


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (InputError("a\n  b"), "a b"),
        (OSError(errno.ENOSPC, "No space left on device", "maps.npy"), "maps.npy: no space is left"),
        (PermissionError(errno.EACCES, "denied", "train.csv"), "train.csv: permission denied"),
        (NotADirectoryError(errno.ENOTDIR, "not a folder", "work"), "work: a file stands"),
        (
            RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed"),
            "no space is left",
        ),
        (RuntimeError("IO error: No space left on device (os error 28)"), "no space is left"),
        (MemoryError("Unable to allocate 3 GiB"), "out of memory (Unable to allocate 3 GiB)"),
    ],
)
def test_faults_have_one_line(fault: BaseException, words: str) -> None:
    line = explain_fault(fault)
    assert line is not None
    assert words in line
    assert "\n" not in line


@pytest.mark.parametrize("bug", [ValueError("x"), KeyError("x"), OSError("x"), AssertionError()])
def test_bugs_have_none(bug: BaseException) -> None:
    assert explain_fault(bug) is None


def test_a_missing_file_is_told_even_when_a_library_gives_no_errno() -> None:
    line = explain_fault(FileNotFoundError("No such file or directory (os error 2): processed/test.parquet"))
    assert line is not None
    assert "processed/test.parquet" in line
    assert "moved" in line
