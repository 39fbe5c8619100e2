"""The real stages: broken data end in one line, sound data in a valid submission."""

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from common.run.competition import Finished
from common.run.run_record import read_record
from competitions.bit_trader.competition import COMPETITION
from competitions.bit_trader.data.bar_files import COLUMNS, FIELDS
from tests.bit_trader.conftest import RunStage

Damage = Callable[[Path], None]


@pytest.fixture
def data(sample: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    shutil.copytree(sample, folder)
    return folder


def remove(name: str) -> Damage:
    return lambda folder: (folder / name).unlink()


def edit(name: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Damage:
    return lambda folder: change(pl.read_csv(folder / name)).write_csv(folder / name)


def cut_short(name: str) -> Damage:
    def damage(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return damage


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (remove("train_x_df.csv"), "neither train_x_df.parquet nor train_x_df.csv"),
        (remove("sample_submission.csv"), "sample_submission.csv: no such file"),
        (cut_short("train_y_df.csv"), "train_y_df.csv: sample"),
        (edit("train_x_df.csv", lambda table: table.drop("trades")), "column 'trades' is missing"),
        (edit("train_y_df.csv", lambda table: table[240:]), "sample_id of train_y_df"),
        (
            edit("test_x_df.csv", lambda t: t.with_columns(pl.col(FIELDS) * 2)),
            "sample 30, minute 1379: open is 2",
        ),
        (edit("sample_submission.csv", lambda table: table[::-1]), "sample_submission.csv does not list"),
        (
            edit("test_x_df.csv", lambda t: t.with_columns(pl.col("sample_id") - 5)),
            "sample 25 appears in both train_x_df and test_x_df",
        ),
        (
            edit("train_y_df.csv", lambda t: t.with_columns(pl.col(FIELDS).shift(120, fill_value=1.0))),
            "does not begin where train_x_df ends",
        ),
        (
            edit(
                "train_y_df.csv",
                lambda t: t.with_columns(pl.col(FIELDS) / pl.col("open").first().over("sample_id")),
            ),
            "does not begin where train_x_df ends",
        ),
        (
            edit(
                "train_y_df.csv",
                lambda t: t.with_columns(
                    pl.when(pl.col("sample_id") == 7).then(pl.col(FIELDS) * 4).otherwise(pl.col(FIELDS))
                ),
            ),
            "sample 7: the price changes by a factor of 4",
        ),
        (
            edit("train_x_df.csv", lambda t: t.rename({"high": "low", "low": "high"})),
            "check which column is which",
        ),
    ],
)
def test_broken_data_end_in_one_line_and_leave_nothing(
    data: Path, tmp_path: Path, run_stage: RunStage, damage: Damage, words: str
) -> None:
    damage(data)
    code, text = run_stage("1_preprocess.py", "--data", str(data))
    assert code == 2, text
    assert words in text
    assert "Traceback" not in text
    assert len([line for line in text.splitlines() if line.startswith("error: ")]) == 1
    left = [path.name for path in (tmp_path / "work").rglob("*") if path.is_file()]
    assert not any(name == "run.json" or name.startswith(".") for name in left), left


def test_the_submission_validates_and_trades_only_if_significant(finished: Path, sample: Path) -> None:
    assert COMPETITION.validate(finished / "champion" / "submission.csv", sample) == []
    record = read_record(finished / "champion" / "oof.run.json")
    assert (
        record.metrics["oof_equity_low"] <= record.metrics["oof_equity"] <= record.metrics["oof_equity_high"]
    )
    submission = pl.read_csv(finished / "champion" / "submission.csv")
    if record.decision["threshold"] is None:
        assert record.metrics["oof_equity"] == 10000
        assert record.metrics["cross_fitted_equity_low"] <= 10000
        assert submission["buy_quantity"].sum() == 0
    else:
        assert record.metrics["cross_fitted_equity_low"] > 10000


def test_csv_and_parquet_are_processed_alike(
    data: Path, finished: Path, tmp_path: Path, run_stage: RunStage
) -> None:
    for file in data.glob("t*_df.csv"):
        table = pl.read_csv(file).select(COLUMNS).with_columns(pl.col(FIELDS).cast(pl.Float32))
        table.write_parquet(file.with_suffix(".parquet"))
        file.unlink()
    code, text = run_stage("1_preprocess.py", "--data", str(data), "--profile", "sample")
    assert code == 0, text
    from_parquet = read_record(tmp_path / "work" / "processed" / "run.json").outputs
    from_csv = read_record(finished / "processed" / "run.json").outputs
    assert [output.path for output in from_csv] == [output.path for output in from_parquet]
    assert [output.sha256 for output in from_csv] == [output.sha256 for output in from_parquet]


def test_figures_with_and_without_truth(finished: Path, sample: Path, tmp_path: Path) -> None:
    records = [read_record(path) for path in sorted((finished / "champion").glob("*run.json"))]
    for truth in (sample / COMPETITION.truth_name, None):
        figures = COMPETITION.figures(Finished("champion", finished, sample, records, truth), tmp_path)
        assert [figure.path.stem for figure in figures] == [
            "equity",
            "trades",
            "strategies",
            "coins",
            "threshold",
        ]
        for figure in figures:
            assert figure.path.read_bytes().startswith(b"\x89PNG")
            assert figure.path.stat().st_size < 200_000
            assert figure.caption
        assert ("test samples" in figures[0].caption) == (truth is not None)
