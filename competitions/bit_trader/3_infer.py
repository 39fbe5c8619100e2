"""Forecast the test samples, or your own klines, with the models of all folds.

    python competitions/bit_trader/3_infer.py [--experiment NAME]
    python competitions/bit_trader/3_infer.py [--experiment NAME] --klines FILE ... [--every N]

Reads
    <work>/processed/                  output of 1_preprocess (not with --klines)
    <work>/<experiment>/fold<k>/       output of 2_train_folds
    <work>/<experiment>/oof.run.json   the tuned strategy, with --klines
Writes
    <work>/<experiment>/test.parquet  forecast open prices, minute_0 to minute_119, and volatility
    <work>/<experiment>/klines/<name>-<hash>.csv  with --klines: windows, positions, outcome where known
    <work>/<experiment>/klines/<name>-<hash>.parquet  with --klines: the forecasts, as in test.parquet

Forecasts are averaged over folds and repeats. A forecaster that is fitted to each series separately (arima)
runs once. FILE is a table or folder of 1-minute klines of one coin (CSV, .gz, .zip, .xlsx, parquet, JSON).
Columns are found by name, or by place as exchanges (12) and ccxt (6) have them. Each stretch of at least 23
hours without a gap is cut into windows, the last one at its end. The strategy that 2_train_folds tuned
decides each; one account skips purchases while it is invested.
"""

from common.run import Stage, lazy
from competitions.bit_trader.competition import COMPETITION
from competitions.bit_trader.predict.own_data import OWN_DATA

if __name__ == "__main__":
    Stage(COMPETITION, "infer", __doc__, own_data=OWN_DATA).run(
        lazy("competitions.bit_trader.pipeline:infer")
    )
