import io
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from common.base.errors import InputError
from competitions.etci_flood.data.rle import decode_mask
from competitions.etci_flood.rules.baselines import baseline_scores
from competitions.etci_flood.rules.submission import (
    MEMBER,
    score_submission,
    submission_faults,
    write_archive,
    write_rle_table,
)
from tests.etci_flood.official_folder import empty_masks, write_competition

TILES = 3


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_competition(tmp_path_factory.mktemp("data"))


def saved(array: np.ndarray, pickled: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=pickled)
    return file.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def flipped(content: bytes) -> bytes:
    """One byte of the member's data changed, so that its checksum is wrong."""
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


GOOD = empty_masks(TILES)
BROKEN: dict[str, tuple[Callable[[], bytes], list[str]]] = {
    "not a zip": (lambda: saved(GOOD), ["not a zip archive"]),
    "empty file": (lambda: b"", ["not a zip archive"]),
    "cut short": (lambda: zipped({MEMBER: saved(GOOD)})[:-40], ["not a zip archive"]),
    "damaged": (lambda: flipped(zipped({MEMBER: saved(GOOD)})), ["damaged"]),
    "no array": (lambda: zipped({"masks.npy": saved(GOOD)}), ["unexpected member 'masks.npy'", "has no"]),
    "in a folder": (lambda: zipped({f"a/{MEMBER}": saved(GOOD)}), ["unexpected member", "has no"]),
    "extra member": (
        lambda: zipped({MEMBER: saved(GOOD), "notes.txt": b""}),
        ["unexpected member 'notes.txt'"],
    ),
    "no npy": (lambda: zipped({MEMBER: b"tile,rle\n"}), ["not an array"]),
    "pickled": (lambda: zipped({MEMBER: saved(np.array([{}]), True)}), ["pickled objects"]),
    "dtype": (lambda: zipped({MEMBER: saved(GOOD.astype(bool))}), ["dtype bool"]),
    "shape": (lambda: zipped({MEMBER: saved(GOOD[:2])}), ["shape (2, 256, 256); expected (3, 256, 256)"]),
    "flat": (lambda: zipped({MEMBER: saved(GOOD.ravel())}), ["shape"]),
    "255 for flood": (lambda: zipped({MEMBER: saved(GOOD + 255)}), ["196608 values other than 0 and 1"]),
    "values missing": (lambda: zipped({MEMBER: saved(GOOD)[:-7]}), ["its header promises 196608"]),
    "not a number": (lambda: zipped({MEMBER: saved(GOOD * np.nan)}), ["dtype float64", "values other"]),
    "all at once": (
        lambda: zipped({MEMBER: saved(GOOD[:1].astype(np.int32) + 2), "b": b""}),
        ["unexpected member 'b'", "dtype int32", "shape (1,", "65536 values other"],
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_every_fault_is_listed(data: Path, tmp_path: Path, name: str) -> None:
    make, words = BROKEN[name]
    path = tmp_path / "submission.zip"
    path.write_bytes(make())
    faults = submission_faults(path, data)
    assert len(faults) == len(words), faults
    for fault, word in zip(faults, words, strict=True):
        assert word in fault


def test_archives_are_valid_and_reproducible(data: Path, tmp_path: Path) -> None:
    masks = np.random.default_rng(1).integers(0, 2, GOOD.shape).astype(np.uint8)
    for name in ("one.zip", "two.zip"):
        write_archive(tmp_path / name, masks)
    assert submission_faults(tmp_path / "one.zip", data) == []
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.namelist() == [MEMBER]
        assert archive.read(MEMBER) == saved(masks)


def with_header(text: str, values: bytes = bytes(TILES * 256 * 256)) -> bytes:
    """A .npy file whose header is any text."""
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode("latin-1") + values


RIGHT = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({TILES}, 256, 256), }}\n"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "{",
        "(((((",
        "'",
        "0x",
        "{'descr': 3}",
        RIGHT.replace("'|u1'", "'|S0'"),
        RIGHT.replace("'|u1'", "'|V0'"),
        RIGHT.replace("'|u1'", "[('a', '|u1')]"),
        RIGHT.replace("'|u1'", "{'a': 1}"),
        RIGHT.replace(f"({TILES}, 256, 256)", "()"),
        RIGHT.replace(f"({TILES}, 256, 256)", "(-3, 256, 256)"),
        RIGHT.replace(f"({TILES}, 256, 256)", "(True, 256, 256)"),
        RIGHT.replace(f"({TILES}, 256, 256)", "(10**9, 256, 256)"),
        RIGHT.replace(f"({TILES}, 256, 256)", "(99999999999999, 256, 256)"),
        "[" * 5000,
    ],
)
def test_any_header_ends_in_faults(data: Path, tmp_path: Path, header: str) -> None:
    path = tmp_path / "submission.zip"
    path.write_bytes(zipped({MEMBER: with_header(header)}))
    assert 1 <= len(submission_faults(path, data)) <= 2
    write_empty_truth(tmp_path)
    with pytest.raises(InputError):
        score_submission(path, tmp_path / "flood.npy")


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_compressions_are_read_and_damage_is_a_fault(data: Path, tmp_path: Path, method: int) -> None:
    path = tmp_path / "submission.zip"
    noise = np.random.default_rng(0).integers(0, 2, GOOD.shape, dtype=np.uint8)
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(MEMBER, saved(noise))
    assert submission_faults(path, data) == []
    path.write_bytes(flipped(path.read_bytes()))
    assert "damaged" in submission_faults(path, data)[0]


