"""Bit trader: reading the official size, ARIMA over many series, equity of many submissions, CNN inference.

    python -m benchmarks.bit_trader [reading] [arima] [equity] [inference]

Reads nothing: bars come from the synthetic market, in the official layout and size. The CSV takes 1.2 GB
while the benchmark runs.
"""

from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.side_by_side import Comparison, benchmark_command, compare, compare_processes
from common.base.console import log, progress
from common.learn.arrays import Float32, Float64, Int64
from competitions.bit_trader.competition import COMPETITION
from competitions.bit_trader.data.bar_files import COLUMNS, FIELDS, FUTURE_MINUTES, PAST_MINUTES
from competitions.bit_trader.data.windows import Windows, store_bars
from competitions.bit_trader.models.factory import make_forecaster
from competitions.bit_trader.rules.metric import equities
from competitions.bit_trader.sample.market_simulation import COINS, bars_of, draw_coins, simulate_market

SLUG = "bit_trader"
TRAIN_SAMPLES, TEST_SAMPLES = 7929, 760
SIMULATED = 300
"""As many samples are simulated and repeated under other ids; their text costs the same to read."""
SERIES = 60
SUBMISSIONS = 10_000


def simulated_bars(samples: int, seed: int) -> Float32:
    """(samples, 1500, 9) bars of the synthetic market."""
    generator = np.random.default_rng(seed)
    coins, coin_index = draw_coins(generator), np.arange(samples) % COINS
    market = simulate_market(coins.volatility[coin_index], generator)
    return bars_of(market, coins.pick(coin_index), generator)


def simulated_windows(samples: int, seed: int) -> Windows:
    """The same bars as windows with their future."""
    bars, number = simulated_bars(samples, seed), np.arange(samples)
    return Windows(number, number % COINS, number[:, None], bars[:, :PAST_MINUTES], bars[:, PAST_MINUTES:])


# ---- reading


def write_official_csv(path: Path, samples: int) -> None:
    """train_x_df.csv in the official columns, sample by sample."""
    import polars as pl

    bars = simulated_bars(min(SIMULATED, samples), 0)[:, :PAST_MINUTES]
    with path.open("wb") as file:
        for first in progress(range(0, samples, len(bars)), "writing train_x_df.csv", "blocks"):
            count = min(len(bars), samples - first)
            sample_id = np.repeat(np.arange(first, first + count), PAST_MINUTES)
            keys = (sample_id, np.tile(np.arange(PAST_MINUTES), count), sample_id % COINS)
            values = bars[:count].reshape(-1, len(FIELDS)).T
            table = pl.DataFrame(dict(zip(COLUMNS, (*keys, *values), strict=True)))
            table.write_csv(file, include_header=first == 0)


def read_by_pandas(path: Path) -> Float32:
    """The usual way: (samples, 1380, 9) float32."""
    import pandas as pd

    values = pd.read_csv(path)[list(FIELDS)].to_numpy(np.float32)
    return values.reshape(-1, PAST_MINUTES, len(FIELDS))


def store(path: Path, target: Path) -> None:
    """Our way: checked row by row, into a memory-mapped file."""
    store_bars(path, PAST_MINUTES, target)


def map_again(target: Path) -> float:
    """A second read: maps the file, touches one bar of each sample."""
    bars = np.load(target, mmap_mode="r")
    return float(bars[:, -1, 0].sum())


def load_again(target: Path) -> float:
    """A second read without mapping."""
    bars: Float32 = np.load(target)
    return float(bars[:, -1, 0].sum())


def reading(folder: Path) -> list[Comparison]:
    """Official-size CSV into arrays, and reading them a second time."""
    path, target = folder / "train_x_df.csv", folder / "train_x.npy"
    write_official_csv(path, TRAIN_SAMPLES)
    store(path, target)
    if not np.array_equal(np.load(target, mmap_mode="r"), read_by_pandas(path)):
        raise AssertionError("the arrays differ")
    size = f"{TRAIN_SAMPLES:,} x {PAST_MINUTES:,} rows, {path.stat().st_size / 1e9:.2f} GB of CSV"
    first = compare_processes(
        SLUG,
        f"official CSV into float32 arrays: {size}",
        ours=("store_bars: streamed, checked, onto disk", partial(store, path, target)),
        peer=("pandas.read_csv + reshape", partial(read_by_pandas, path)),
        target="at most 0.3x the time and 0.6x the memory",
        note="equal arrays; ours also checks every row and writes them to disk",
    )
    second = compare_processes(
        SLUG,
        "the same arrays a second time",
        ours=("memory-mapped", partial(map_again, target)),
        peer=("numpy.load into memory", partial(load_again, target)),
        target="under 0.1 s",
        note="one price of each sample touched",
    )
    return [first, second]


# ---- ARIMA


