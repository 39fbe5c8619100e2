"""Which band is VV and which is VH: two exact matches, what the user says, or one line."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from common.base.errors import InputError
from competitions.etci_flood.predict.bands import parse_bands, polarisation_of
from competitions.etci_flood.predict.geotiff import RasterFlags, open_raster
from competitions.etci_flood.predict.window_grid import Window
from tests.etci_flood.drawn_rasters import COLUMNS, ROWS, add_tiff_tag, drawn_decibels, vrt, write

WHOLE = Window(0, 0, ROWS, COLUMNS)


def vv_and_vh(path: Path | list[Path], bands: str | None = None) -> np.ndarray:
    with open_raster(path, flags=RasterFlags(bands)) as source:
        return source.read(WHOLE)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("VV", "vv"),
        (" vh ", "vh"),
        ("Sigma0 VV", "vv"),
        ("Gamma0_VH_db", "vh"),
        ("VV_dB", "vv"),
        ("vvdb", "vv"),
        ("sigma0vv", "vv"),
        ("S1_VV_mean", "vv"),
        ("VV_20200714", "vv"),
        ("vh20200714", "vh"),
        ("S1A_IW_20200714T002121_DVP_RTC30_G_gpuned_1AB2_VH", "vh"),
        ("s1b-iw-grd-vv-20190304t001500-001", "vv"),
        ("2020-07-14_Sentinel-1_AWS-IW-VVVH_VV_-_Decibel_Gamma0", "vv"),
        ("HH", "hh"),
        ("VV_VH_ratio", None),
        ("VV/VH", None),
        ("VVVH", None),
        ("coh_VV", None),
        ("coherence VV", None),
        ("VV_stdDev", None),
        ("i_VV", None),
        ("VH_angle", None),
        ("divvy", None),
        ("", None),
    ],
)
def test_a_name_means_backscatter_of_one_polarisation_or_none(name: str, expected: str | None) -> None:
    assert polarisation_of(name) == expected


def test_bands_are_found_wherever_their_names_are(tmp_path: Path) -> None:
    decibels = drawn_decibels()
    turned = decibels[::-1]
    other = decibels[:1] - decibels[1:]
    rasters = [
        write(tmp_path / "spaces.tif", turned, ("Sigma0 VH", "Sigma0 VV")),
        write(tmp_path / "tags.tif", turned, None, tags=({"POLARIZATION": "VH"}, {"polarization": "VV"})),
        write(tmp_path / "ratio.tif", np.concatenate([other, turned]), ("VV_VH_ratio", "VH", "VV")),
        write(tmp_path / "coherence.tif", np.concatenate([other, turned]), ("coh_VV", "VH_dB", "VV_dB")),
        write(tmp_path / "angle.tif", np.concatenate([turned, other]), ("VH", "VV", "angle")),
    ]
    snap = write(tmp_path / "snap.tif", turned, None)
    bands = "".join(
        f"<Spectral_Band_Info><BAND_INDEX>{index}</BAND_INDEX><BAND_NAME>{name}</BAND_NAME>"
        "<PHYSICAL_UNIT>intensity_db</PHYSICAL_UNIT></Spectral_Band_Info>"
        for index, name in ((1, "Sigma0_VV_db"), (0, "Sigma0_VH_db"))
    )
    add_tiff_tag(snap, 65000, f"<Dimap_Document>{bands}</Dimap_Document>")
    for raster in (*rasters, snap):
        assert np.array_equal(vv_and_vh(raster), decibels), raster.name


def test_a_file_for_each_polarisation(tmp_path: Path) -> None:
    decibels = drawn_decibels()
    vv = write(tmp_path / "a" / "S1A_RTC10_G_VV.tif", decibels[:1], None)
    vh = write(tmp_path / "a" / "S1A_RTC10_G_VH.tif", decibels[1:], None)
    for files in ([vv, vh], [vh, vv]):
        assert np.array_equal(vv_and_vh(files), decibels)
    first = write(tmp_path / "first.tif", decibels[1:], None)
    second = write(tmp_path / "second.tif", decibels[:1], None)
    with pytest.raises(InputError, match=r"have no names \(band 2 is brighter.*VV=2,VH=1 if that is so"):
        vv_and_vh([first, second])
    assert np.array_equal(vv_and_vh([first, second], "VV=2,VH=1"), decibels)
    img = write(tmp_path / "x.data" / "Sigma0_VV.img", decibels[:1], ("Sigma0_VV",), driver="ENVI")
    assert np.array_equal(vv_and_vh([vh, img]), decibels)

    small = write(tmp_path / "small_VH.tif", decibels[1:, :100], None)
    with pytest.raises(InputError, match=r"small_VH\.tif: is on another grid than .*VV\.tif"):
        vv_and_vh([vv, small])
    elsewhere = write(tmp_path / "else_VH.tif", decibels[1:], None, crs="EPSG:32647")
    with pytest.raises(InputError, match="another grid"):
        vv_and_vh([vv, elsewhere])
    with pytest.raises(InputError, match=r"has one band \('S1A_RTC10_G_VV'\).*--geotiff VV\.tif VH\.tif"):
        vv_and_vh([vv])


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((None, None), "two bands have no names .band 1 is brighter.*--bands VV=1,VH=2 if that is so"),
        (("HH", "HV"), "holds HH and HV .*know VV and VH alone"),
        (("VV", "VV/VH"), "no band is named as VH alone .band 1 'VV', band 2 'VV/VH'"),
        (("VV_20200601", "VH_20200601", "VV_20200714", "VH_20200714"), "VV and VH more than once"),
        (("i_VV", "q_VV", "i_VH", "q_VH"), "no band is named as VV or VH alone"),
        (("Amplitude_VV", "Intensity_VV", "Amplitude_VH"), "holds VV more than once"),
        ((None, None, None), "its 3 bands have no names"),
        (("blue", "green"), "no band is named as VV or VH alone"),
    ],
)
def test_bands_are_never_guessed(tmp_path: Path, names: tuple[str | None, ...], words: str) -> None:
    decibels = drawn_decibels()
    path = write(tmp_path / "s1.tif", np.stack([decibels[n % 2] for n in range(len(names))]), names)
    with pytest.raises(InputError, match=words):
        vv_and_vh(path)
    assert np.array_equal(vv_and_vh(path, "VV=1,VH=2"), decibels)
    assert np.array_equal(vv_and_vh(path, "vh = 2, vv = 1"), decibels)


def test_what_the_user_says_is_checked(tmp_path: Path) -> None:
    decibels = drawn_decibels()
    dates = ("VV_1", "VH_1", "VV_2", "VH_2")
    path = write(tmp_path / "s1.tif", np.concatenate([decibels - 1, decibels]), dates)
    assert np.array_equal(vv_and_vh(path, "VV=VV_2,VH=vh_2"), decibels)
    for said, words in (
        ("VV=9,VH=1", "VV=9: no such band in .*it has band 1 'VV_1'"),
        ("VV=1,VH=1", "VV and VH are both band 1"),
        ("VV=0,VH=1", "no such band"),
        ("1,2", "expected VV=<band>,VH=<band>"),
        ("VV=1", "expected VV=<band>"),
        ("VV=1,VV=2", "expected VV=<band>"),
    ):
        with pytest.raises(InputError, match=words):
            vv_and_vh(path, said)
    assert parse_bands("VV=Sigma0 VV, mean,VH=2") == {"vv": "Sigma0 VV, mean", "vh": "2"}


def test_what_was_understood_is_said(tmp_path: Path) -> None:
    decibels = drawn_decibels()
    with open_raster(write(tmp_path / "s1.tif", decibels[[0, 1, 0]], ("VV", "VH", "mask"))) as source:
        (line,) = source.understood()
    for words in (
        "VV = band 1 'VV'",
        "VH = band 2 'VH'",
        "not used: band 3 'mask'",
        "180 x 240 pixels",
        "10 m",
    ):
        assert words in line
    assert "EPSG:32648" in line


def test_complex_values_scales_and_masks(tmp_path: Path) -> None:
    decibels = drawn_decibels()
    amplitude = 10 ** (decibels / 20)
    turned = amplitude * np.exp(1j * np.random.default_rng(1).uniform(-3, 3, amplitude.shape))
    with open_raster(write(tmp_path / "slc.tif", turned.astype(np.complex64))) as source:
        assert np.allclose(source.read(WHOLE), amplitude, rtol=1e-5)
        assert source.unit_hint == "amplitude"
    scaled = np.rint(decibels * 100).astype(np.int16)
    scaled[:, :, :7] = -32768
    path = write(tmp_path / "int.tif", scaled, scales=(0.01, 0.01), offsets=(-1.0, -1.0), nodata=-32768)
    read = vv_and_vh(path)
    assert np.isnan(read[:, :, :7]).all()
    assert np.allclose(read[:, :, 7:], decibels[:, :, 7:] - 1, atol=0.006)


def test_alpha_and_mask_files_mark_no_data(tmp_path: Path) -> None:
    decibels = drawn_decibels()
    alpha = np.full((1, ROWS, COLUMNS), 255, np.float32)
    alpha[:, :, :40] = 0
    kinds = (ColorInterp.gray, ColorInterp.undefined, ColorInterp.alpha)
    path = write(
        tmp_path / "alpha.tif", np.concatenate([decibels, alpha]), ("VV", "VH", None), colorinterp=kinds
    )
    assert np.array_equal(np.isnan(vv_and_vh(path))[0], alpha[0] == 0)

    path = write(tmp_path / "masked.tif", decibels)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as raster:
        raster.write_mask(alpha[0].astype(np.uint8))
    assert (tmp_path / "masked.tif.msk").is_file()
    assert np.array_equal(np.isnan(vv_and_vh(path))[1], alpha[0] == 0)

    path = write(tmp_path / "vh_as_alpha.tif", decibels, alpha="YES")
    assert np.array_equal(vv_and_vh(path), decibels)


def test_names_of_a_vrt_of_two_files(tmp_path: Path) -> None:
    decibels = drawn_decibels()
    write(tmp_path / "one.tif", decibels[:1], None)
    write(tmp_path / "two.tif", decibels[1:], None)
    (tmp_path / "s1.vrt").write_text(vrt([("VH", "two.tif"), ("VV", "one.tif")]))
    assert np.array_equal(vv_and_vh(tmp_path / "s1.vrt"), decibels)
