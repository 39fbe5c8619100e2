"""Files of a raster of one's own: what can be opened, and every file that GDAL reads for it."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from common.base.errors import InputError
from common.base.paths import display_path

CACHE_BYTES = 64 * 2**20
OFFLINE = {
    "GDAL_CACHEMAX": CACHE_BYTES,
    "CPL_VSIL_CURL_ALLOWED_FILENAME": "/none",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",
}
"""GDAL settings: bounded memory, and no address on the network is opened, whatever a VRT names."""
ONLINE_DRIVERS = frozenset(
    {"DAAS", "EEDA", "EEDAI", "HTTP", "NGW", "OGCAPI", "PLMOSAIC", "STACIT", "STACTA", "WCS", "WMS", "WMTS"}
)
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2")
VECTORS = (".shp", ".geojson", ".json", ".kml", ".kmz", ".gml")
CONTAINERS = (".nc", ".nc4", ".h5", ".hdf", ".hdf5", ".he5", ".grib", ".grb", ".grib2", ".zarr")

TO_GEOTIFF = "write its VV and VH as GeoTIFF"
CALIBRATE = (
    "calibrate and terrain-correct it first (SNAP: Calibration, Terrain-Correction; or order an RTC product) "
    "and give the GeoTIFF"
)
_URL = re.compile(r"^([a-z][a-z0-9+]{1,9}):/{1,2}(?=[^/])", re.IGNORECASE)
_VIRTUAL = re.compile(r"^/vsi(\w+?)(?:_streaming)?/+", re.IGNORECASE)
_LOCAL_ARCHIVES = frozenset({"zip", "gzip", "tar", "7z", "rar", "subfile", "sparse", "crypt", "cached"})


def absolute(path: str | Path, flag: str = "") -> Path:
    """The absolute path of a raster that a user named.

    Raises
    ------
    InputError : an address, a missing file, a folder, an archive, or what GDAL has no single raster of. The
        line says what to do.
    """
    if _URL.match(str(path)) or _VIRTUAL.match(str(path)):
        raise InputError(f"{path}: is an address; download the file first, nothing is read from the network")
    file = Path(path).expanduser().absolute()
    name, suffix = display_path(file), file.suffix.lower()
    if (suffix == ".safe" and file.is_dir()) or file.name.lower() == "manifest.safe":
        raise InputError(f"{name}: is an uncalibrated Sentinel-1 product (.SAFE); {CALIBRATE}")
    try:
        str(file).encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(f"{name}: its name is not UTF-8, which GDAL cannot open; rename it") from None
    if file.is_dir():
        listed = sorted(
            each.name for each in file.iterdir() if each.suffix.lower() in (".tif", ".tiff", ".img")
        )
        hint = f"; it holds {', '.join(listed[:4])}{', ...' if len(listed) > 4 else ''}" if listed else ""
        raise InputError(f"{name}: is a folder; expected a raster file{hint}")
    if not file.is_file():
        raise InputError(f"{name}: no such raster file{f'; check {flag}' if flag else ''}")
    if suffix in ARCHIVES:
        raise InputError(f"{name}: is an archive; unpack it and give the raster in it")
    if suffix in VECTORS:
        raise InputError(
            f"{name}: holds shapes, no raster; gdal_rasterize (QGIS: Rasterize) makes one of them"
        )
    if suffix == ".dim":
        data = display_path(file.with_suffix(".data"))
        raise InputError(
            f"{name}: is a BEAM-DIMAP header; give its bands instead: "
            f"--geotiff {data}/Sigma0_VV.img {data}/Sigma0_VH.img, or whatever their names are"
        )
    return file


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The open dataset of a raster file, with at least one band.

    Raises
    ------
    InputError : GDAL cannot read the file, it has several rasters in it, or it refers to the network.
    """
    files_of(path)
    with reading(path), _quiet():
        dataset = rasterio.open(path)
    with dataset:
        yield dataset


def files_of(path: Path) -> list[Path]:
    """Every file that decides what GDAL reads for a raster, itself first.

    The sources of a VRT (and theirs), .aux.xml, .ovr, .msk, world files, headers. Sources that are missing
    are left out: reading them fails with its own message.

    Raises
    ------
    InputError : GDAL cannot read the raster, it has several rasters in it, or it refers to the network.
    """
    name = display_path(path)
    found: list[Path] = []
    pending, seen = [str(path)], {str(path)}
    while pending:
        source = pending.pop()
        file = _on_disk(source)
        if file is not None and file not in found:
            found.append(file)
        try:
            with _quiet(), rasterio.Env(**OFFLINE), rasterio.open(source) as dataset:
                if dataset.driver in ONLINE_DRIVERS:
                    raise InputError(f"{name}: reads {source[:80]} from the network; download it first")
                if source == str(path):
                    _refuse_containers(dataset, name)
                more = list(dataset.files)
        except RasterioError as fault:
            if source == str(path):
                raise _unreadable(path, fault) from None
            continue  # a side-car file, or a source that is missing
        for each in more:
            _refuse_network(each, name)
        pending += [each for each in more if each not in seen]
        seen.update(more)
    return [path, *sorted(file for file in found if file != path)]


def _refuse_containers(dataset: Any, name: str) -> None:
    if dataset.driver in ("SAFE", "SENTINEL2"):
        raise InputError(f"{name}: is an uncalibrated Sentinel-1 product (.SAFE); {CALIBRATE}")
    if not dataset.count or len(dataset.subdatasets) > 1:
        layers = [layer.rpartition(":")[2].strip('/"') for layer in dataset.subdatasets]
        listed = f": {', '.join(layers[:6])}{', ...' if len(layers) > 6 else ''}" if layers else ""
        first = dataset.subdatasets[0] if layers else name
        raise InputError(
            f"{name}: holds {len(layers)} rasters ({dataset.driver}){listed}; {TO_GEOTIFF}, "
            f"for one `gdal_translate {first} VV.tif`, and give both files to --geotiff"
        )


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Faults of GDAL's reading as one line that names the file."""
    try:
        yield
    except RasterioError as fault:
        raise _unreadable(path, fault) from None


def _unreadable(path: Path, fault: RasterioError) -> InputError:
    reason = str(fault.__cause__ or fault)[:160]
    what = f"; {TO_GEOTIFF} (gdal_translate)" if path.suffix.lower() in CONTAINERS else ""
    return InputError(f"{display_path(path)}: not a readable raster ({reason}){what}")


@contextmanager
def _quiet() -> Iterator[None]:
    """A raster without georeference is no reason for a warning; the answer says it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def _refuse_network(source: str, name: str) -> None:
    virtual = _VIRTUAL.match(source)
    remote = virtual is not None and virtual[1].lower() not in _LOCAL_ARCHIVES
    if remote or "://" in source or "/vsicurl" in source:
        raise InputError(f"{name}: reads {source[:80]} from the network; download it first")


def _on_disk(source: str) -> Path | None:
    """The file on disk that a name of GDAL's is in: of a path in an archive, the archive."""
    quoted = re.search(r'"([^"]+)"', source)
    text = quoted[1] if quoted else source
    while match := _VIRTUAL.match(text):
        text = text[match.end() - 1 :] if text[match.end() - 1 :].startswith("/") else text[match.end() :]
        if not Path(text).exists() and Path(text.lstrip("/")).exists():
            text = text.lstrip("/")
    candidate = Path(text).absolute()
    return next((place for place in (candidate, *candidate.parents) if place.is_file()), None)
