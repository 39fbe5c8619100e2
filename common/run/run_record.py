"""run.json: what was run, on what, from what, with what result.

One record is kept with everything that a stage makes: `processed/run.json`, `<experiment>/fold<k>/run.json`,
`<experiment>/oof.run.json`, `<experiment>/test.run.json`, `<experiment>/submission.run.json`.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from common.base import atomic
from common.base.errors import InputError
from common.base.paths import ROOT, display_path

LARGE_FILE = 64 * 2**20
HASHING_THREADS = 4
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif")
MAX_WARNINGS_LISTED = 200


class Output(BaseModel):
    """One file that a stage wrote, path relative to the work folder."""

    path: str
    size: int
    sha256: str


SURROGATE = re.compile("[\ud800-\udfff]")
RecordStage = Literal["preprocess", "train_folds", "out_of_fold", "infer", "make_submission", "own_data"]
"""What a unit of work is part of; `out_of_fold` is the last one of 2_train_folds."""


class RunRecord(BaseModel):
    """The content of a run.json."""

    model_config = ConfigDict(extra="forbid")

    competition: str
    stage: RecordStage
    experiment: dict[str, Any]
    """The resolved experiment, as loaded by the competition's model."""
    profile: str
    fold: int | None = None
    seed: int
    data: str
    """The raw data folder."""
    sample_data: bool
    inputs: dict[str, str]
    """What the stage read -> its hash."""
    outputs: list[Output]
    inputs_hash: str
    """Hash of everything that decides the result; the stage is done while it stays the same."""
    metrics: dict[str, float]
    decision: dict[str, Any]
    """What was tuned here on out-of-fold predictions for later stages: thresholds, weights."""
    history: list[dict[str, float]]
    """One entry per training epoch."""
    warnings: list[str]
    """Faults of the input that did not stop the work, at most 200 lines."""
    warnings_count: int
    understood: list[str] = []
    """How data of the user's own were read, one short line each."""
    device: str
    hardware: str
    git_commit: str | None
    code: str
    """Hash of the project's source files when it was made."""
    packages: dict[str, str]
    seconds: float
    peak_memory_mb: float
    """Highest resident memory of the process (or of its largest child) until the end of this stage."""
    finished: str
    """UTC time, ISO 8601."""


def read_record(path: Path) -> RunRecord:
    """Load a run.json; InputError when it is missing, cut short or of another version."""
    try:
        return RunRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{display_path(path)} is missing") from None
    except ValidationError as fault:
        problem = fault.errors()[0]["msg"]
        raise InputError(
            f"{display_path(path)}: not a run record ({problem}); delete it and run the stage again"
        ) from None


def write_record(path: Path, record: RunRecord) -> None:
    """Write a run.json, whole or not at all."""
    text = json.dumps(record.model_dump(), indent=1, ensure_ascii=False) + "\n"
    # Names of files that are not UTF-8 are kept as escapes.
    atomic.write_text(path, SURROGATE.sub(lambda half: f"\\\\u{ord(half[0]):04x}", text))


