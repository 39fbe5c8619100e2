"""Every experiment builds its model; a trained one predicts own tables from its own folder alone."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.base.errors import InputError
from common.base.paths import WorkPaths
from common.run.experiments import experiment_names
from common.run.own_data import own_data_name
from competitions.my_competition import load
from competitions.my_competition.competition import COMPETITION
from competitions.my_competition.models.registry import CLASSIFIERS
from tests.conftest import run_stage

SLUG = "my_competition"
Trained = Callable[[str], WorkPaths]
Sample = Callable[[str], Path]


@pytest.mark.parametrize("name", experiment_names(COMPETITION.experiments_file))
def test_every_experiment_builds_its_model(name: str) -> None:
    settings = COMPETITION.experiment(name, "full")
    if settings.model is not None:
        assert CLASSIFIERS[settings.model.kind](settings.model.options)


@pytest.mark.parametrize("kind", CLASSIFIERS.names())
def test_a_restored_model_predicts_the_same(kind: str, tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    features = generator.random((200, 3))
    features[::17, 1] = np.nan
    model = CLASSIFIERS[kind]({})
    model.fit(features, (features[:, 0] > 0.5).astype(np.int64), ["a", "b", "c"], seed=1)
    assert all(path.is_file() for path in model.save(tmp_path))
    restored = CLASSIFIERS[kind]({})
    restored.restore(tmp_path)
    assert np.array_equal(model.predict(features), restored.predict(features))
    assert ((model.predict(features) >= 0) & (model.predict(features) <= 1)).all()
    with pytest.raises(InputError):
        restored.restore(tmp_path / "nowhere")


def test_wrong_options_end_in_one_line() -> None:
    for kind in CLASSIFIERS.names():
        with pytest.raises(InputError, match=r"model\.options\.depth: is no known key"):
            CLASSIFIERS[kind]({"depth": 3})


def test_three_lines_predict_from_a_copied_folder(trained: Trained, sample: Sample, tmp_path: Path) -> None:
    """Neither raw nor processed data are there, and the prediction is that of the stages."""
    for name in ("champion", *COMPETITION.experiment("champion", "sample").parents):
        shutil.copytree(trained(SLUG).experiment(name), tmp_path / name)
    table = load("champion", work=tmp_path).predict(sample(SLUG) / "test.csv")
    submitted = pd.read_csv(trained(SLUG).submission("champion", ".csv"))
    assert table.set_index("id").loc[submitted["id"], "fails"].tolist() == submitted["fails"].tolist()
    given = pd.read_csv(sample(SLUG) / "test.csv")
    assert load(work=tmp_path).predict(given).equals(table), "a DataFrame as well as a file"


def test_a_table_of_ones_own_by_flag(trained: Trained, sample: Sample, tmp_path: Path) -> None:
    work = tmp_path / "work"
    for name in ("champion", *COMPETITION.experiment("champion", "sample").parents):
        shutil.copytree(trained(SLUG).experiment(name), work / name)
    own = tmp_path / "own.csv"
    rows = pd.read_csv(sample(SLUG) / "test.csv").head(9)
    rows.rename(columns=str.upper).to_csv(own, index=False, sep=";")
    flags = ("--table", own, "--work", work)
    done = run_stage(SLUG, 3, *flags)
    assert done.code == 0, done.text
    assert "understood: semicolons, UTF-8, 9 rows, 1 other columns not used" in done.text
    predicted = work / "champion" / f"{own_data_name('table', own)}.csv"
    assert len(pd.read_csv(predicted)) == 9
    assert "done already" in run_stage(SLUG, 3, *flags).text
    own.write_text("id,load\n1,0.5\n")
    done = run_stage(SLUG, 3, *flags)
    assert done.code == 2
    assert "column 'temperature' is missing" in done.text
    assert len([line for line in done.text.splitlines() if line.startswith("error: ")]) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": "same"}, "ids occur more than once"),
        ({"load": "much"}, "'load' are not numbers"),
        ({"vibration": "inf"}, "'vibration' are not numbers"),
    ],
)
def test_faults_of_a_table_are_named(
    change: dict[str, str], words: str, trained: Trained, sample: Sample
) -> None:
    model = load(work=trained(SLUG).work)
    table = pd.read_csv(sample(SLUG) / "test.csv").assign(**change)
    with pytest.raises(InputError, match=words):
        model.predict(table)
