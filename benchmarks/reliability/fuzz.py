"""Submissions and pictures with random damage: they are judged or refused, never more."""

import io
import random
import re
import resource
import time
import traceback
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from common.base.errors import InputError
from common.files.pictures import UnreadablePictureError, read_rgb
from common.run.competition import Competition

from benchmarks.reliability.runs import Tally  # isort: skip

SLOW_SECONDS = 5.0
MEMORY_MB = 500
ODD_NUMBERS = (
    "",
    "nan",
    "inf",
    "-inf",
    "1e999",
    "-0",
    "1_0",
    "0x10",
    "１２",
    "٣",
    "9" * 5000,
    "1e-400",
    "0.1.2",
)
ODD_TEXTS = (
    " 1",
    "1 ",
    "\u00a01",
    "true",
    "None",
    "NULL",
    '"',
    "'",
    "\x1b[2J",
    "\0",
    "=1+1",
    "1,5",
    "\t",
    "\ufeff1",
)
LARGE = ("2147483648", "99999999999999999999", "1e3", "5e-324", "--1", "+", "../../etc/passwd", "a" * 100_000)
ODD_CELLS = ODD_NUMBERS + ODD_TEXTS + LARGE


def mutated(content: bytes, generator: random.Random) -> bytes:
    """One to three random changes: of bytes, of lines, or of cells."""
    for _ in range(generator.choice((1, 1, 2, 3))):
        kind = generator.randrange(8)
        size = len(content)
        if kind == 0 and size:
            at = generator.randrange(size)
            content = content[:at] + bytes([generator.randrange(256)]) + content[at + 1 :]
        elif kind == 1:
            content = content[: generator.randrange(size + 1)]
        elif kind == 2:
            at = generator.randrange(size + 1)
            content = content[:at] + generator.randbytes(generator.randrange(1, 9)) + content[at:]
        elif kind == 3 and size:
            first = generator.randrange(size)
            content = content[:first] + content[first + generator.randrange(1, 200) :]
        else:
            content = _other_lines(content, kind, generator)
    return content


def _other_lines(content: bytes, kind: int, generator: random.Random) -> bytes:
    lines = content.split(b"\n")
    at = generator.randrange(len(lines))
    if kind == 4:
        lines.insert(generator.randrange(len(lines) + 1), lines[at])
    elif kind == 5:
        del lines[at]
    elif kind == 6:
        other = generator.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    else:
        cells = lines[at].split(b",")
        cells[generator.randrange(len(cells))] = generator.choice(ODD_CELLS).encode()
        lines[at] = b",".join(cells)
    return b"\n".join(lines)


def mutated_archive(content: bytes, generator: random.Random) -> bytes:
    """The same for the array within a zip archive, at times for the archive itself."""
    if generator.random() < 0.3:
        return mutated(content, generator)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = generator.choice(list(members))
    head, body = members[name][:128], members[name][128:]
    if generator.random() < 0.7:
        head = _other_header(head, generator)
    members[name] = head + body
    if generator.random() < 0.1:
        members[generator.choice(("../evil.npy", "b.npy", name.upper(), "__MACOSX/._x"))] = b"x"
    out = io.BytesIO()
    method = generator.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(out, "w", method) as archive:
        for member, written in members.items():
            archive.writestr(member, written)
    return out.getvalue()


HEADERS = (
    "()", "(0,)", "(1,)", "(-1, 256)", "(99999999999, 256, 256)", "((1,),)", "'x'", "(256, 256)", "(1.5,)",
    "(True,)",
)  # fmt: skip
TYPES = (
    "'|S0'",
    "'|O'",
    "'<f8'",
    "'>u2'",
    "[('a', '|u1')]",
    "'|V0'",
    "'|b1'",
    "'<U9'",
    "'<c16'",
    "'nonsense'",
    "3",
)


def _other_header(head: bytes, generator: random.Random) -> bytes:
    text = head.decode("latin-1")
    kind = generator.randrange(4)
    if kind == 0:
        text = re.sub(r"'shape': \([^)]*\)", f"'shape': {generator.choice(HEADERS)}", text)
    elif kind == 1:
        text = re.sub(r"'descr': [^,]*,", f"'descr': {generator.choice(TYPES)},", text)
    elif kind == 2:
        text = text.replace("{", generator.choice(("{{", "(", "", "__import__('os')"))).replace(
            "False", "True"
        )
    else:
        return mutated(head, generator)
    encoded = text.encode("latin-1")[:128]
    return encoded if len(encoded) == 128 else encoded.ljust(128, b" ")


