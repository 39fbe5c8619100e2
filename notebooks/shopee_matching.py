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
# # Find the listings of the same product
#
# Each listing has a title and a picture. The task is to list the other listings of the same product. The
# metric is the F1 of each listing's match list, averaged over listings.
#
# Official data go to `data/shopee_matching/`; without them a synthetic catalogue is made.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from PIL import Image

from common.run.notebook import copy_trained, run_stages
from common.run.run_record import read_record
from competitions.shopee_matching import load
from competitions.shopee_matching.competition import COMPETITION
from competitions.shopee_matching.sample.sample_data import write_sample_data

WORK = Path(os.environ.get("COMPETITIONS_WORK", "work")) / "shopee_matching"

# %% [markdown]
# ## 1. Train
#
# The four scripts run one after the other. They take two minutes on the sample catalogue. Finished stages are
# not repeated.

# %%
run_stages("shopee_matching", work=WORK)

# %% [markdown]
# ## 2. The data

# %%
data = Path(read_record(WORK / "processed" / "run.json").data)
test = pd.read_csv(data / "test.csv")
test[["posting_id", "title", "image"]].head()

# %% [markdown]
# ## 3. Predictions and out-of-fold scores
#
# The submission lists the matches of each test listing, itself first.

# %%
matches = pd.read_csv(WORK / "champion" / "submission.csv").set_index("posting_id").matches.str.split()
picture = test.set_index("posting_id").image
rows = [names for names in matches if len(names) > 3][:3]
figure, axes = plt.subplots(len(rows), 4, figsize=(8, 2.2 * len(rows)), squeeze=False)
for row, names in zip(axes, rows, strict=True):
    for axis, name in zip(row, names, strict=False):
        axis.imshow(Image.open(data / "test_images" / picture[name]))
        axis.set_title("listing" if name == names[0] else "match", fontsize=8)
for axis in axes.flat:
    axis.axis("off")
plt.show()

# %% [markdown]
# Out-of-fold (OOF) scores: every listing is matched by models that did not see its product.

# %%
champion = read_record(WORK / "champion" / "oof.run.json")
names = [*champion.experiment["parents"], "champion"]
scores = [read_record(WORK / name / "oof.run.json").metrics["oof_f1"] for name in names]
figure, axis = plt.subplots(figsize=(6, 2.8))
axis.barh(names, scores)
axis.axvline(champion.metrics["baseline: only oneself"], color="grey", linestyle="--", label="only oneself")
axis.set_xlabel("OOF mean F1")
axis.legend()
plt.show()

# %% [markdown]
# ## 4. Match your own catalogue
#
# Any table with an id and a title or a picture works: CSV, Excel, parquet or a DataFrame. Here it is a small
# synthetic catalogue, so the answer is known. The lines that `predict` prints say how the table was read.

# %%
shop = WORK / "notebook_shop"
if not shop.exists():
    shop.mkdir()
    write_sample_data(shop, seed=7, scale=0.1)
catalogue = pd.read_csv(shop / "test.csv")

# %%
# The folders of the experiment and of its parents are enough; copy them to any machine.
COPY = copy_trained(COMPETITION, WORK, WORK.parent / "copy" / WORK.name)
model = load("champion", work=COPY)
table = model.predict(catalogue, shop / "test_images")
table.head()

# %%
truth = pd.read_csv(shop / "truth" / "test.csv").set_index("posting_id").label_group
found = table.explode("matches").dropna(subset="matches")
right = found.posting_id.map(truth).to_numpy() == found.matches.map(truth).to_numpy()
print(f"{right.mean():.0%} of {len(found)} matches are the same product")