def arima_by_loop(series: Float32) -> Float32:
    """The paper's way: pmdarima's auto_arima in a loop over the series."""
    import warnings

    import pmdarima
    from threadpoolctl import threadpool_limits

    paths = []
    # Without this limit the loop can be ten times slower.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        for values in progress(series.astype(np.float64), "pmdarima loop", "series"):
            model = pmdarima.auto_arima(values, seasonal=False, suppress_warnings=True, error_action="ignore")
            paths.append(model.predict(FUTURE_MINUTES))
    return np.asarray(paths, np.float32)


def arima_in_parallel(windows: Windows, folder: Path) -> Float32:
    """Our way: the experiment `arima`."""
    forecaster = make_forecaster(COMPETITION.experiment("arima", "full"), "cpu")
    return forecaster.forecast(windows, np.arange(len(windows)), folder).paths


def arima(folder: Path) -> list[Comparison]:
    """60 series of 1,380 minutes, forecast for 120."""
    windows = simulated_windows(SERIES, 1)
    rows = np.arange(SERIES)
    series, future = windows.past_open(rows, PAST_MINUTES), windows.future_open(rows)
    kept: dict[str, Float32] = {}

    def ours() -> None:
        kept["ours"] = arima_in_parallel(windows, folder)

    def peer() -> None:
        kept["peer"] = arima_by_loop(series)

    found = compare(
        SLUG,
        f"auto_arima of {SERIES} series of {PAST_MINUTES:,} minutes",
        ours=("experiment arima: statsforecast in 2 processes", ours),
        peer=("pmdarima.auto_arima in a loop", peer),
        target="at least 8x faster, forecast error no worse",
        runs=1,
        warm=False,
    )
    errors = {side: float(np.sqrt(np.mean((paths - future) ** 2))) for side, paths in kept.items()}
    note = f"root mean squared error {errors['ours']:.6f} against {errors['peer']:.6f}"
    log(f"  {note}")
    return [found.model_copy(update={"note": note})]


# ---- equity


def equity_by_loop(future: Float64, buy: Float64, sell: Int64) -> list[float]:
    """The official rule in plain Python."""
    result = []
    for submission in range(len(buy)):
        equity = 10_000.0
        for sample in range(len(future)):
            b, s = buy[submission, sample], sell[submission, sample]
            ratio = future[sample, s] / future[sample, 0]
            equity *= (1 - b) + b * ratio * (1 - 0.0005) ** 2
        result.append(equity)
    return result


def equity(folder: Path) -> list[Comparison]:  # noqa: ARG001
    """10,000 submissions for 760 samples."""
    generator = np.random.default_rng(2)
    future = np.exp(0.002 * generator.normal(size=(TEST_SAMPLES, FUTURE_MINUTES))).astype(np.float64)
    buy = generator.random((SUBMISSIONS, TEST_SAMPLES))
    sell = generator.integers(0, FUTURE_MINUTES, (SUBMISSIONS, TEST_SAMPLES))
    if not np.allclose(equities(future, buy[:50], sell[:50]), equity_by_loop(future, buy[:50], sell[:50])):
        raise AssertionError("the equities differ")
    return [
        compare(
            SLUG,
            f"equity of {SUBMISSIONS:,} submissions x {TEST_SAMPLES} samples",
            ours=("metric.equities", partial(equities, future, buy, sell)),
            peer=("plain Python loop", partial(equity_by_loop, future, buy, sell)),
            target="at least 100x faster",
            runs=3,
        )
    ]


# ---- inference


def inference(folder: Path) -> list[Comparison]:
    """The paper's CNN on 760 samples."""
    # tensorflow is imported for this part only.
    from competitions.bit_trader.models.cnn import CnnForecaster

    settings = COMPETITION.experiment("cnn_manual", "full")
    windows, rows = simulated_windows(TEST_SAMPLES, 3), np.arange(TEST_SAMPLES)
    forecaster = CnnForecaster(settings, "cpu")

    def one_by_one() -> Float32:
        past = windows.past_open(rows, settings.lookback)[..., None]
        return np.concatenate([forecaster.network.predict(past[row : row + 1], verbose=0) for row in rows])

    def in_blocks() -> Float32:
        return forecaster.forecast(windows, rows, folder).paths

    if not np.allclose(one_by_one(), in_blocks(), atol=1e-5):
        raise AssertionError("the forecasts differ")
    return [
        compare(
            SLUG,
            f"CNN (cnn_manual) inference of {TEST_SAMPLES} samples",
            ours=("CnnForecaster.forecast", in_blocks),
            peer=("model.predict sample by sample", one_by_one),
            target="faster",
            runs=3,
            note="equal forecasts; both read the prices from the windows",
        )
    ]


if __name__ == "__main__":
    parts = {"reading": reading, "arima": arima, "equity": equity, "inference": inference}
    benchmark_command(__doc__, parts)