def test_a_bomb_is_judged_by_its_header(data: Path, tmp_path: Path) -> None:
    """A gigabyte of zeros in a megabyte: neither command reads it."""
    path = tmp_path / "submission.zip"
    tiles = 2**14
    header = RIGHT.replace(f"({TILES},", f"({tiles},")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(MEMBER, "w") as file:
        file.write(with_header(header, b""))
        for _ in range(64):
            file.write(bytes(2**24))
    write_empty_truth(tmp_path)
    tracemalloc.start()
    (fault,) = submission_faults(path, data)
    with pytest.raises(InputError, match="do not belong together"):
        score_submission(path, tmp_path / "flood.npy")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert f"shape ({tiles}, 256, 256)" in fault
    assert peak < 100e6


def write_empty_truth(folder: Path) -> None:
    np.save(folder / "flood.npy", GOOD)
    (folder / "tiles.csv").write_text("scene\n" + "a\n" * TILES)


def test_values_beyond_the_header_are_a_fault(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "submission.zip"
    path.write_bytes(zipped({MEMBER: saved(GOOD) + b"\0"}))
    assert "has more than 196608 bytes" in submission_faults(path, data)[0]
    write_empty_truth(tmp_path)
    with pytest.raises(InputError, match="promises 196608 bytes"):
        score_submission(path, tmp_path / "flood.npy")


def test_a_missing_submission_is_an_input_error(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such submission"):
        submission_faults(tmp_path / "submission.zip", data)


def test_the_rle_table_holds_the_same_masks(tmp_path: Path) -> None:
    masks = np.random.default_rng(2).integers(0, 2, (2, 256, 256)).astype(np.uint8)
    write_rle_table(tmp_path / "submission.csv", ["a", "b"], masks)
    header, *rows = (tmp_path / "submission.csv").read_text().splitlines()
    assert header == "tile,rle"
    for row, name, mask in zip(rows, "ab", masks, strict=True):
        tile, runs = row.split(",")
        assert tile == name
        assert np.array_equal(decode_mask(runs, (256, 256)), mask)


def write_truth(folder: Path, flood: np.ndarray, scenes: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    np.save(folder / "flood_label.npy", flood)
    rows = "".join(f"t{row},{scene}\n" for row, scene in enumerate(scenes))
    (folder / "tiles.csv").write_text("tile,scene\n" + rows)
    return folder / "flood_label.npy"


def test_score_by_hand(tmp_path: Path) -> None:
    flood, ours = empty_masks(3), empty_masks(3)
    flood[0, :, :64] = 1  # 16384 pixels of flood, half of them found
    ours[0, :, :32] = 1
    ours[2, 0, :10] = 1  # ten false alarms in the other scene
    truth = write_truth(tmp_path / "truth", flood, ["a", "a", "b"])
    write_archive(tmp_path / "submission.zip", ours)
    score = score_submission(tmp_path / "submission.zip", truth)
    assert score.value == pytest.approx(8192 / (16384 + 10))
    assert score.details == {
        "mean IoU per tile": pytest.approx((0.5 + 1 + 0) / 3),
        "IoU a": 0.5,
        "IoU b": 0.0,
    }


def test_submission_and_truth_of_different_tiles_are_refused(tmp_path: Path) -> None:
    truth = write_truth(tmp_path / "truth", empty_masks(2), ["a", "a"])
    write_archive(tmp_path / "submission.zip", empty_masks(3))
    with pytest.raises(InputError, match="do not belong together"):
        score_submission(tmp_path / "submission.zip", truth)
    truth = write_truth(tmp_path / "truth", empty_masks(2), ["a"])
    with pytest.raises(InputError, match="lists 1 tiles"):
        score_submission(tmp_path / "submission.zip", truth)


def test_baselines_by_hand(data: Path, tmp_path: Path) -> None:
    flood = empty_masks(TILES)
    flood[:, :64] = 1
    scores = baseline_scores(data, write_truth(tmp_path / "truth", flood, ["a"] * TILES))
    assert scores.pop("all flood") == 0.25
    assert scores.pop("water mask") == 0.0
    (vv, linear), found = scores, set(scores.values())
    # VV is 100 everywhere and half of the labelled tiles are flood: predicting flood everywhere is the best.
    assert int(vv.split()[2].rstrip(",")) > 100
    assert linear.startswith("linear: ")
    assert found == {0.25}
