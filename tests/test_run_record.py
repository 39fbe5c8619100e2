"""Records and identities of inputs hold for odd names, links and damaged files."""

import json
import os
from pathlib import Path

import pytest

from common.base.errors import InputError
from common.run.run_record import RunRecord, hardware, hash_path, read_record, short_hash, write_record

RECORD = RunRecord(
    competition="toy", stage="infer", experiment={"name": "champion"}, profile="sample", seed=1, data="data",
    sample_data=True, inputs={}, outputs=[], inputs_hash="x", metrics={"score": 0.5}, decision={}, history=[],
    warnings=[], warnings_count=0, device="cpu", hardware="a machine", git_commit=None, code="c", packages={},
    seconds=1, peak_memory_mb=1, finished="2026-01-01",
)  # fmt: skip
LATIN = os.fsdecode(b"caf\xe9.jpg")


def test_a_record_keeps_names_that_are_no_text(tmp_path: Path) -> None:
    write_record(tmp_path / "run.json", RECORD.model_copy(update={"warnings": [f"{LATIN}: cut short"]}))
    assert read_record(tmp_path / "run.json").warnings == [r"caf\udce9.jpg: cut short"]
    assert short_hash([LATIN]) != short_hash(["cafe.jpg"])


@pytest.mark.parametrize(
    "change", [{"stage": "train"}, {"metrics": {"score": "high"}}, {"outputs": 3}, {"zzz": 1}]
)
def test_a_record_of_another_shape_ends_in_one_line(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(RECORD.model_dump() | change))
    with pytest.raises(InputError, match="not a run record"):
        read_record(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="not a run record"):
        read_record(path)


def test_an_earlier_record_without_later_fields_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    fields = RECORD.model_dump()
    del fields["understood"]
    path.write_text(json.dumps(fields))
    assert read_record(path).understood == []


def test_links_in_circles_end(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "table.csv").write_text(name)
    before = hash_path(tmp_path)
    for name in ("a", "b"):
        for n in range(3):
            (tmp_path / name / f"back{n}").symlink_to(tmp_path)
    hash_path.cache_clear()
    assert hash_path(tmp_path) == before


def test_a_linked_folder_counts(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    data.mkdir()
    elsewhere.mkdir()
    (elsewhere / "table.csv").write_text("1")
    (data / "linked").symlink_to(elsewhere)
    before = hash_path(data)
    (elsewhere / "table.csv").write_text("2")
    hash_path.cache_clear()
    assert hash_path(data) != before


def test_the_instruction_set_is_part_of_the_hardware() -> None:
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    assert ("(AVX-512)" in hardware()) == ("avx512f" in flags)
