"""A slice of benchmarks/reliability: disturbed runs end as undisturbed ones do, or in one line."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.reliability import fuzz, runs
from common.base.paths import WorkPaths
from competitions.discovery import SLUGS, competition_of

GOOD = {"identical", "refused"}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> runs.Reference:
    """The fastest run with all four stages and folds."""
    target = runs.Target("shopee_matching", "tfidf", 0.05, ("folds=2",))
    return runs.make_reference(target, tmp_path_factory.mktemp("reference"))


def test_killed_runs_end_as_undisturbed_ones(reference: runs.Reference, tmp_path: Path) -> None:
    verdict, what = runs.random_kill(reference, tmp_path, random.Random(1))
    assert verdict == "identical", what
    verdict, what = runs.aimed_kill(reference, tmp_path, "**/*.partial*")
    assert verdict == "identical", what


def test_two_runs_at_once_do_no_harm(reference: runs.Reference, tmp_path: Path) -> None:
    verdict, what = runs.race(reference, tmp_path, random.Random(2))
    assert verdict == "identical", what


@pytest.mark.parametrize("kind", runs.DAMAGES)
def test_damaged_files_are_redone_or_refused(reference: runs.Reference, tmp_path: Path, kind: str) -> None:
    verdict, what = runs.damage(reference, tmp_path, kind, random.Random(kind))
    assert verdict in GOOD, what


@pytest.mark.parametrize(
    "name", ["HOME that is a file", "ASCII terminal", "a path that is no UTF-8", "few open files"]
)
def test_surroundings_change_nothing(reference: runs.Reference, tmp_path: Path, name: str) -> None:
    place = next(place for place in runs.SURROUNDINGS if place.name == name)
    verdict, what = runs.surrounded(reference, tmp_path, place)
    assert verdict == ("refused" if "UTF-8" in name else "identical"), what


@pytest.mark.parametrize("slug", SLUGS)
def test_fuzzed_submissions_are_judged_or_refused(
    slug: str, trained: Callable[[str], WorkPaths], sample: Callable[[str], Path], tmp_path: Path
) -> None:
    competition = competition_of(slug)
    submission = trained(slug).submission("champion", competition.submission_suffix)
    tally = fuzz.fuzz_submissions(competition, submission, sample(slug), tmp_path, 100, random.Random(slug))
    assert not tally.faults, tally.faults
    assert tally.counts["refused"] > 50


def test_fuzzed_pictures_are_read_or_refused(tmp_path: Path) -> None:
    tally = fuzz.fuzz_pictures(tmp_path, 200, random.Random(3))
    assert not tally.faults, tally.faults
    assert set(tally.counts) == GOOD
