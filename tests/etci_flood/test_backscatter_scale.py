"""A fixed scale from decibels to levels: what else is in a raster does not move it."""

import numpy as np
import pandas as pd
import pytest

from common.base.errors import InputError
from competitions.etci_flood.data.tiles import TileArrays
from competitions.etci_flood.decision.anchors import fit_anchors
from competitions.etci_flood.predict.backscatter_scale import (
    BackscatterScale,
    BackscatterSeen,
    levels_from_db,
)
from competitions.etci_flood.sample.raster_simulation import RasterLook, simulate_raster, speckle

SCENE = np.array([[140, 30], [180, 40]], np.float32)
SCALE = BackscatterScale(water=(45, 46), land=(140, 187), scene=SCENE)


def tiles_with(vv: tuple[int, int], vh: tuple[int, int], permanent: bool = True) -> TileArrays:
    """Two scenes of two tiles with a lake in the left quarter; levels of (water, land)."""
    rng = np.random.default_rng(0)
    lake = np.zeros((4, 256, 256), np.uint8)
    lake[:, :, :64] = 1
    first, second = (
        (np.where(lake, *levels) + rng.normal(0, 8, lake.shape)).clip(1, 254).astype(np.uint8)
        for levels in (vv, vh)
    )
    first[:, :8] = 0  # outside the swath
    tiles = pd.DataFrame(
        {"scene": ["a", "a", "b", "b"], "labelled": True, "readable": True, "no_data": False}
    )
    nothing = np.zeros_like(lake)
    return TileArrays(tiles, first, second, *((lake, nothing) if permanent else (nothing, lake)))


@pytest.mark.parametrize("permanent", [True, False])
def test_anchors_are_the_levels_of_water_and_land(permanent: bool) -> None:
    anchors = fit_anchors(tiles_with((50, 145), (60, 190), permanent))
    assert anchors is not None
    assert anchors["water"] == pytest.approx([50, 60], abs=1.5)
    assert anchors["land"] == pytest.approx([145, 190], abs=1.5)


def test_water_as_bright_as_land_gives_no_anchors() -> None:
    assert fit_anchors(tiles_with((150, 150), (190, 190))) is None
    dry = tiles_with((50, 145), (60, 190))
    assert fit_anchors(TileArrays(dry.tiles, dry.vv, dry.vh, dry.flood, dry.flood)) is None


def test_known_backscatter_has_the_levels_of_the_anchors() -> None:
    db = np.array(
        [[[-18.0, -10.0, -14.0, -60.0, 30.0]], [[-24.75, -17.0, -20.875, np.nan, 30.0]]], np.float32
    )
    vv, vh = levels_from_db(db, SCALE)[:, 0]
    assert vv == pytest.approx([45, 140, 92.5, 0, 255])
    assert vh[:3] == pytest.approx([46, 187, 116.5])
    assert np.isnan(vh[3])
    assert vh[4] == 255


def test_a_crop_has_the_levels_of_the_whole() -> None:
    db = simulate_raster((160, 200), 0.3, np.random.default_rng(1)).decibels
    db[:, 40:60, 50:90] = np.nan
    for scale in (SCALE, SCALE.at_spacing(10)):
        whole, crop = levels_from_db(db, scale), levels_from_db(db[:, 30:120, 40:150], scale)
        inside = np.s_[:, 1:-1, 1:-1]
        assert np.allclose(whole[:, 30:120, 40:150][inside], crop[inside], atol=1e-3, equal_nan=True)


def test_averaging_takes_speckle_away_and_leaves_the_mean_power_and_what_is_unknown() -> None:
    noise = speckle((300, 300), np.random.default_rng(2))
    db = (10 * np.log10(np.stack([noise / 10, noise / 50]))).astype(np.float32)
    db[:, 100] = np.nan
    plain, averaged = (levels_from_db(db, scale) for scale in (SCALE, SCALE.at_spacing(10)))
    assert np.nanstd(averaged[0]) < 0.65 * np.nanstd(plain[0])
    assert np.nanmean(averaged[0]) == pytest.approx(140, abs=4), "the mean power is -10 dB"
    assert np.array_equal(np.isnan(averaged), np.isnan(db)), "unknown pixels neither spread nor vanish"


@pytest.mark.parametrize(("metres", "side"), [(10, 3), (None, 3), (8.9, 3), (20, 1), (30, 1), (90, 1)])
def test_rasters_finer_than_the_tiles_are_averaged(metres: float | None, side: int) -> None:
    assert SCALE.at_spacing(metres).averaged == side


def doubts_about(db: np.ndarray) -> list[str]:
    seen = BackscatterSeen()
    for half in (db[:, :50], db[:, 50:]):
        seen.add(half)
    return seen.doubts()


@pytest.mark.parametrize("water", [0.0, 0.05, 0.5, 0.85])
def test_rasters_like_the_tiles_raise_no_doubts(water: float) -> None:
    look = RasterLook(offset=(1.5, -1.5), wind=0.8)
    raster = simulate_raster((120, 160), water, np.random.default_rng(3), look)
    raster.decibels[:, :10] = np.nan
    assert doubts_about(raster.decibels) == []


def test_rasters_unlike_the_tiles_are_doubted() -> None:
    db = simulate_raster((120, 160), 0.2, np.random.default_rng(4)).decibels
    lake = simulate_raster((120, 160), 1.0, np.random.default_rng(4), RasterLook(wind=0)).decibels
    for changed, words in (
        (db + 15, "dB in its brighter parts, where the training tiles have about -10 dB"),
        (db[::-1], "brighter than VV"),
        (db - 9, "as water is"),
        (db * 2 - 5, "darker than calm water"),
        (lake, "all of it is water"),
    ):
        assert words in " ".join(doubts_about(changed)), words
    assert doubts_about(np.full((2, 100, 100), np.nan, np.float32)) == []


def test_experiments_without_anchors_are_refused_in_one_line() -> None:
    decision = {"backscatter_anchors": {"water": [45, 46], "land": [140, 187]}, "image_scale": SCENE.tolist()}
    assert BackscatterScale.of_decision(decision, "champion").land == (140, 187)
    for old in ({"image_scale": SCENE.tolist()}, decision | {"backscatter_anchors": None}):
        with pytest.raises(InputError, match=r"2_train_folds\.py --experiment champion again"):
            BackscatterScale.of_decision(old, "champion")
