import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.base.errors import InputError
from competitions.etci_flood.data.folds import block_folds, fold_columns, training_and_held_out
from competitions.etci_flood.experiment import TileSettings


def table(scenes: dict[str, tuple[int, int]], phase1: tuple[str, ...] = ()) -> pd.DataFrame:
    """Processed tiles of whole rectangular scenes, with their folds of 3 splits."""
    tiles = pd.DataFrame(
        [
            {"scene": scene, "x": x, "y": y, "split": "test" if scene in phase1 else "train"}
            for scene, (rows, columns) in scenes.items()
            for x in range(rows)
            for y in range(columns)
        ]
    ).assign(labelled=True, readable=True, no_data=False, noisy_pixels=0)
    return tiles.join(fold_columns(tiles, 3, seed=1))


@given(st.sets(st.tuples(st.integers(0, 12), st.integers(0, 9)), min_size=1), st.integers(2, 5))
def test_blocks_are_contiguous_bands(places: set[tuple[int, int]], n_splits: int) -> None:
    tiles = pd.DataFrame(sorted(places), columns=["x", "y"]).assign(scene="a")
    folds = block_folds(tiles, n_splits)
    assert set(folds) <= set(range(n_splits))
    axis = "y" if np.ptp(tiles["y"]) >= np.ptp(tiles["x"]) else "x"
    by_line = pd.Series(folds).groupby(tiles[axis]).agg(["min", "max"])
    assert (by_line["min"] == by_line["max"]).all(), "a line of tiles lies in one band"
    assert by_line["min"].is_monotonic_increasing, "bands follow each other"


def test_blocks_are_about_equal_and_touch_along_two_borders() -> None:
    tiles = table({"a": (5, 30), "b": (24, 4)})
    folds = tiles["fold_block"]
    assert folds.value_counts().tolist() == [82, 82, 82]
    place = {(s, x, y): fold for s, x, y, fold in zip(tiles.scene, tiles.x, tiles.y, folds, strict=True)}
    adjacent = sum(
        place[s, x, y] != place.get((s, x + dx, y + dy), place[s, x, y])
        for s, x, y in place
        for dx, dy in ((0, 1), (1, 0))
    )
    assert adjacent == 2 * 5 + 2 * 4


@given(st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=30, max_size=80))
def test_training_tiles_are_never_adjacent_to_held_out_tiles(places: set[tuple[int, int]]) -> None:
    tiles = pd.DataFrame(sorted(places), columns=["x", "y"]).assign(
        scene="a", split="train", labelled=True, readable=True, no_data=False, noisy_pixels=0
    )
    tiles = tiles.join(fold_columns(tiles, 3, seed=1))
    for fold in range(3):
        try:
            training, held_out = training_and_held_out(tiles, TileSettings(), fold)
        except InputError:
            continue
        x, y = tiles["x"].to_numpy(), tiles["y"].to_numpy()
        apart = np.maximum(*(abs(axis[training][:, None] - axis[held_out]) for axis in (x, y)))
        assert apart.min() >= 2
        left_out = set(range(len(tiles))) - {*training, *held_out}
        assert all(
            (np.maximum(abs(x[row] - x[held_out]), abs(y[row] - y[held_out])) == 1).any() for row in left_out
        )


def test_whole_scenes_are_held_out_where_there_are_enough() -> None:
    tiles = table(dict.fromkeys("abcdef", (3, 4)))
    assert (tiles["fold_spatial"] == tiles["fold_scene"]).all()
    assert (tiles.groupby("scene")["fold_scene"].nunique() == 1).all()
    assert set(tiles["fold_scene"]) == {0, 1, 2}


def test_few_scenes_are_cut_into_blocks() -> None:
    tiles = table({"a": (3, 9), "b": (3, 9)})
    assert (tiles["fold_spatial"] == tiles["fold_block"]).all()
    with pytest.raises(InputError, match="fewer scenes than n_splits"):
        training_and_held_out(tiles, TileSettings(split="scene"), 0)


def test_the_random_split_of_the_paper_is_nine_to_one() -> None:
    training, held_out = training_and_held_out(table({"a": (10, 10)}), TileSettings(split="random"), 0)
    assert (len(training), len(held_out)) == (90, 10)


def test_phases() -> None:
    tiles = table({"a": (2, 5), "f": (2, 2)}, phase1=("f",))
    training, held_out = training_and_held_out(tiles, TileSettings(split="phase"), 0)
    assert set(tiles["scene"][training]) == {"a"}
    assert set(tiles["scene"][held_out]) == {"f"}
    training, held_out = training_and_held_out(tiles, TileSettings(split="all"), 0)
    assert (len(training), len(held_out)) == (14, 0)
    training, held_out = training_and_held_out(tiles, TileSettings(phase1=False), 0)
    assert not set(tiles["scene"][[*training, *held_out]]) & {"f"}
    with pytest.raises(InputError, match="no phase 1 tile"):
        training_and_held_out(table({"a": (2, 5)}), TileSettings(split="phase"), 0)


def test_no_data_tiles_leave_training_but_not_the_held_out_tiles() -> None:
    tiles = table(dict.fromkeys("abcdef", (2, 2))).assign(no_data=[True, False] * 12)
    training, held_out = training_and_held_out(tiles, TileSettings(drop_no_data=True), 0)
    assert not tiles["no_data"][training].any()
    assert tiles["no_data"][held_out].any()


def test_noisy_labels_leave_training_where_the_settings_say_so() -> None:
    tiles = table(dict.fromkeys("abcdef", (2, 2))).assign(noisy_pixels=[900, 0] * 12)
    training, held_out = training_and_held_out(tiles, TileSettings(drop_noisy_labels=True), 0)
    assert not tiles["noisy_pixels"][training].any()
    assert tiles["noisy_pixels"][held_out].any()
    training, _ = training_and_held_out(tiles, TileSettings(), 0)
    assert tiles["noisy_pixels"][training].any()


@pytest.mark.parametrize("split", ["spatial", "scene", "block", "random"])
def test_no_tile_is_trained_on_and_held_out(split: str) -> None:
    tiles = table(dict.fromkeys("abcdef", (3, 7)))
    tiles.loc[:3, "readable"] = False
    used: set[int] = set()
    for fold in range(3):
        training, held_out = training_and_held_out(tiles, TileSettings(split=split), fold)  # type: ignore[arg-type]
        assert not set(training) & set(held_out)
        assert not set(held_out) & used
        assert not {0, 1, 2, 3} & {*training, *held_out}, "what could not be read takes no part"
        used |= set(held_out)
    if split != "random":
        assert len(used) == len(tiles) - 4
