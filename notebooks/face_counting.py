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
# # Face counting
#
# Train the champion, look at labelled pictures and out-of-fold predictions, and count the faces in your own
# photos. Without official data this runs on drawn sample data. For the official data put their files into
# `data/face_counting/`; see the [README](../competitions/face_counting/README.md).

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from PIL import Image

from common.run.notebook import copy_trained, run_stages
from common.run.run_record import read_record
from competitions.face_counting import load
from competitions.face_counting.competition import COMPETITION
from competitions.face_counting.data.official_tables import BOX_COLUMNS, picture_folder
from competitions.face_counting.predict.photos import draw_boxes
from competitions.face_counting.sample.face_drawing import background, draw_face

WORK = Path(os.environ.get("COMPETITIONS_WORK", "work")) / "face_counting"


# %%
def show(picture: Image.Image, title: str) -> None:
    """One picture without axes."""
    plt.figure(figsize=(8, 6))
    plt.imshow(picture)
    plt.title(title)
    plt.axis("off")
    plt.show()


# %% [markdown]
# ## Train
#
# The four scripts check and decode the data, train a detector per fold, tune the count on out-of-fold (OOF)
# predictions, and write the submission. Finished stages are not repeated.

# %%
run_stages("face_counting", work=WORK)

# %% [markdown]
# ## Data

# %%
data = Path(read_record(WORK / "processed" / "run.json").data)
print("raw data:", data)
labels, boxes = pd.read_csv(data / "train.csv"), pd.read_csv(data / "bbox_train.csv")
labels.describe()

# %%
row = labels["HeadCount"].argmax()
name = labels["Name"][row]
picture = Image.open(picture_folder(data) / name).convert("RGB")
draw_boxes(picture, boxes.loc[boxes["Name"] == name, BOX_COLUMNS].to_numpy())
show(picture, f"{name}: {labels['HeadCount'][row]} labelled faces")

# %% [markdown]
# ## Out-of-fold predictions
#
# Each labelled picture is predicted by a detector and a counting rule that were not fitted on it.

# %%
record = read_record(WORK / "champion" / "oof.run.json")
pd.Series(record.metrics).to_frame("RMSE")

# %%
oof = pd.read_parquet(WORK / "champion" / "oof.parquet")
plt.figure(figsize=(5, 5))
plt.scatter(oof["head_count"], oof["count"], s=14, alpha=0.5)
plt.axline((0, 0), slope=1, color="black", linewidth=1)
plt.xlabel("true head count")
plt.ylabel("OOF count")
plt.show()

# %% [markdown]
# ## Your own photos
#
# Set `PHOTOS` to your folder. Here a photo with three faces is drawn.

# %%
PHOTOS = WORK / "my_photos"
PHOTOS.mkdir(parents=True, exist_ok=True)
generator = np.random.default_rng(5)
photo = background(generator, 600, 400)
for x in (130, 300, 470):
    draw_face(photo, generator, x, 200, 110)
photo.save(PHOTOS / "three.jpg")

# %% [markdown]
# The model needs only the experiment's folder, not the data that it was trained on.

# %%
# The folders of the experiment and of its parents are enough; copy them to any machine.
COPY = copy_trained(COMPETITION, WORK, WORK.parent / "copy" / WORK.name)
model = load("champion", work=COPY)
model.predict(PHOTOS)

# %% [markdown]
# The boxes behind the counts:

# %%
for counted in model.count_photos(PHOTOS, warn=print):
    drawing = Image.fromarray(counted.photo.pixels)
    draw_boxes(drawing, counted.boxes)
    show(drawing, f"{counted.photo.name}: {counted.count:.1f}")
