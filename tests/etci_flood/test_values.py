"""Fill that nothing marks, units found by the values, and decibels made from them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from common.base.errors import InputError
from competitions.etci_flood.predict.values import Values, look_over, unit_hint
from competitions.etci_flood.predict.window_grid import Window
from competitions.etci_flood.predict.windows import ArrayBackscatter
from tests.etci_flood.drawn_rasters import COLUMNS, ROWS, drawn_decibels, river

WHOLE = Window(0, 0, ROWS, COLUMNS)
FILLED = np.s_[:, :, :60]


def looked_over(layers: np.ndarray, **flags: Any) -> tuple[Values, np.ndarray, list[str]]:
    """How an array is read, its decibels, and what was told."""
    told: list[str] = []
    source = ArrayBackscatter(layers)
    for key in ("bands_asked", "unit_hint"):
        if key in flags:
            setattr(source, key, flags.pop(key))
    values = look_over(source, tell=told.append, **flags)
    return values, values.decibels(source.read(WHOLE)), told


@pytest.mark.parametrize(
    "fill", [-9999, -32768, -999, 9999, 65535, np.finfo(np.float32).min, 2**31 - 1, 9.96921e36]
)
@pytest.mark.parametrize("share", [0.05, 0.25, 0.8])
@pytest.mark.parametrize("power", [False, True])
def test_values_that_cannot_be_backscatter_are_unknown(fill: float, share: float, power: bool) -> None:
    decibels = drawn_decibels()
    layers = 10 ** (decibels / 10) if power else decibels.copy()
    edge = int(share * COLUMNS)
    layers[:, :, :edge] = fill
    values, read, _ = looked_over(layers)
    assert values.units == ("linear" if power else "db")
    assert np.isnan(read[:, :, :edge]).all()
    assert np.allclose(read[:, :, edge:], decibels[:, :, edge:], atol=1e-3)


@pytest.mark.parametrize("fill", [0, -99, -50, -40, -25.5, 1e-10])
def test_areas_of_one_value_are_unknown(fill: float) -> None:
    decibels = drawn_decibels()
    decibels[FILLED] = fill
    values, read, _ = looked_over(decibels)
    assert np.isnan(read[FILLED]).all()
    assert np.isfinite(read[:, :, 60:]).all()
    assert f"fill {fill:g}" in values.reasons()


@pytest.mark.parametrize("band", [0, 1])
@pytest.mark.parametrize("fill", [0, -9999, -30])
def test_fill_of_one_polarisation_makes_both_unknown(band: int, fill: float) -> None:
    decibels = drawn_decibels()
    decibels[band, :50] = fill
    _, read, _ = looked_over(decibels)
    assert np.isnan(read[:, :50]).all()
    assert np.isfinite(read[:, 50:]).all()


def test_several_kinds_of_fill_at_once() -> None:
    decibels = drawn_decibels()
    for column, fill in enumerate((-9999, 0, np.nan, -np.inf, 32767, -33)):
        decibels[:, :, 20 * column : 20 * column + 20] = fill
    values, read, _ = looked_over(decibels)
    assert values.units == "db"
    assert np.isnan(read[:, :, :120]).all()
    assert np.isfinite(read[:, :, 120:]).all()


@pytest.mark.parametrize("fill", [-9999, 0, np.nan, -20, 1e38])
def test_all_fill_is_refused(fill: float) -> None:
    with pytest.raises(InputError, match="holds no values, only no data"):
        looked_over(np.full((2, ROWS, COLUMNS), fill, np.float32))
    one = drawn_decibels()
    one[1] = fill
    with pytest.raises(InputError, match="holds no values, only no data"):
        looked_over(one)


def _rounded(step: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda decibels: np.round(decibels / step) * step


@pytest.mark.parametrize(
    "change",
    [
        _rounded(0.01),
        _rounded(0.1),
        _rounded(1.0),
        lambda decibels: decibels.clip(-27, -2),
        lambda decibels: np.repeat(np.repeat(decibels[:, ::4, ::4], 4, axis=1), 4, axis=2),
    ],
    ids=["rounded to 0.01", "to 0.1", "to 1", "clipped", "enlarged"],
)
def test_values_that_repeat_are_no_fill(change: Callable[[np.ndarray], np.ndarray]) -> None:
    layers = change(drawn_decibels()).astype(np.float32)
    values, read, _ = looked_over(layers)
    assert values.fill == ((), ())
    assert np.array_equal(read, layers)


def test_fill_among_rounded_values() -> None:
    layers = np.round(drawn_decibels())
    layers[FILLED] = -45
    values, read, _ = looked_over(layers)
    assert values.fill == ((-45,), (-45,))
    assert np.isfinite(read[:, :, 60:]).all()


@pytest.mark.parametrize("fill", [-60, -25, -12.5, 0, -9999])
def test_a_small_patch_of_fill_in_a_large_raster(fill: float) -> None:
    layers = np.random.default_rng(2).normal(-10, 2, (2, 1400, 1300)).astype(np.float32)
    layers[1] -= 6
    layers[:, 1000:1006, 900:906] = fill
    source = ArrayBackscatter(layers)
    read = look_over(source).decibels(layers)
    assert np.isnan(read[:, 1000:1006, 900:906]).all()
    assert np.isnan(read).sum() == 2 * 36


@pytest.mark.parametrize("times", [2, 5, 9])
def test_an_enlarged_raster_is_no_fill(times: int) -> None:
    small = np.random.default_rng(2).normal(-10, 2, (2, 2000 // times, 1500 // times)).astype(np.float32)
    small[1] -= 6
    layers = np.repeat(np.repeat(small, times, axis=1), times, axis=2)
    layers[:, :300, :700] = -30
    read = look_over(ArrayBackscatter(layers)).decibels(layers)
    assert np.isnan(read[:, :300, :700]).all()
    assert np.isfinite(read[:, 300:]).all()


def test_the_user_says_what_is_no_data() -> None:
    decibels = drawn_decibels().clip(-18, 0)
    values, read, _ = looked_over(decibels)
    assert np.isnan(read).any(), "areas of one value"
    assert "--nodata none maps them" in values.reasons()
    _, read, _ = looked_over(decibels, nodata=[])
    assert np.isfinite(read).all()
    decibels = drawn_decibels()
    decibels[:, 3, 5:9] = -12.5
    _, read, _ = looked_over(decibels, nodata=[-12.5])
    assert np.isnan(read[:, 3, 5:9]).all()
    assert np.isnan(read).sum() == 8


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_units_do_not_depend_on_how_much_is_fill(share: float) -> None:
    power = 10 ** (drawn_decibels() / 10)
    power[:, : int(share * ROWS)] = -9999
    assert looked_over(power)[0].units == "linear"


def test_a_corner_of_data_is_found() -> None:
    layers = np.full((2, 3000, 1100), np.nan, np.float32)
    layers[:, 2700 : 2700 + ROWS, 700 : 700 + COLUMNS] = drawn_decibels()
    values = look_over(ArrayBackscatter(layers))
    assert values.units == "db"
    assert values.medians == pytest.approx(np.median(drawn_decibels(), axis=(1, 2)), abs=0.1)


def test_amplitude_and_complex_values_become_the_same_decibels() -> None:
    decibels = drawn_decibels()
    amplitude = 10 ** (decibels / 20)
    with pytest.raises(InputError, match="could be linear power or amplitude; say --units"):
        looked_over(amplitude)
    phase = np.exp(1j * np.random.default_rng(0).uniform(-3, 3, amplitude.shape))
    for layers, flags in (
        (amplitude, {"units": "amplitude"}),
        (amplitude, {"unit_hint": "amplitude"}),
        ((amplitude * phase).astype(np.complex64), {}),
    ):
        values, read, _ = looked_over(layers, **flags)
        assert values.units == "amplitude"
        assert np.allclose(read, decibels, atol=1e-3)


@pytest.mark.parametrize(
    ("made", "flags", "words"),
    [
        (lambda db: 10 ** (db / 10), {"units": "db"}, "--units db, but 0% of the values are negative"),
        (lambda db: db, {"units": "linear"}, "--units linear, but 100% of the values are negative"),
        (lambda db: db, {"units": "amplitude"}, "100% of the values are negative"),
        (lambda db: 10 ** (db / 10), {"unit_hint": "db"}, "its bands say decibels, but 0%"),
        (lambda db: 10 ** (db / 20) * 700, {}, "digital numbers or a stretched picture"),
        (lambda db: (db + 32) * 8, {"units": "linear"}, "digital numbers or a stretched picture"),
        (lambda db: db * 100, {}, "digital numbers or a stretched picture"),
        (lambda db: (db - db.mean((1, 2), keepdims=True)) / 5, {}, "too many for linear power"),
        (lambda db: (db - np.median(db, (1, 2), keepdims=True)) / 5 - 1e-3, {}, "look normalised"),
        (lambda db: (db + 40) / 40, {}, "could be linear power or amplitude"),
        (lambda db: db[::-1], {"bands_asked": False}, "VV is darker than VH by .* swapped"),
        (lambda db: db[[0, 0]], {}, "VV and VH are about equal"),
    ],
    ids=[
        "power as dB",
        "dB as power",
        "dB as amplitude",
        "names say dB",
        "digital numbers",
        "bytes",
        "dB x 100",
        "z-scores",
        "centred",
        "0 to 1",
        "swapped",
        "the same twice",
    ],
)
def test_values_that_do_not_fit_are_refused(
    made: Callable[[np.ndarray], np.ndarray], flags: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        looked_over(made(drawn_decibels()).astype(np.float32), **flags)


def test_what_the_user_says_is_only_doubted() -> None:
    _, _, told = looked_over(drawn_decibels()[::-1].copy(), bands_asked=True)
    assert told
    assert "are the bands swapped" in told[0]
    _, _, told = looked_over(drawn_decibels()[[0, 0]], units="db")
    assert "about equal" in told[0]


def test_power_below_the_noise_is_unknown_where_the_user_says_power() -> None:
    power = 10 ** (drawn_decibels() / 10) - np.float32(0.003)
    assert 0.05 < (power < 0).mean() < 0.3
    with pytest.raises(InputError, match="too many for linear power"):
        looked_over(power)
    values, read, _ = looked_over(power, units="linear")
    assert np.isnan(read[:, (power < 0).any(axis=0)]).all()
    assert np.isfinite(read[:, (power > 1e-5).all(axis=0)]).all()
    assert "beyond -60 to 40 dB" in values.reasons()


def test_units_in_names() -> None:
    assert unit_hint(["Sigma0_VV_db", "Sigma0_VH_db"]) == "db"
    assert unit_hint(["VV", "", "VH", "dB"]) == "db"
    assert unit_hint(["Sigma0_VV_db", "intensity_db"]) == "db"
    assert unit_hint(["Amplitude_VV", "Amplitude_VH"]) == "amplitude"
    assert unit_hint(["Intensity_VV"]) == "linear"
    assert unit_hint(["VV", "VH", ""]) is None
    assert unit_hint(["VV_dB", "Amplitude_VH"]) is None


def test_water_the_wrong_way_round_is_refused_unless_said() -> None:
    decibels, lake = drawn_decibels(), river()
    lake[:90] = False
    for water, words in ((~lake, "is the mask the wrong way round"), (np.ones_like(lake), "may be no mask")):
        with pytest.raises(InputError, match=words):
            look_over(ArrayBackscatter(decibels, water.astype(np.uint8)))
    source = ArrayBackscatter(decibels, (~lake).astype(np.uint8), [0])
    look_over(source)
    assert np.array_equal(source.read_water(WHOLE)[0] == 1, lake)


def test_masked_arrays_keep_their_mask() -> None:
    layers = np.ma.masked_less(drawn_decibels(), -1e9)
    layers[:, 5:9] = np.ma.masked
    read = look_over(ArrayBackscatter(layers)).decibels(ArrayBackscatter(layers).read(WHOLE))
    assert np.isnan(read[:, 5:9]).all()
    assert np.isfinite(read[:, 9:]).all()