def fuzz_submissions(
    competition: Competition[Any],
    submission: Path,
    data: Path,
    folder: Path,
    trials: int,
    generator: random.Random,
) -> Tally:
    """Validate and score damaged copies of a valid submission.

    A copy that is called valid must be scored; everything else must end in faults or in one InputError.
    """
    tally = Tally()
    content, truth = submission.read_bytes(), data / competition.truth_name
    change = mutated_archive if submission.suffix == ".zip" else mutated
    path = folder / f"fuzzed{competition.submission_suffix}"
    for trial in range(trials):
        path.write_bytes(change(content, generator))
        begin, memory = time.monotonic(), _peak_mb()
        outcome = _judged(competition, path, data, truth)
        if time.monotonic() - begin > SLOW_SECONDS:
            outcome = ("hang", f"took {time.monotonic() - begin:.1f} s")
        elif _peak_mb() - memory > MEMORY_MB:
            outcome = ("wrong", f"took {_peak_mb() - memory:.0f} MB")
        if outcome[0] in ("wrong", "traceback", "hang"):
            path.rename(folder / f"fault{trial}{competition.submission_suffix}")
        tally.add(outcome[0], f"{competition.slug} submission {trial}: {outcome[1]}")
    return tally


def _judged(competition: Competition[Any], path: Path, data: Path, truth: Path) -> tuple[Any, str]:
    faults: list[str] = ["not judged"]
    try:
        faults = competition.validate(path, data)
        score = competition.score(path, truth).value
    except InputError as fault:
        return ("refused", "") if faults else ("wrong", f"called valid, and not scored: {fault}")
    except Exception:
        return "traceback", traceback.format_exc().strip().splitlines()[-1][:200]
    if not np.isfinite(score):
        return "wrong", f"scored {score}"
    return ("refused", "") if faults else ("identical", "")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


FORMATS: dict[str, dict[str, Any]] = {
    "jpg": {"quality": 80}, "png": {}, "gif": {}, "tif": {"compression": "tiff_lzw"}, "bmp": {}, "webp": {},
    "avif": {}, "jp2": {}, "ppm": {}, "tga": {},
}  # fmt: skip


def fuzz_pictures(folder: Path, trials: int, generator: random.Random) -> Tally:
    """Read damaged pictures of every format: (height, width, 3) pixels, or UnreadablePictureError."""
    tally = Tally()
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    whole = {}
    for suffix, options in FORMATS.items():
        written = io.BytesIO()
        smooth = Image.fromarray(noise).resize((160, 120), Image.Resampling.BICUBIC)
        smooth.save(written, Image.registered_extensions()[f".{suffix}"], **options)
        whole[suffix] = written.getvalue()
    for trial in range(trials):
        suffix = generator.choice(list(whole))
        path = folder / f"fuzzed.{suffix}"
        content = whole[suffix]
        for _ in range(generator.choice((1, 2, 8))):
            content = mutated(content, generator)
        path.write_bytes(content)
        begin, memory = time.monotonic(), _peak_mb()
        verdict, what = _picture_outcome(path)
        if time.monotonic() - begin > SLOW_SECONDS:
            verdict, what = "hang", f"took {time.monotonic() - begin:.1f} s"
        elif _peak_mb() - memory > 2 * MEMORY_MB:
            verdict, what = "wrong", f"took {_peak_mb() - memory:.0f} MB"
        if verdict in ("wrong", "traceback", "hang"):
            path.rename(folder / f"fault{trial}.{suffix}")
        tally.add(verdict, f"picture {trial} ({suffix}): {what}")
    return tally


def _picture_outcome(path: Path) -> tuple[Any, str]:
    try:
        pixels = read_rgb(path)
    except UnreadablePictureError:
        return "refused", ""
    except BaseException:
        return "traceback", traceback.format_exc().strip().splitlines()[-1][:200]
    good = pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    return ("identical", "") if good else ("wrong", f"{pixels.dtype} {pixels.shape}")
