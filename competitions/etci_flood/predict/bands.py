"""Which band of a raster is VV and which is VH: two exact matches, or the user says it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import TiffImagePlugin

from common.base.errors import InputError
from common.base.paths import display_path

VV_VH = ("vv", "vh")
MAX_BANDS_NAMED = 12
DIMAP_TAG = 65000
"""Private TIFF tag in which SNAP keeps its header: names and units of the bands."""
NAME_TAGS = ("name", "bandname", "band_name", "description", "long_name", "netcdf_varname", "layer")
POLARISATION_TAGS = ("polarisation", "polarization", "pol", "polarisations", "polarizations")
NOT_BACKSCATTER = re.compile(
    r"(?:^|[^a-z])(?:ratio|coh\w*|phase|ifg|angle|lia|inc\w*|std\w*|stdev|var|variance|glcm\w*|entropy|"
    r"texture|contrast|homogeneity|count|num\w*|nesz|noise|diff\w*|delta|change|slope|trend|pvalue|i|q|real|"
    r"imag\w*|mask|index|ndpi|rvi|rfdi|cr|alpha|quality|weight\w*|layover\w*|shadow\w*)(?=$|[^a-z])"
)
"""Words in the name of a band that is derived from a polarisation but is no backscatter."""

_POLARISATION = re.compile(
    r"(?:(?<![a-z])|(?<=sigma)|(?<=gamma)|(?<=beta)|(?<=band))(vv|vh|hh|hv)(?=$|[^a-z]|db|lin|pow|amp|int)"
)
_DIMAP_BAND = re.compile(r"<Spectral_Band_Info>(.*?)</Spectral_Band_Info>", re.DOTALL)
_BAND_NUMBER = re.compile(r"\d{1,6}")


@dataclass(frozen=True)
class Band:
    """One band of the files that were given."""

    file: Path
    index: int
    """Number within its file, from 1."""
    name: str
    """Its description, or what tags or the file's name say; empty when nothing does."""
    unit: str = ""
    """As the file has it: dB, intensity, ..."""

    @property
    def polarisation(self) -> str | None:
        """vv, vh, hh or hv when the name means backscatter of exactly one polarisation."""
        return polarisation_of(self.name)


def polarisation_of(name: str) -> str | None:
    """vv, vh, hh or hv; None for ratios, coherence, angles and names of no or several polarisations."""
    lower = name.lower()
    found = set(_POLARISATION.findall(lower))
    if len(found) != 1 or NOT_BACKSCATTER.search(lower):
        return None
    return str(found.pop())


def bands_of(datasets: Sequence[Any], files: Sequence[Path]) -> list[Band]:
    """All bands of open datasets, in the order given."""
    found = []
    for dataset, file in zip(datasets, files, strict=True):
        names, units = _names(dataset, file)
        if dataset.count == 1 and polarisation_of(names[0]) is None and not _is_derived(names[0]):
            # Tools that write one file for each polarisation put it into the file's name.
            names = [file.stem if polarisation_of(file.stem) or _is_derived(file.stem) else names[0]]
        found += [
            Band(file, index, name, unit)
            for index, (name, unit) in enumerate(zip(names, units, strict=True), start=1)
        ]
    return found


def parse_bands(text: str) -> dict[str, str]:
    """`VV=2,VH=1` -> {"vv": "2", "vh": "1"}; numbers count over all files, names are those of the bands."""
    parts = re.split(r",(?=\s*v[vh]\s*=)", text, flags=re.IGNORECASE)
    pairs = [part.partition("=") for part in parts]
    asked = {key.strip().lower(): band.strip() for key, _, band in pairs if band.strip()}
    if len(pairs) != 2 or set(asked) != set(VV_VH):
        raise InputError(f"--bands {text!r}: expected VV=<band>,VH=<band>, for one VV=2,VH=1")
    return asked


def choose_bands(
    bands: Sequence[Band], asked: Mapping[str, str] | None, brighter: int = 0
) -> tuple[Band, Band]:
    """The bands of VV and VH.

    Parameters
    ----------
    asked : of `parse_bands`; by the bands' names without it.
    brighter : for the message when nothing is named: the brighter one of two bands, 0 where unknown.

    Raises
    ------
    InputError : there are no two exact matches; the message names what is there.
    """
    name = display_path(bands[0].file)
    if asked is not None:
        vv, vh = (_asked_band(bands, key.upper(), asked[key]) for key in VV_VH)
        if vv == vh:
            raise InputError(f"--bands: VV and VH are both {_label(bands, vv)} of {name}")
        return vv, vh
    matches = {key: [band for band in bands if band.polarisation == key] for key in VV_VH}
    if all(len(found) == 1 for found in matches.values()):
        return matches["vv"][0], matches["vh"][0]
    raise InputError(f"{name}: {_why(bands, matches, brighter)}")


