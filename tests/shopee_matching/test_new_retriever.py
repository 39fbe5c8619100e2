"""A retriever of one's own: one module in candidates/ and one entry in experiments.toml."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from common.base.errors import InputError
from common.run import Stage
from common.run.competition import Competition
from common.run.run_record import read_record
from common.run.trained import trained_experiment
from competitions.shopee_matching import candidates, pipeline
from competitions.shopee_matching.candidates.base import build_retriever
from competitions.shopee_matching.candidates.registry import RETRIEVERS
from competitions.shopee_matching.competition import COMPETITION
from competitions.shopee_matching.experiment import ShopeeExperiment
from competitions.shopee_matching.predict.predictor import ListingMatcher

MODULE = '''
import numpy as np
from pydantic import Field

from common.run.experiments import Settings
from competitions.shopee_matching.candidates.base import Retriever
from competitions.shopee_matching.candidates.pairs import sorted_pairs
from competitions.shopee_matching.candidates.registry import RETRIEVERS


class ModelNumberOptions(Settings):
    length: int = Field(default=3, ge=1)


@RETRIEVERS.register("model_numbers")
class ModelNumbers(Retriever):
    """Titles that share a word with a digit; the score is 1."""

    READS = ("titles",)
    OPTIONS = ModelNumberOptions

    def candidates(self, gallery, queries):
        length = self.options.length
        numbers = [
            {word for word in title.lower().split() if len(word) >= length and any(map(str.isdigit, word))}
            for title in gallery.listings.title
        ]
        pairs = [(a, b) for a in queries for b in range(len(numbers)) if a != b and numbers[a] & numbers[b]]
        query, match = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        return sorted_pairs(query, match, np.ones(len(query), np.float32), self.name)
'''
ENTRY = """
[experiments.model_numbers]
about = "titles that share a model number"
retriever = "model_numbers"
reads = "titles"
options = { length = 4 }

[experiments.with_model_numbers]
fusion = "union"
parents = ["tfidf", "model_numbers"]
"""


@pytest.fixture
def extended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Competition[ShopeeExperiment]]:
    """The competition with the module in its room and the entry in its experiments.toml."""
    room, folder = tmp_path / "room", tmp_path / "competition"
    room.mkdir()
    folder.mkdir()
    (room / "model_numbers.py").write_text(MODULE)
    (folder / "experiments.toml").write_text(COMPETITION.experiments_file.read_text() + ENTRY)
    monkeypatch.setattr(candidates, "__path__", [*candidates.__path__, str(room)])
    yield replace(COMPETITION, folder=folder)
    RETRIEVERS._parts.pop("model_numbers", None)
    sys.modules.pop(f"{candidates.__name__}.model_numbers", None)


def run_all(competition: Competition[ShopeeExperiment], *flags: str) -> None:
    Stage(competition, "preprocess", "").run(pipeline.preprocess, argv=[*flags])
    later = [flag for flag in flags if not flag.startswith("--data=")]
    Stage(competition, "train_folds", "").run(pipeline.train_fold, pipeline.pool_folds, argv=later)
    Stage(competition, "infer", "").run(pipeline.infer, argv=later)
    Stage(competition, "make_submission", "").run(pipeline.make_submission, argv=later)


def test_one_module_and_one_entry_run_through_all_stages_and_the_predictor(
    extended: Competition[ShopeeExperiment], catalogue: Path, tmp_path: Path
) -> None:
    assert "model_numbers" in RETRIEVERS.names()
    work = tmp_path / "work"
    flags = (f"--data={catalogue}", f"--work={work}", "--profile=sample")
    run_all(extended, *flags, "--experiment=with_model_numbers")
    assert COMPETITION.validate(work / "with_model_numbers" / "submission.csv", catalogue) == []
    record = read_record(work / "model_numbers" / "oof.run.json")
    assert record.metrics["oof_f1"] > record.metrics["baseline: only oneself"]
    model = ListingMatcher(trained_experiment(extended, "model_numbers", work))
    titles = pd.DataFrame(
        {"sku": ["a", "b", "c"], "name": ["Casing hp A520", "phone case a520 merah", "teh celup"]}
    )
    table = model.predict(titles, columns={"id": "sku", "title": "name"})
    assert table.matches.tolist() == [["b"], ["a"], []]


def test_options_are_checked_by_the_retriever(
    extended: Competition[ShopeeExperiment],
    catalogue: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = (f"--data={catalogue}", f"--work={tmp_path / 'work'}", "--set=options.length=0")
    with pytest.raises(SystemExit):
        run_all(extended, *flags, "--experiment=model_numbers")
    assert "options.length: Input should be greater than or equal to 1" in capsys.readouterr().err


def test_options_of_a_retriever_without_any_are_refused() -> None:
    settings = COMPETITION.experiment("tfidf", "sample", {"options.words": 2})
    with pytest.raises(InputError, match=r"options\.words: is no known key; expected no options"):
        build_retriever(settings)
