"""What is given as a raster: files that open, and one line on everything else."""

import zipfile
from pathlib import Path

import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.shutil import copy

from common.base.errors import InputError
from competitions.etci_flood.predict.geotiff import open_raster
from competitions.etci_flood.predict.raster_files import absolute, files_of
from competitions.etci_flood.predict.window_grid import Window
from tests.etci_flood.drawn_rasters import drawn_decibels, vrt, write


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("https://example.org/s1.tif", "download the file first"),
        ("s3://bucket/s1.tif", "download the file first"),
        ("/vsicurl/https://example.org/s1.tif", "download the file first"),
        ("NETCDF:cube.nc:VV", "no such raster file"),
        ("missing.tif", "no such raster file; check --geotiff"),
    ],
)
def test_addresses_and_missing_files(given: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        absolute(given, "--geotiff")


def test_what_is_no_raster_is_refused_with_what_to_do(tmp_path: Path) -> None:
    raster = write(tmp_path / "s1.tif", drawn_decibels())
    product = tmp_path / "S1A_IW_GRDH_1SDV_20200714.SAFE"
    (product / "measurement").mkdir(parents=True)
    (product / "manifest.safe").write_text("<xfdu/>")
    (tmp_path / "s1.dim").write_text("<Dimap_Document/>")
    with zipfile.ZipFile(tmp_path / "s1.zip", "w") as archive:
        archive.write(raster, "s1.tif")
    for name in ("lake.shp", "notes.txt", "empty.tif"):
        (tmp_path / name).write_text("" if name == "empty.tif" else "no raster")
    copy(raster, tmp_path / "cube.nc", driver="netCDF")
    for name, words in (
        (product.name, r"uncalibrated Sentinel-1 product \(\.SAFE\); calibrate"),
        (f"{product.name}/manifest.safe", r"uncalibrated Sentinel-1 product"),
        ("s1.zip", "is an archive; unpack it"),
        ("s1.dim", r"give its bands instead: --geotiff .*s1\.data/Sigma0_VV\.img"),
        ("lake.shp", "holds shapes, no raster; gdal_rasterize"),
        ("notes.txt", "not a readable raster"),
        ("empty.tif", "not a readable raster"),
        ("cube.nc", r"holds 2 rasters \(netCDF\): Band1, Band2; write its VV and VH as GeoTIFF"),
        (".", r"is a folder; expected a raster file; it holds empty\.tif, s1\.tif"),
    ):
        with pytest.raises(InputError, match=words), open_raster(tmp_path / name):
            pass


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    raster = write(tmp_path / "s1.tif", drawn_decibels())
    odd = tmp_path / "s1\udcff.tif"
    raster.rename(odd)
    with pytest.raises(InputError, match=r"its name is not UTF-8.*rename it"):
        absolute(odd)
    named = write(tmp_path / "zwei w\u00f6rter \u6d2a\u6c34.tif", drawn_decibels())
    with open_raster(named) as source:
        assert source.height == 180


def test_every_file_that_is_read_is_listed(tmp_path: Path) -> None:
    decibels = drawn_decibels()
    raster = write(tmp_path / "s1.tif", decibels, crs=None, transform=None)
    assert files_of(raster) == [raster]
    (tmp_path / "s1.tfw").write_text("10\n0\n0\n-10\n430005\n1149995\n")
    about = "<PAMDataset><SRS>EPSG:32648</SRS></PAMDataset>"
    (tmp_path / "s1.tif.aux.xml").write_text(about)
    with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(raster, "r+") as file:
        file.build_overviews([2], Resampling.nearest)
    names = ["s1.tif", "s1.tfw", "s1.tif.aux.xml", "s1.tif.ovr"]
    assert files_of(raster) == [tmp_path / name for name in names]

    write(tmp_path / "deep" / "vv.tif", decibels[:1], None)
    write(tmp_path / "deep" / "vh.tif", decibels[1:], None)
    (tmp_path / "deep" / "vv.vrt").write_text(vrt([("VV", "vv.tif")]))
    (tmp_path / "top.vrt").write_text(vrt([("VV", "deep/vv.vrt"), ("VH", "deep/vh.tif")]))
    found = files_of(tmp_path / "top.vrt")
    assert found == [tmp_path / name for name in ("top.vrt", "deep/vh.tif", "deep/vv.tif", "deep/vv.vrt")]
    (tmp_path / "deep" / "vh.tif.aux.xml").write_text(about)
    assert tmp_path / "deep" / "vh.tif.aux.xml" in files_of(tmp_path / "top.vrt"), "of a source"

    with zipfile.ZipFile(tmp_path / "vh.zip", "w") as archive:
        archive.write(tmp_path / "deep" / "vh.tif", "vh.tif")
    inside = vrt([("VH", f"/vsizip/{tmp_path}/vh.zip/vh.tif")]).replace(' relativeToVRT="1"', "")
    (tmp_path / "zipped.vrt").write_text(inside)
    assert files_of(tmp_path / "zipped.vrt") == [tmp_path / "zipped.vrt", tmp_path / "vh.zip"]


def test_a_vrt_never_reaches_for_the_network(tmp_path: Path) -> None:
    address = "/vsicurl/http://127.0.0.1:9/vv.tif"
    text = vrt([("VV", address), ("VH", address)]).replace(' relativeToVRT="1"', "")
    (tmp_path / "web.vrt").write_text(text)
    write(tmp_path / "vh.tif", drawn_decibels()[1:], None)
    (tmp_path / "outer.vrt").write_text(vrt([("VV", "web.vrt"), ("VH", "vh.tif")]))
    tiles = (
        "<GDAL_WMS><Service name='TMS'><ServerUrl>http://127.0.0.1:9/${z}/${x}/${y}.png</ServerUrl></Service>"
    )
    tiles += (
        "<DataWindow><SizeX>240</SizeX><SizeY>180</SizeY></DataWindow><BandsCount>1</BandsCount></GDAL_WMS>"
    )
    (tmp_path / "wms.xml").write_text(tiles)
    (tmp_path / "map.vrt").write_text(vrt([("VV", "wms.xml"), ("VH", "vh.tif")]))
    for name in ("web.vrt", "outer.vrt", "wms.xml", "map.vrt"):
        with pytest.raises(InputError, match=r"from the network; download it first"):
            files_of(tmp_path / name)
    with pytest.raises(InputError, match="from the network"), open_raster(tmp_path / "web.vrt"):
        pass


def test_missing_sources_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "gone.vrt").write_text(vrt([("VV", "vv.tif"), ("VH", "vh.tif")]))
    assert files_of(tmp_path / "gone.vrt") == [tmp_path / "gone.vrt"]
    words = r"gone\.vrt: not a readable raster .*vv\.tif"
    with open_raster(tmp_path / "gone.vrt") as source, pytest.raises(InputError, match=words):
        source.read(Window(0, 0, 10, 10))
