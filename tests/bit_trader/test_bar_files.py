"""Official files, sound and broken, csv and parquet."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from common.base.errors import InputError
from competitions.bit_trader.data import bar_files
from competitions.bit_trader.data.bar_files import (
    COLUMNS,
    FIELDS,
    check_scaling,
    count_samples,
    fill_bars,
    find_bar_file,
    number,
)
from competitions.bit_trader.data.windows import store_bars

MINUTES = 120


def bars_table(samples: int = 3) -> pl.DataFrame:
    rows = samples * MINUTES
    generator = np.random.default_rng(0)
    values = generator.uniform(0.9, 1.1, (rows, len(FIELDS))).astype(np.float32).astype(np.float64)
    values[:, 1], values[:, 2] = values[:, :4].max(axis=1), values[:, :4].min(axis=1)
    values[:, 7:] = np.minimum(values[:, 7:], values[:, 4:6])  # takers buy part of the volume
    columns = {
        "sample_id": np.repeat(np.arange(samples) + 10, MINUTES),
        "time": np.tile(np.arange(MINUTES), samples),
        "coin_index": np.repeat(np.arange(samples) % 2, MINUTES),
    }
    return pl.DataFrame(columns | {name: values[:, column] for column, name in enumerate(FIELDS)})


def read(path: Path) -> np.ndarray:
    bars = np.zeros((count_samples(path, MINUTES), MINUTES, len(FIELDS)), np.float32)
    fill_bars(path, bars)
    return bars


def test_csv_and_parquet_read_alike_and_parquet_is_preferred(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = bars_table()
    table.write_csv(tmp_path / "train_x_df.csv")
    assert find_bar_file(tmp_path, "train_x_df").suffix == ".csv"
    from_csv = read(tmp_path / "train_x_df.csv")
    table.with_columns(pl.col(FIELDS).cast(pl.Float32)).write_parquet(tmp_path / "train_x_df.parquet")
    assert find_bar_file(tmp_path, "train_x_df").suffix == ".parquet"
    assert "the parquet is read" in capsys.readouterr().out
    assert np.array_equal(read(tmp_path / "train_x_df.parquet"), from_csv)
    expected = table.select(FIELDS).to_numpy().reshape(3, MINUTES, len(FIELDS))
    assert np.array_equal(from_csv, expected.astype(np.float32))


def test_columns_are_read_by_name_in_any_order_and_reported(tmp_path: Path) -> None:
    table = bars_table()
    table.write_csv(tmp_path / "a.csv")
    table.select(COLUMNS[::-1]).write_csv(tmp_path / "b.csv")
    assert np.array_equal(read(tmp_path / "a.csv"), read(tmp_path / "b.csv"))
    bars = np.zeros((3, MINUTES, len(FIELDS)), np.float32)
    assert fill_bars(tmp_path / "a.csv", bars).repairs == []
    (repair,) = fill_bars(tmp_path / "b.csv", bars).repairs
    assert "b.csv: columns in another order" in repair


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("row", [0, 119, 130, 359])
def test_a_row_that_repeats_the_one_before_is_dropped_and_reported(
    tmp_path: Path, suffix: str, row: int
) -> None:
    table = bars_table()
    duplicated = pl.concat([table[: row + 1], table[row : row + 1], table[row:]])  # three times the same
    for name, content in (("sound", table), ("duplicated", duplicated)):
        path = tmp_path / f"{name}{suffix}"
        content.write_csv(path) if suffix == ".csv" else content.write_parquet(path)
    target = tmp_path / "bars.npy"
    found = store_bars(tmp_path / f"duplicated{suffix}", MINUTES, target)
    assert np.array_equal(np.load(target), read(tmp_path / f"sound{suffix}"))
    assert found.sample_id.tolist() == [10, 11, 12]
    assert found.coin_index.tolist() == [0, 1, 0]
    (repair,) = found.repairs
    assert "2 rows repeat" in repair


def set_value(column: str, row: int, value: float | int | None) -> Callable[[pl.DataFrame], pl.DataFrame]:
    def change(table: pl.DataFrame) -> pl.DataFrame:
        values = table[column].to_list()
        values[row] = value
        return table.with_columns(pl.Series(column, values, dtype=table[column].dtype))

    return change


def other_volume(row: pl.DataFrame) -> pl.DataFrame:
    return row.with_columns(pl.col("volume") + 1)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: pl.concat([t[:130], t[131:]]), "sample 11, minute 10 is missing"),
        (
            lambda t: pl.concat([t[:131], other_volume(t[130:131]), t[131:]]),
            "sample 11, minute 10 occurs twice",
        ),
        (lambda t: pl.concat([t[:119], t[120:]]), "sample 10 ends at minute 118"),
        (lambda t: t[1:], "sample 10 begins at minute 1"),
        (lambda t: t[:-5], "sample 12 ends at minute 114"),
        (lambda t: pl.concat([t, t[:120]]), "sample 10 occurs 2 times"),
        (lambda t: t[::-1], "sample 12 begins at minute 119"),
        (lambda t: t.drop("volume"), "column 'volume' is missing"),
        (lambda t: t[:0], "has no rows"),
        (set_value("close", 125, float("nan")), "sample 11, minute 5: close is nan"),
        (set_value("volume", 125, float("inf")), "sample 11, minute 5: volume is inf"),
        (set_value("trades", 125, None), "sample 11, minute 5: trades is empty"),
        (set_value("open", 125, 0.0), "sample 11, minute 5: open is 0"),
        (set_value("volume", 125, -1.0), "sample 11, minute 5: volume is -1"),
        (set_value("coin_index", 125, 7), "sample 11, minute 5: coin_index changes from 1 to 7"),
        (set_value("sample_id", 125, 77), "sample 11 ends at minute 4"),
        (set_value("high", 125, 0.5), "sample 11, minute 5: open"),
        (set_value("low", 250, 3.0), "sample 12, minute 10: low 3 is above open"),
        (set_value("close", 250, 3.0), "sample 12, minute 10: close 3 is above high"),
        (set_value("tb_base_av", 125, 1.5), "sample 11, minute 5: tb_base_av 1.5 is above volume"),
        (set_value("tb_quote_av", 125, 1.5), "sample 11, minute 5: tb_quote_av 1.5 is above quote_av"),
        (lambda t: t.rename({"high": "low", "low": "high"}), "sample 10, minute 0: open"),
        (lambda t: t.rename({"volume": "tb_base_av", "tb_base_av": "volume"}), "check which column is which"),
        (set_value("volume", 125, 1e39), "sample 11, minute 5: volume is 1e+39, which float32 cannot hold"),
        (set_value("low", 125, 1e-42), "sample 11, minute 5: low is 1e-42, which float32 cannot hold"),
    ],
)
def test_each_fault_names_sample_and_minute(
    tmp_path: Path, suffix: str, change: Callable[[pl.DataFrame], pl.DataFrame], words: str
) -> None:
    path = tmp_path / f"train_y_df{suffix}"
    table = change(bars_table())
    if suffix == ".csv":
        table.write_csv(path)
    else:
        table.write_parquet(path)
    with pytest.raises(InputError) as fault:
        read(path)
    assert words in str(fault.value)
    assert "train_y_df" in str(fault.value)
    assert "\n" not in str(fault.value)


def test_files_cut_short_within_a_line_or_a_block(tmp_path: Path) -> None:
    table = bars_table()
    table.write_csv(tmp_path / "a.csv")
    table.write_parquet(tmp_path / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) * 2 // 3])
        with pytest.raises(InputError, match=r"truncated|is empty"):
            read(tmp_path / name)


def test_a_packed_or_renamed_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "train_x_df.csv.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"neither .* found train_x_df\.csv\.zip, unpack or rename it"):
        find_bar_file(tmp_path, "train_x_df")


@pytest.mark.parametrize("content", ["", "hello\n", "sample_id,time\n1,2\n"])
def test_what_is_no_bar_file(tmp_path: Path, content: str) -> None:
    for suffix in (".csv", ".parquet"):
        path = tmp_path / f"a{suffix}"
        path.write_text(content)
        with pytest.raises(InputError):
            read(path)


def text_of(table: pl.DataFrame) -> str:
    return table.write_csv()


@pytest.mark.parametrize(
    ("content", "repairs"),
    [
        (lambda t: text_of(t) + "\n", []),
        (lambda t: text_of(t) + "\n\n\n", []),
        (lambda t: text_of(t).replace("\n", "\r\n") + "\r\n", []),
        (lambda t: "\ufeff" + text_of(t), []),
        (lambda t: text_of(t).replace(",", ";"), ["separated by semicolons"]),
        (lambda t: text_of(t).replace("sample_id,time", "Sample_ID, time "), ["without regard to case"]),
        (lambda t: text_of(t.with_columns(pl.col("sample_id", "time").cast(pl.Float64))), []),
        (lambda t: text_of(t.with_columns(extra=pl.lit("x"))), []),
    ],
)
def test_official_files_as_editors_and_tables_save_them(
    tmp_path: Path, content: Callable[[pl.DataFrame], str], repairs: list[str]
) -> None:
    text_of_sound, path = text_of(bars_table()), tmp_path / "train_y_df.csv"
    (tmp_path / "sound.csv").write_text(text_of_sound)
    path.write_text(content(bars_table()), encoding="utf-8", newline="")
    found = store_bars(path, MINUTES, tmp_path / "bars.npy")
    assert np.array_equal(np.load(tmp_path / "bars.npy"), read(tmp_path / "sound.csv"))
    assert found.sample_id.tolist() == [10, 11, 12]
    assert len(found.repairs) == len(repairs)
    assert all(words in line for words, line in zip(repairs, found.repairs, strict=True))


def test_keys_are_whole_numbers_and_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    floats = bars_table().with_columns(pl.col("sample_id", "time").cast(pl.Float64))
    floats.with_columns(high=pl.lit(0.1)).write_parquet(path)
    with pytest.raises(InputError, match="sample 10, minute 0: open"):
        read(path)
    floats.with_columns(pl.col("sample_id") + 0.5).write_parquet(path)
    with pytest.raises(InputError, match=r"sample 10\.5, minute 0: sample_id is 10\.5; expected a whole"):
        read(path)


def test_a_double_column_is_no_guess(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text_of(bars_table().with_columns(OPEN=pl.lit(1.0))))
    with pytest.raises(InputError, match="twice"):
        read(path)
    path.write_bytes(text_of(bars_table()).encode("utf-16"))
    with pytest.raises(InputError, match="UTF-16"):
        read(path)


def test_words_among_the_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    bars_table().write_csv(path)
    lines = path.read_text().splitlines()
    lines[50] = lines[50].rsplit(",", 1)[0] + ",many"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=r"a\.csv: not readable as csv"):
        read(path)


def test_the_last_open_must_be_1(tmp_path: Path) -> None:
    bars = np.ones((2, 5, len(FIELDS)), np.float32)
    check_scaling(tmp_path, bars, np.array([4, 5]))
    bars[1, -1, 0] = 1.0000123
    with pytest.raises(InputError, match=r"sample 5, minute 4: open is 1\.00001"):
        check_scaling(tmp_path, bars, np.array([4, 5]))
    assert number(np.float32(1.0000001)) == "1.0000001"
    assert number(np.float64(1.00000001)) == "1.00000001"
    assert number(np.float64(2.5)) == "2.5"


def test_duplicate_rows_at_the_border_of_two_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = bars_table()
    batches = [table[:130], table[129:130], table[129:200], table[199:]]

    class Scan:
        def collect_batches(self, **_: object) -> list[pl.DataFrame]:
            return batches

    path = tmp_path / "a.csv"
    table.write_csv(path)
    expected = read(path)
    monkeypatch.setattr(bar_files, "_scan", lambda _: Scan())
    bars = np.zeros((3, MINUTES, len(FIELDS)), np.float32)
    assert "3 rows repeat" in fill_bars(path, bars).repairs[0]
    assert np.array_equal(bars, expected)
