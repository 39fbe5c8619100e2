"""Train one model per fold, then tune the ensemble weights and the threshold on all OOF predictions.

    python competitions/my_competition/2_train_folds.py [--experiment NAME] [--fold K]

An experiment with parents trains no model: its members are the parents' OOF (out-of-fold) predictions. The
OOF score of a fold uses weights and a threshold that are tuned on the other folds.

Reads
    <work>/processed/train.parquet, of the parents: <work>/<experiment>/oof.parquet

Writes
    <work>/<experiment>/fold<k>/model.txt  the fold's LightGBM model
    <work>/<experiment>/fold<k>/model.json  the fold's logistic regression
    <work>/<experiment>/fold<k>/oof.parquet  id, machine, fails, the probability by each member
    <work>/<experiment>/oof.parquet  all folds: id, machine, fails, fold, probability, cross-fitted predicted
"""

from common.run import Stage, lazy
from competitions.my_competition.competition import COMPETITION

if __name__ == "__main__":
    Stage(COMPETITION, "train_folds", __doc__).run(
        lazy("competitions.my_competition.pipeline:train_fold"),
        pool=lazy("competitions.my_competition.pipeline:pool_folds"),
    )
