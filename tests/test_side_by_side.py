import time
from functools import partial
from pathlib import Path

import pytest

from benchmarks import side_by_side
from benchmarks.side_by_side import (
    Comparison,
    benchmark_command,
    compare,
    compare_processes,
    keep,
    read_comparisons,
)


def use_memory(megabytes: int, seconds: float) -> int:
    block = bytearray(megabytes * 2**20)
    time.sleep(seconds)
    return len(block)


def test_medians_of_alternating_calls() -> None:
    calls: list[str] = []

    def peer() -> None:
        calls.append("peer")
        time.sleep(0.02)

    result = compare(
        "etci_flood",
        "wait",
        ours=("short", lambda: calls.append("ours")),
        peer=("long", peer),
        target="at least 2x faster",
        runs=4,
    )
    assert calls == ["ours", "peer", "ours", "peer", "peer", "ours", "ours", "peer", "peer", "ours"]
    assert result.runs == 4
    assert result.peer_seconds >= 0.02
    assert result.speed_up > 2


def test_memory_is_what_the_call_adds() -> None:
    result = compare_processes(
        "etci_flood",
        "fill memory",
        ours=("small", partial(use_memory, 1, 0.0)),
        peer=("large", partial(use_memory, 300, 0.1)),
        target="less memory",
        runs=1,
    )
    assert result.our_memory_mb is not None
    assert result.peer_memory_mb is not None
    assert result.our_memory_mb < 100
    assert 250 < result.peer_memory_mb < 400


def test_kept_rows_replace_older_ones_of_the_same_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("<!-- results -->\n<!-- /results -->\n")
    monkeypatch.setattr(side_by_side, "RESULTS", tmp_path / "benchmarks.csv")
    monkeypatch.setattr(side_by_side, "README", readme)

    def row(task: str, seconds: float, memory: float | None) -> Comparison:
        return Comparison(
            competition="etci_flood",
            task=task,
            ours="a",
            peer="b",
            target="faster",
            our_seconds=seconds,
            our_fastest=seconds,
            our_slowest=seconds,
            peer_seconds=3.0,
            peer_fastest=3.0,
            peer_slowest=3.0,
            our_memory_mb=memory,
            peer_memory_mb=memory,
            runs=1,
            hardware="a machine",
            git_commit="abc",
            date="2021-09-01",
        )

    keep([row("one", 1.0, None), row("two", 1.0, 5.0)])
    keep([row("one", 1.5, None)])
    kept = {each.task: each for each in read_comparisons()}
    assert {task: each.our_seconds for task, each in kept.items()} == {"one": 1.5, "two": 1.0}
    assert kept["one"].our_memory_mb is None
    assert kept["two"].our_memory_mb == 5.0
    assert "| 2x |" in readme.read_text()


def test_only_known_parts_are_measured_each_in_an_empty_folder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    seen: list[list[Path]] = []

    def part(temp_dir: Path) -> list[Comparison]:
        seen.append(list(temp_dir.iterdir()))
        (temp_dir / "left").touch()
        return []

    monkeypatch.setattr(side_by_side, "keep", lambda rows: None)
    monkeypatch.setattr("sys.argv", ["benchmarks", "--temp-dir", str(tmp_path / "new" / "scratch")])
    benchmark_command("About.", {"one": part, "two": part})
    assert seen == [[], []]
    assert list((tmp_path / "new" / "scratch").iterdir()) == []
    monkeypatch.setattr("sys.argv", ["benchmarks", "three"])
    with pytest.raises(SystemExit) as stop:
        benchmark_command("About.", {"one": part})
    assert stop.value.code == 2
    assert "expected: one" in capsys.readouterr().err
