"""Processed listings -> OOF candidates of the labelled listings, then the rule that makes them matches.

    python competitions/shopee_matching/2_train_folds.py [--experiment NAME] [--fold K] [--weights DIR]

Hashes, TF-IDF and descriptors use no labels. A network is trained on the label groups of the other folds
(`evaluation = "in_sample"`: of all folds) and embeds the gallery of all labelled listings, in which the
neighbours of the fold's listings are searched. A reranker is trained on the candidates of its parents. When
all folds are there, the thresholds, their slope over the gallery size and min-2 are tuned on all OOF
candidates. For catalogues of one's own, thresholds are measured on catalogues drawn from the labelled
listings, and a reranker of its own is trained on them.

Reads
    <work>/processed/train.parquet, <work>/processed/<variant>/  see 1_preprocess.py
    <work>/<parent>/oof.parquet, <work>/<parent>/fold<k>/embeddings.npy  of the parents of a fusion

Writes
    <work>/<experiment>/fold<k>/checkpoint.safetensors  the fold's network
    <work>/<experiment>/fold<k>/embeddings.npy  all labelled listings by it, float16 (1, listings, dimensions)
    <work>/<experiment>/fold<k>/encoder/<file>  tokenizer and configuration of an encoder given by --weights
    <work>/<experiment>/fold<k>/visual_words.npz  vocabulary of the VLAD vectors
    <work>/<experiment>/fold<k>/first_stage.txt  the fold's first-stage reranker
    <work>/<experiment>/fold<k>/oof.parquet  candidates of the fold's listings: query, match, scores
    <work>/<experiment>/second_stage<k>.txt  second-stage rerankers, one per fold
    <work>/<experiment>/catalogue<k>.txt  rerankers for one's own catalogues, one per fold
    <work>/<experiment>/training_titles.parquet  labelled titles, for the word frequencies of catalogues
    <work>/<experiment>/oof.parquet  candidates of all labelled listings
"""

from common.run import Stage, lazy
from common.run.flags import weights_flag
from competitions.shopee_matching.competition import COMPETITION

WEIGHTS = weights_flag("folder with <network>.safetensors, .pt or .pth, or with a text encoder's folder")

if __name__ == "__main__":
    Stage(COMPETITION, "train_folds", __doc__, WEIGHTS).run(
        lazy("competitions.shopee_matching.pipeline:train_fold"),
        pool=lazy("competitions.shopee_matching.pipeline:pool_folds"),
    )
