# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # DACON AI Bit Trader, season 3
#
# From 23 hours of one-minute bars of a coin, decide how much to buy and when, within two hours, to sell. This
# notebook trains the champion, looks at its data and OOF results, and decides on klines of your own. Without
# official data it runs on a synthetic market. The official files go into `data/bit_trader/`; see the
# [README](../competitions/bit_trader/README.md).

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from common.run.notebook import copy_trained, run_stages
from common.run.run_record import read_record
from competitions.bit_trader import load
from competitions.bit_trader.competition import COMPETITION
from competitions.bit_trader.data.bar_files import FIELDS
from competitions.bit_trader.data.windows import open_windows
from competitions.bit_trader.decision.backtest import equity_curve
from competitions.bit_trader.models.forecasts import pooled_forecasts
from competitions.bit_trader.sample.market_simulation import bars_of, draw_coins, simulate_market

WORK = Path(os.environ.get("COMPETITIONS_WORK", "work")) / "bit_trader"

# %% [markdown]
# ## Train
#
# The four scripts read the bars into arrays, train one forecaster per fold and tune the strategy on the OOF
# forecasts, forecast the test samples, and write the submission. Finished stages are not repeated.

# %%
run_stages("bit_trader", work=WORK)

# %% [markdown]
# ## Data
#
# A sample has 1,380 bars before the purchase and, in training, 120 after it. All values are divided by the
# open of the last minute before the purchase.

# %%
print("raw data:", read_record(WORK / "processed" / "run.json").data)
windows = open_windows(WORK / "processed", "train")
print(f"{len(windows)} training samples of {len(np.unique(windows.coin_index))} coins")
pd.DataFrame(windows.past[0, -5:], columns=list(FIELDS))

# %% [markdown]
# ## OOF forecasts
#
# Each forecast comes from a model that did not see the sample in training.

# %%
champion = WORK / "champion"
forecast = pooled_forecasts(sorted(champion.glob("fold*/oof.parquet")), windows.sample_id)[0].paths
rows = np.arange(min(6, len(windows)))
future = windows.future_open(rows)
_, axes = plt.subplots(2, 3, figsize=(11, 5), layout="constrained")
for ax, row in zip(axes.flat, rows, strict=False):
    ax.plot(np.arange(-180, 0), windows.past[row, -180:, FIELDS.index("open")], color="grey", lw=0.8)
    ax.plot(future[row], label="actual")
    ax.plot(forecast[row], label="OOF forecast")
    ax.set_title(f"sample {windows.sample_id[row]}, coin {windows.coin_index[row]}")
axes[0, 0].legend()
plt.show()

# %% [markdown]
# ## OOF result
#
# The strategy trades only if its cross-fitted OOF equity is significantly above 10,000.

# %%
record = read_record(champion / "oof.run.json")
print("strategy:", record.decision)
trades = pd.read_parquet(champion / "oof_trades.parquet")
log_growth = np.log(trades["growth"]).groupby(trades["sample_id"], sort=False).mean()
plt.figure(figsize=(8, 3.5))
plt.plot(equity_curve(log_growth.to_numpy()), label="champion, OOF")
plt.axhline(10_000, color="grey", ls="--", label="never buying")
plt.xlabel("training samples")
plt.ylabel("equity")
plt.legend()
plt.show()
pd.Series({key: value for key, value in record.metrics.items() if "foresight" not in key}).to_frame("value")

# %% [markdown]
# ## Your own klines
#
# `predict` takes klines of one coin: a file, a folder of months, or a DataFrame. It says how it read them.
# Here the klines are 25 hours of a simulated coin. `skipped` marks purchases while the money is invested.

# %%
generator = np.random.default_rng(7)
coins = draw_coins(generator)
simulated = simulate_market(coins.volatility[:1], generator)
bars = bars_of(simulated, coins.pick(np.array([0])), generator)[0]
klines = pd.DataFrame(bars, columns=list(FIELDS))
klines.insert(0, "open_time", pd.date_range("2024-05-01", periods=len(klines), freq="min", tz="UTC"))
klines.tail(3)

# %%
# The folders of the experiment and of its parents are enough; copy them to any machine.
COPY = copy_trained(COMPETITION, WORK, WORK.parent / "copy" / WORK.name)
model = load("champion", work=COPY)
model.predict(klines, every=30)
