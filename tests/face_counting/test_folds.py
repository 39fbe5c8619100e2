from pathlib import Path

import numpy as np
import pytest

from common.base.errors import InputError
from competitions.face_counting.competition import COMPETITION
from competitions.face_counting.data.folds import held_out
from competitions.face_counting.data.near_duplicates import difference_hash, near_duplicate_groups
from competitions.face_counting.data.official_tables import training_counts
from competitions.face_counting.experiment import FaceCountingExperiment
from competitions.face_counting.sample.sample_data import write_sample_data


def _settings(**changes: object) -> FaceCountingExperiment:
    return FaceCountingExperiment.model_validate({"name": "any", **changes})


def test_grouped_folds_partition_the_pictures_and_split_no_group() -> None:
    generator = np.random.default_rng(1)
    counts, groups = generator.integers(1, 12, size=300), generator.integers(0, 220, size=300)
    masks = [held_out(_settings(folds=5), fold, counts, groups, seed=3) for fold in range(5)]
    assert (np.sum(masks, axis=0) == 1).all()
    for mask in masks:
        assert not set(groups[mask]) & set(groups[~mask])
        # Stratified: the share of crowds is about the same everywhere.
        assert abs((counts[mask] >= 9).mean() - (counts >= 9).mean()) < 0.1


def test_holdout_splits_hold_out_a_fifth_and_repeat() -> None:
    settings = _settings(folds=1, split="holdout_80_20")
    counts, groups = np.ones(100, int), np.arange(100)
    first = held_out(settings, 0, counts, groups, seed=3)
    assert first.sum() == 20
    np.testing.assert_array_equal(first, held_out(settings, 0, counts, groups, seed=3))
    assert (first != held_out(settings, 0, counts, groups, seed=4)).any()


def test_too_few_pictures_for_the_folds() -> None:
    with pytest.raises(InputError, match="3 groups cannot be cut into 5 folds"):
        held_out(_settings(folds=5), 0, np.ones(3, int), np.arange(3), seed=0)


def test_near_duplicates_are_found_and_linked() -> None:
    generator = np.random.default_rng(2)
    hashes = generator.integers(0, 256, size=(60, 32), dtype=np.uint8)
    hashes[10] = hashes[4]
    hashes[10, 0] ^= 0xFF  # 8 bits from 4
    hashes[20] = hashes[10]
    hashes[20, 1:4] ^= 0xFF  # 24 bits from 10, 32 from 4: linked through 10
    hashes[30] = hashes[4]
    hashes[30, :4] ^= 0x7F  # 28 bits from 4: another picture, but 25 from 10
    groups = near_duplicate_groups(hashes)
    assert groups[4] == groups[10] == groups[20] == groups[30]
    assert len(np.unique(groups)) == 57


def test_drawn_near_duplicates_share_a_group_and_others_do_not(tmp_path: Path) -> None:
    from common.files.pictures import read_rgb

    write_sample_data(tmp_path, seed=11, scale=0.25)
    names = training_counts(tmp_path)["Name"]
    pictures = [read_rgb(tmp_path / "image_data" / name) for name in names]
    pictures.append(np.clip(pictures[0] * 0.93, 0, 255).astype(np.uint8))
    groups = near_duplicate_groups(np.stack([difference_hash(picture) for picture in pictures]))
    assert groups[-1] == groups[0]
    assert len(np.unique(groups)) > 0.8 * len(names)


def test_experiments_of_one_seed_share_their_folds() -> None:
    counts, groups = np.arange(40) % 7, np.arange(40)
    champion = COMPETITION.experiment("champion", "sample")
    other = COMPETITION.experiment("yolov5n_letterbox", "sample")
    np.testing.assert_array_equal(
        held_out(champion, 1, counts, groups, seed=3), held_out(other, 1, counts, groups, seed=3)
    )