def band_list(bands: Sequence[Band], without: Sequence[Band] = ()) -> str:
    """`band 1 'VV_20200601', band 2 'VH_20200601'`; numbers count over all bands."""
    numbered = [(number, band) for number, band in enumerate(bands, 1) if band not in without]
    named = [
        f"band {number} {band.name[:40]!r}" if band.name else f"band {number} without a name"
        for number, band in numbered[:MAX_BANDS_NAMED]
    ]
    more = len(numbered) - MAX_BANDS_NAMED
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")


def _why(bands: Sequence[Band], matches: Mapping[str, Sequence[Band]], brighter: int) -> str:
    several = [key.upper() for key in VV_VH if len(matches[key]) > 1]
    missing = [key.upper() for key in VV_VH if not matches[key]]
    others = sorted({str(band.polarisation).upper() for band in bands if band.polarisation in ("hh", "hv")})
    say = "say which they are: --bands VV=<band>,VH=<band>"
    if len(bands) == 1:
        has = f" ({bands[0].name[:40]!r})" if bands[0].name else ""
        return (
            f"has one band{has}; expected VV and VH: give both files, --geotiff VV.tif VH.tif, "
            "or one file with both"
        )
    if not any(band.name for band in bands):
        if len(bands) == 2 and brighter:
            return (
                f"its two bands have no names (band {brighter} is brighter, as VV mostly is); say which they "
                f"are: --bands VV={brighter},VH={3 - brighter} if that is so"
            )
        return f"its {len(bands)} bands have no names; {say}"
    if others and missing:
        return f"holds {' and '.join(others)} ({band_list(bands)}); the models know VV and VH alone"
    if several:
        return f"holds {' and '.join(several)} more than once ({band_list(bands)}); {say}"
    return f"no band is named as {' or '.join(missing)} alone ({band_list(bands)}); {say}"


def _asked_band(bands: Sequence[Band], key: str, asked: str) -> Band:
    if _BAND_NUMBER.fullmatch(asked) and 1 <= int(asked) <= len(bands):
        return bands[int(asked) - 1]
    named = [band for band in bands if band.name.strip().lower() == asked.strip().lower()]
    if len(named) == 1:
        return named[0]
    raise InputError(
        f"--bands {key}={asked[:40]}: {'several bands have that name' if named else 'no such band'} in "
        f"{display_path(bands[0].file)}; it has {band_list(bands)}"
    )


def _label(bands: Sequence[Band], band: Band) -> str:
    return f"band {list(bands).index(band) + 1}"


def _is_derived(name: str) -> bool:
    return bool(NOT_BACKSCATTER.search(name.lower()))


def _names(dataset: Any, file: Path) -> tuple[list[str], list[str]]:
    """Names and units of all bands of one dataset."""
    dimap = _dimap_bands(file) if dataset.driver in ("GTiff", "SNAP_TIFF", "COG") else []
    of_dataset = {key.lower(): value for key, value in dataset.tags().items()}
    names, units = [], []
    for index in dataset.indexes:
        tags = {key.lower(): str(value) for key, value in dataset.tags(index).items()}
        from_dimap = dimap[index - 1] if len(dimap) == dataset.count else ("", "")
        candidates = [
            str(dataset.descriptions[index - 1] or ""),
            from_dimap[0],
            *(tags.get(key, "") for key in (*POLARISATION_TAGS, *NAME_TAGS)),
            str(of_dataset.get(f"band_{index}", "")),
        ]
        if dataset.count == 1:
            candidates += [str(of_dataset.get(key, "")) for key in POLARISATION_TAGS]
        given = [text.strip() for text in candidates if text.strip()]
        # The first that names a polarisation, or what is derived from one; otherwise the first at all.
        telling = [text for text in given if polarisation_of(text) or _is_derived(text)]
        names.append((telling or given or [""])[0])
        units.append(str(dataset.units[index - 1] or from_dimap[1] or tags.get("units", "")).strip())
    return names, units


def _dimap_bands(file: Path) -> list[tuple[str, str]]:
    """Name and unit of each band in the header that SNAP writes into its GeoTIFFs; empty for others."""
    try:
        with file.open("rb") as stream:
            start = stream.read(8)
            if 43 in (start[2], start[3]):  # BigTIFF has a longer header
                start += stream.read(8)
            tags = TiffImagePlugin.ImageFileDirectory_v2(start)
            stream.seek(tags.next)
            tags.load(stream)
            text = tags.get(DIMAP_TAG, "")
    except Exception:  # no TIFF that Pillow can follow; GDAL has opened it, and names are asked for instead
        return []
    header = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    found: list[tuple[int, str, str]] = []
    for block in _DIMAP_BAND.findall(header):
        parts = {
            key: re.search(rf"<{key}>\s*(.*?)\s*</{key}>", block, re.DOTALL)
            for key in ("BAND_INDEX", "BAND_NAME", "PHYSICAL_UNIT")
        }
        texts = {key: match[1] if match else "" for key, match in parts.items()}
        number = int(texts["BAND_INDEX"]) if texts["BAND_INDEX"].isdigit() else len(found)
        found.append((number, texts["BAND_NAME"], texts["PHYSICAL_UNIT"]))
    return [(name, unit) for _, name, unit in sorted(found)]