def short_hash(content: object) -> str:
    """SHA-256 of the canonical JSON of `content`, 16 hex digits."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    # File names that are not UTF-8 have surrogates.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def hash_path(path: Path, patterns: tuple[str, ...] = ("*",)) -> str:
    """Identity of an input: the content of a file, or of the files of a folder.

    Tables count by their content. Images, and files over 64 MiB, count by size and time of modification: to
    read hundreds of thousands of them would take longer than the check may.

    Parameters
    ----------
    patterns : of a folder's relative paths, as `fnmatch` has them (`*` crosses folders); others do not count.
    """
    if path.is_file():
        return _file_identity(path)
    listing = hashlib.sha256()
    for name in sorted(_listed(path, len(str(path)) + 1)):
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            listing.update(f"{name}\0{_file_identity(path / name)}\n".encode("utf-8", "surrogateescape"))
    return listing.hexdigest()


def _file_identity(path: Path) -> str:
    status = path.stat()
    if status.st_size <= LARGE_FILE and path.suffix.lower() not in IMAGE_SUFFIXES:
        return file_sha256(path)
    return short_hash([status.st_size, status.st_mtime_ns])


def _listed(folder: Path, root_length: int) -> list[str]:
    """Relative paths of all files; hidden ones and the sample's truth are left out.

    Links to folders are followed, but for one that leads back to a folder that was visited already.
    """
    names, pending = [], [str(folder)]
    visited = set()
    while pending:
        current = pending.pop()
        status = Path(current).stat()
        if (status.st_dev, status.st_ino) in visited:
            continue
        visited.add((status.st_dev, status.st_ino))
        with os.scandir(current) as entries:
            for entry in entries:
                if entry.name == "truth" or entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    pending.append(entry.path)
                else:
                    names.append(entry.path[root_length:])
    return names


def describe_output(path: Path, work: Path) -> Output:
    """Path, size and hash of a written file."""
    return Output(path=path.relative_to(work).as_posix(), size=path.stat().st_size, sha256=file_sha256(path))


def damaged_outputs(record: RunRecord, work: Path) -> list[Path]:
    """Outputs of the record that are missing, or whose bytes are not those that the stage wrote."""

    def is_damaged(output: Output) -> bool:
        path = work / output.path
        try:
            return path.stat().st_size != output.size or file_sha256(path) != output.sha256
        except OSError:
            return True

    with ThreadPoolExecutor(HASHING_THREADS) as pool:
        damaged = list(pool.map(is_damaged, record.outputs))
    return [work / output.path for output, bad in zip(record.outputs, damaged, strict=True) if bad]


def record_hash(record: RunRecord) -> str:
    """What of a unit of work decides the results of later ones.

    Of preprocessing only its results: the same data in another place lead to the same models.
    """
    outputs = [output.model_dump() for output in record.outputs]
    made_from = "" if record.stage == "preprocess" else record.inputs_hash
    return short_hash([made_from, outputs, record.decision])


@cache
def git_commit() -> str | None:
    """Commit of the project, `+` appended when tracked files differ from it; None outside a repository."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"]
    environment = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}  # only look: write no index
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=20, check=True, env=environment
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


@cache
def code_hash(folder: Path) -> str:
    """Hash of the source files of common/ and of a competition's folder, comments included."""
    files = [*(ROOT / "common").rglob("*.py"), *folder.rglob("*.py")]
    return short_hash(
        [[path.relative_to(path.parents[1]).as_posix(), file_sha256(path)] for path in sorted(files)]
    )


@cache
def package_versions() -> dict[str, str]:
    """Installed versions of the packages that requirements.txt names, and of Python."""
    versions = {"python": platform.python_version()}
    requirements = ROOT / "requirements.txt"
    for name in re.findall(
        r"^([\w.-]+)==", requirements.read_text() if requirements.exists() else "", re.MULTILINE
    ):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


@cache
def hardware() -> str:
    """Usable cores, processor and memory, `2 x AMD EPYC (AVX2), 23 GB`; with the GPU when torch sees one."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        text = cpuinfo.read_text()
        names = re.findall(r"^model name\s*: (.+)$", text, re.MULTILINE)
        model = names[0].strip() if names else model
        # Sums differ in their last digits with the width of the vector units, and trained networks by more.
        for flag, unit in (("avx512f", "AVX-512"), ("avx2", "AVX2")):
            if re.search(rf"^flags.*\b{flag}\b", text, re.MULTILINE):
                model += f" ({unit})"
                break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    text = f"{cores} x {model}, {memory:.0f} GB"
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_available():
            text += f", {torch.cuda.get_device_name()}"
    return text


def peak_memory_mb() -> float:
    """Highest resident memory so far of this process or of its largest child, in MB."""
    kilobytes = max(
        resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return kilobytes / 1024
