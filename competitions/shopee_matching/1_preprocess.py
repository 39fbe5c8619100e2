"""Raw listings -> decoded titles, hashes, folds by product, images of one size or their descriptors.

    python competitions/shopee_matching/1_preprocess.py [--experiment NAME] [--data DIR] [--work DIR]

Products never cross folds, nor do products that share an image. Experiments on titles and hashes read no
picture; image networks keep the distinct images at their size, hand-crafted descriptors keep descriptors.
Modalities that the data cannot feed (too few readable pictures, test titles that identify no product) are
found here and left out later.

Reads
    <data>/train.csv      posting_id,image,image_phash,title,label_group; without it nothing is trained
    <data>/test.csv       the same without label_group
    <data>/train_images/  pictures
    <data>/test_images/   pictures

Writes
    <work>/processed/train.parquet  labelled listings: title, phash, label_group, fold
    <work>/processed/test.parquet  test listings: title, phash
    <work>/processed/<variant>/train.parquet  the same, with the row of each listing's image
    <work>/processed/<variant>/test.parquet  the same, with the row of each listing's image
    <work>/processed/<variant>/train_pictures.npy  distinct training images, uint8 (n, size, size, 3)
    <work>/processed/<variant>/test_pictures.npy  distinct test images, uint8 (n, size, size, 3)
    <work>/processed/<variant>/train_<descriptor>.npy  of distinct images, (n, ...)
    <work>/processed/<variant>/test_<descriptor>.npy  of distinct images, (n, ...)
    <work>/processed/<variant>/<split>_sift_ransac.parquet  geometrically verified pairs
    <work>/processed/<variant>/visual_words.npz  vocabulary of the VLAD vectors
"""

from common.run import Stage, lazy
from competitions.shopee_matching.competition import COMPETITION

if __name__ == "__main__":
    Stage(COMPETITION, "preprocess", __doc__).run(lazy("competitions.shopee_matching.pipeline:preprocess"))
