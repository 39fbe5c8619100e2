"""Test listings -> candidate pairs among the test listings.

    python competitions/shopee_matching/3_infer.py [--experiment NAME] [--work DIR] [--weights DIR]
    python competitions/shopee_matching/3_infer.py --catalogue FILE --columns id=sku,title=name,image=file
        [--pictures DIR] [--index DIR] [--encoding NAME]

Every test listing is searched in the gallery of all test listings. Word frequencies also count the labelled
titles. The networks of all folds are averaged; their scores are calibrated to the scale of one network, on
which the threshold was tuned. Rerankers of all folds are averaged.

With --catalogue a table of your own is matched instead, and an index of it is kept; with --index new listings
are added to an earlier index, and all are matched again. What is costly of older listings (embeddings,
descriptors, verified images) is read from the index.

Reads
    <work>/processed/test.parquet, <work>/processed/train.parquet  listings
    <work>/processed/<variant>/  test images or their descriptors
    <work>/<experiment>/fold<k>/checkpoint.safetensors  networks
    <work>/<experiment>/fold<k>/first_stage.txt, <work>/<experiment>/second_stage<k>.txt  rerankers
    <work>/<parent>/test.parquet, <work>/<parent>/test_embeddings.npy  of the parents of a fusion

Writes
    <work>/<experiment>/test.parquet  candidates of all test listings: query, match, scores
    <work>/<experiment>/test_embeddings.npy  by each fold's network, float16 (models, listings, dimensions)
    <work>/<experiment>/catalogue/<table>-<hash>/pairs.csv  with --catalogue: id,match,score of its matches
    <work>/<experiment>/catalogue/<table>-<hash>/all_pairs.csv  with --index: also those of the older listings
    <work>/<experiment>/catalogue/<table>-<hash>/groups.csv  id,group of all listings
    <work>/<experiment>/catalogue/<table>-<hash>/index/<part>  the index for --index
"""

from common.run import Stage, lazy
from common.run.flags import weights_flag
from competitions.shopee_matching.competition import COMPETITION
from competitions.shopee_matching.predict.own_data import OWN_DATA

WEIGHTS = weights_flag("folder with a text encoder's folder, as in 2_train_folds.py")

if __name__ == "__main__":
    Stage(COMPETITION, "infer", __doc__, WEIGHTS, own_data=OWN_DATA).run(
        lazy("competitions.shopee_matching.pipeline:infer")
    )
