"""Forecast the test samples, or your own klines, with the models of all folds.

    python competitions/bit_trader/3_infer.py [--experiment NAME]
    python competitions/bit_trader/3_infer.py [--experiment NAME] --klines FILE [--every MINUTES]

Reads
    <work>/processed/                  output of 1_preprocess (not with --klines)
    <work>/<experiment>/fold<k>/       output of 2_train_folds
    <work>/<experiment>/oof.run.json   the tuned strategy, with --klines
Writes
    <work>/<experiment>/test.parquet  forecast open prices, minute_0 to minute_119, and volatility
    <work>/<experiment>/klines_<name>.csv  with --klines FILE: windows, positions, and the outcome where known
    <work>/<experiment>/klines_<name>.parquet  with --klines FILE: the forecasts, as in test.parquet

Forecasts are averaged over folds and repeats. A forecaster that is fitted to each series separately (arima)
runs once. FILE is a 1-minute kline CSV of an exchange (12 columns, no header), at least 23 hours without a
gap. It is cut into windows, the last one at its end, and each is decided by the strategy that 2_train_folds
tuned.
"""

from common.run import Stage, lazy
from competitions.bit_trader.competition import COMPETITION
from competitions.bit_trader.predict.own_data import OWN_DATA

if __name__ == "__main__":
    Stage(COMPETITION, "infer", __doc__, own_data=OWN_DATA).run(
        lazy("competitions.bit_trader.pipeline:infer")
    )
