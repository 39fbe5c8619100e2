"""Read and check the official bars, and draw the sample orders that folds are cut from.

    python competitions/bit_trader/1_preprocess.py [--data DIR] [--work DIR]

Reads
    <data>/{train_x_df,train_y_df,test_x_df}.{parquet,csv}   minute bars; the parquet where both exist
    <data>/sample_submission.csv                             the test samples in their order
Writes
    <work>/processed/train_x.npy  (samples, 1380, 9) float32, the bars before the purchase
    <work>/processed/train_y.npy  (samples, 120, 9) float32, the bars after it
    <work>/processed/train_samples.parquet  sample_id, coin_index, fold_order_0 ... fold_order_4
    <work>/processed/test_x.npy  as train_x
    <work>/processed/test_samples.parquet  as train_samples, fold orders -1

The files are streamed into memory-mapped arrays, a few samples at a time. Columns in another order and rows
that repeat the previous row are repaired and reported; any other fault, a bar that contradicts itself or a y
that does not go on where x ends, say, ends the run with a one-line message.
A fold order is a random order of whole samples: place % folds is a sample's fold, for any number of folds,
and repeated K-fold uses several orders. Time is unknown: samples are never sorted by time or joined.
"""

from common.run import Stage, lazy
from competitions.bit_trader.competition import COMPETITION

if __name__ == "__main__":
    Stage(COMPETITION, "preprocess", __doc__).run(lazy("competitions.bit_trader.pipeline:preprocess"))
