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
# # My competition: which machines fail
#
# Data, training, pictures and three lines for your own data. Replace: everything but this order.

# %%
import os
import tempfile
from pathlib import Path

import pandas as pd
from IPython.display import Image, display

from common.report.evaluation import finished_experiments
from common.run.notebook import copy_trained, run_stages
from common.run.run_record import read_record
from competitions.my_competition import load
from competitions.my_competition.competition import COMPETITION

WORK = Path(os.environ.get("COMPETITIONS_WORK", "work")) / "my_competition"

# %% [markdown]
# ## Train
#
# The four stages run in processes of their own. A stage that is done already is not done again. Without
# official files in `data/my_competition` they draw sample data.

# %%
run_stages("my_competition", work=WORK)

# %% [markdown]
# ## Data

# %%
data = Path(read_record(WORK / "processed" / "run.json").data)
train = pd.read_csv(data / "train.csv")
display(train.describe().round(2))

# %% [markdown]
# ## Out-of-fold predictions
#
# Each labelled row is predicted by models that have not seen its machine.

# %%
pooled = read_record(WORK / "champion" / "oof.run.json")
display(pd.Series(pooled.metrics, name="champion").round(4).to_frame())

# %%
(champion,) = (run for run in finished_experiments(COMPETITION, WORK) if run.experiment == "champion")
for figure in COMPETITION.figures(champion, Path(tempfile.mkdtemp())):
    display(Image(str(figure.path)))

# %% [markdown]
# ## Your own data
#
# A CSV file or a DataFrame with the columns of `test.csv`.

# %%
# The folders of the experiment and of its parents are enough; copy them to any machine.
COPY = copy_trained(COMPETITION, WORK, WORK.parent / "copy" / WORK.name)
model = load("champion", work=COPY)
table = model.predict(pd.read_csv(data / "test.csv").head(10))
display(table)
