"""The four stages as a user starts them: killed, started twice, on damaged files, in odd surroundings."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from common.base.paths import ROOT
from common.run.job import SCRIPTS
from common.run.run_record import read_record

Verdict = Literal["identical", "refused", "wrong", "traceback", "hang"]
TIMEOUT = 900.0
"""Seconds after which a run counts as one that does not end; undisturbed it takes about a minute."""


@dataclass(frozen=True)
class Target:
    """A run of a competition that is small and still has every part: folds, checkpoints, parents, records."""

    slug: str
    experiment: str
    scale: float
    """Size of the sample data, 1 is the usual one."""
    sets: tuple[str, ...] = ()

    def flags(self, work: Path, data: Path) -> Iterator[list[str]]:
        """The command of each stage."""
        for number, (stage, script) in enumerate(SCRIPTS.items()):
            command = [sys.executable, str(ROOT / "competitions" / self.slug / script)]
            command += ["--work", str(work), "--experiment", self.experiment]
            command += [part for text in self.sets for part in ("--set", text)]
            yield command + (["--data", str(data)] if number == 0 and stage == "preprocess" else [])


TARGETS = (
    Target("bit_trader", "champion", 0.3),
    Target("etci_flood", "unet_light", 0.3, ("folds=2", "training.epochs=2")),
    Target("face_counting", "yolov5n_light", 0.3, ("folds=2", "training.epochs=2")),
    Target("shopee_matching", "champion_light", 0.3),
)
"""One of each competition."""


@dataclass
class Finished:
    """How a run of the four stages ended."""

    code: int | None
    """Exit code of the stage that ended it; None when it was killed."""
    text: str
    seconds: float
    hung: bool = False


@dataclass
class Tally:
    """How many trials ended in which way, with what was seen where it should not."""

    counts: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def add(self, verdict: Verdict, what: str) -> None:
        """Count one trial."""
        self.counts[verdict] = self.counts.get(verdict, 0) + 1
        if verdict not in ("identical", "refused"):
            self.faults.append(f"{verdict}: {what}")

    @property
    def trials(self) -> int:
        """All of them."""
        return sum(self.counts.values())


def run_stages(
    target: Target,
    work: Path,
    data: Path,
    kill_when: Callable[[float], bool] | None = None,
    **surroundings: Any,
) -> Finished:
    """Run stages 1 to 4 until one fails or `kill_when` (given the seconds since the start) says to kill.

    Parameters
    ----------
    surroundings : further arguments of `subprocess.Popen`: env, cwd, umask, stdin.
    """
    begin, text = time.monotonic(), ""
    for command in target.flags(work, data):
        process: Any = subprocess.Popen(  # noqa: S603
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            **{"stdin": subprocess.DEVNULL} | surroundings,
        )  # fmt: skip
        while True:
            try:
                written, _ = process.communicate(timeout=0.02 if kill_when else TIMEOUT)
                break
            except subprocess.TimeoutExpired:
                seconds = time.monotonic() - begin
                if kill_when is not None and seconds < TIMEOUT and not kill_when(seconds):
                    continue
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                return Finished(None, text, seconds, hung=seconds >= TIMEOUT)
        text += written.decode(errors="replace")
        if process.returncode:
            return Finished(process.returncode, text, time.monotonic() - begin)
    return Finished(0, text, time.monotonic() - begin)


def results(work: Path) -> dict[str, str]:
    """Path below `work` -> hash of every output that a record names, and of the records' decisions."""
    found: dict[str, str] = {}
    for path in sorted(work.glob("**/*run.json")):
        record = read_record(path)
        found |= {output.path: output.sha256 for output in record.outputs}
        found[str(path.relative_to(work))] = str(record.decision)
    return found


def verdict_of(finished: Finished, work: Path, reference: Mapping[str, str]) -> Verdict:
    """Whether a run that was let through to its end did what it should."""
    if finished.hung:
        return "hang"
    if "Traceback (most recent call last)" in finished.text:
        return "traceback"
    if finished.code == 2:
        errors = re.findall(r"^error: .+$", finished.text, re.MULTILINE)
        return "refused" if len(errors) == 1 else "traceback"
    if finished.code != 0:
        return "traceback"
    return "identical" if results(work) == reference else "wrong"


@dataclass(frozen=True)
class Reference:
    """A finished run that others are compared with."""

    target: Target
    data: Path
    work: Path
    results: dict[str, str]
    seconds: float


def make_reference(target: Target, folder: Path) -> Reference:
    """Make sample data and run the four stages without disturbance."""
    data, work = folder / "data" / target.slug, folder / "reference" / target.slug
    module = f"competitions.{target.slug}.sample.sample_data"
    command = [sys.executable, "-m", module, "--out", str(data), "--scale", str(target.scale)]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)  # noqa: S603
    finished = run_stages(target, work, data)
    if finished.code != 0:
        raise RuntimeError(f"{target.slug}: the undisturbed run failed: {finished.text[-2000:]}")
    return Reference(target, data, work, results(work), finished.seconds)


@contextmanager
def empty_work(folder: Path, copied: Path | None = None) -> Iterator[Path]:
    """A work folder that goes afterwards, empty or a copy."""
    work = folder / "trial"
    shutil.rmtree(work, ignore_errors=True)
    if copied is not None:
        shutil.copytree(copied, work, symlinks=True)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


# ---- kills


def random_kill(reference: Reference, folder: Path, generator: random.Random) -> tuple[Verdict, str]:
    """Kill the run at a random moment, sometimes twice, and run it to its end."""
    moments = [generator.uniform(0, reference.seconds) for _ in range(generator.choice((1, 1, 2)))]
    with empty_work(folder) as work:
        for moment in moments:
            run_stages(reference.target, work, reference.data, moment.__lt__)
        finished = run_stages(reference.target, work, reference.data)
        verdict = verdict_of(finished, work, reference.results)
    at = " and ".join(f"{moment:.1f}" for moment in moments)
    return verdict, f"{reference.target.slug} killed after {at} s: {_last_line(finished)}"


AIMS = (
    "**/*.partial*",
    "**/*.resume/*.ckpt",
    "**/*.resume/*",
    "processed/**/*.npy",
    "processed/**/run.json",
    "*/fold0/*",
    "*/fold0/run.json",
    "*/oof.run.json",
    "*/test*",
    "*/submission*",
)
"""Files of a work folder; the run is killed in the moment in which one appears."""


def aimed_kill(reference: Reference, folder: Path, aim: str) -> tuple[Verdict, str]:
    """Kill the run as soon as a file of that pattern is there, and run it to its end."""
    with empty_work(folder) as work:
        work.mkdir(parents=True)
        run_stages(reference.target, work, reference.data, lambda _: any(work.glob(aim)))
        finished = run_stages(reference.target, work, reference.data)
        return (
            verdict_of(finished, work, reference.results),
            f"{reference.target.slug} killed at {aim}: {_last_line(finished)}",
        )


# ---- two at once


def race(reference: Reference, folder: Path, generator: random.Random) -> tuple[Verdict, str]:
    """Start the run twice, the second a little later; then run it to its end."""
    with empty_work(folder) as work:
        described = json.dumps(asdict(reference.target))
        command = [sys.executable, "-m", "benchmarks.reliability.one_run", described]
        command += [str(work), str(reference.data)]
        running = []
        for _ in range(2):
            running.append(
                subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT)  # noqa: S603
            )
            time.sleep(generator.uniform(0, reference.seconds / 4))
        texts = [process.communicate(timeout=TIMEOUT)[0].decode(errors="replace") for process in running]
        for process, text in zip(running, texts, strict=True):
            ended = Finished(process.returncode, text, 0)
            if process.returncode == 2 and verdict_of(ended, work, {}) == "refused":
                continue
            if process.returncode or "Traceback" in text:
                return "traceback", f"{reference.target.slug}, one of two at once: {_last_line(ended)}"
        finished = run_stages(reference.target, work, reference.data)
        verdict = verdict_of(finished, work, reference.results)
    return verdict, f"{reference.target.slug} after two at once: {_last_line(finished)}"


# ---- damaged files


def _flipped(content: bytes, generator: random.Random) -> bytes:
    at = generator.randrange(len(content))
    return content[:at] + bytes([content[at] ^ (1 << generator.randrange(8))]) + content[at + 1 :]


def _cut(content: bytes, generator: random.Random) -> bytes:
    return content[: generator.randrange(len(content))]


def _emptied(_content: bytes, _generator: random.Random) -> bytes:
    return b""


def _half_zeros(content: bytes, _generator: random.Random) -> bytes:
    return content[: len(content) // 2].ljust(len(content), b"\0")


def _longer(content: bytes, _generator: random.Random) -> bytes:
    return content + b"\n"


def _deleted(_content: bytes, _generator: random.Random) -> None:
    return None


DAMAGES: dict[str, Callable[[bytes, random.Random], bytes | None]] = {
    "one bit flipped": _flipped,
    "cut short": _cut,
    "emptied": _emptied,
    "zeros at its end": _half_zeros,
    "a byte added": _longer,
    "deleted": _deleted,
}


def damage(reference: Reference, folder: Path, kind: str, generator: random.Random) -> tuple[Verdict, str]:
    """Damage one file of a finished run, an output or a record; the next run redoes it or refuses it."""
    with empty_work(folder, reference.work) as work:
        outputs = [work / path for path in reference.results]
        path = generator.choice([path for path in outputs if path.is_file() and path.stat().st_size])
        content = DAMAGES[kind](path.read_bytes(), generator)
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        finished = run_stages(reference.target, work, reference.data)
        what = f"{reference.target.slug}, {path.relative_to(work)} {kind}: {_last_line(finished)}"
        return verdict_of(finished, work, reference.results), what


# ---- surroundings


def _environment(**changes: str | None) -> dict[str, str]:
    changed = os.environ | {key: value for key, value in changes.items() if value is not None}
    return {key: value for key, value in changed.items() if changes.get(key, "") is not None}


@dataclass(frozen=True)
class Surrounding:
    """Something about the machine that must not change a result."""

    name: str
    environment: dict[str, str | None] = field(default_factory=dict)
    """Variables to set; None removes one."""
    folder_name: str = "work"
    """Name of the work folder."""
    umask: int = -1
    limit: tuple[str, int] | None = None
    """A resource limit, by its name in the module `resource`."""
    linked: bool = False
    """The work folder is a link to one elsewhere."""
    relative: bool = False
    """The command is given relative paths, from another current folder."""


SURROUNDINGS = (
    Surrounding("no HOME", {"HOME": None}),
    Surrounding("HOME that does not exist", {"HOME": "/nonexistent"}),
    Surrounding("HOME that is a file", {"HOME": "/etc/hostname"}),
    Surrounding("TMPDIR that does not exist", {"TMPDIR": "/nonexistent"}),
    Surrounding("TMPDIR in shared memory", {"TMPDIR": "/dev/shm"}),  # noqa: S108
    Surrounding("ASCII terminal", {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}),
    Surrounding("C locale, no UTF-8", {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
    Surrounding("POSIX locale", {"LC_ALL": "POSIX", "LANG": "POSIX"}),
    Surrounding("Turkish locale", {"LC_ALL": "tr_TR.UTF-8"}),
    Surrounding("decimal commas", {"LC_NUMERIC": "de_DE.UTF-8", "LANG": "de_DE.UTF-8"}),
    Surrounding("another time zone", {"TZ": "Pacific/Chatham"}),
    Surrounding("unknown time zone", {"TZ": "Nowhere/Land"}),
    Surrounding("narrow terminal", {"COLUMNS": "20", "LINES": "5"}),
    Surrounding("no PATH", {"PATH": "/nonexistent"}),
    Surrounding("GPU hidden", {"CUDA_VISIBLE_DEVICES": ""}),
    Surrounding("another hash seed", {"PYTHONHASHSEED": "12345"}),
    Surrounding("optimised Python", {"PYTHONOPTIMIZE": "1"}),
    Surrounding("no bytecode", {"PYTHONDONTWRITEBYTECODE": "1"}),
    Surrounding("warnings as errors of the interpreter shown", {"PYTHONWARNINGS": "default"}),
    Surrounding("unbuffered output", {"PYTHONUNBUFFERED": "1"}),
    Surrounding("proxy that does not answer", {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}),
    Surrounding("foreign matplotlib backend", {"MPLBACKEND": "TkAgg", "DISPLAY": ":99"}),
    Surrounding("spaces and quotes in the path", folder_name="my 'best' \"work\" $HOME"),
    Surrounding("other scripts in the path", folder_name="作業 работа ελληνικά"),
    Surrounding("a path that is no UTF-8", folder_name=os.fsdecode(b"caf\xe9")),
    Surrounding("a deep path", folder_name="/".join(["deep"] * 24)),
    Surrounding("private files", umask=0o077),
    Surrounding("few open files", limit=("RLIMIT_NOFILE", 128)),
    Surrounding("work folder behind a link", linked=True),
    Surrounding("relative paths", relative=True),
)  # fmt: skip


def surrounded(reference: Reference, folder: Path, place: Surrounding) -> tuple[Verdict, str]:
    """Run the four stages in odd surroundings."""
    shutil.rmtree(folder / "trial", ignore_errors=True)
    work = folder / "trial" / place.folder_name
    work.parent.mkdir(parents=True)
    if place.linked:
        (folder / "trial" / "elsewhere").mkdir()
        work.symlink_to(folder / "trial" / "elsewhere")
    options: dict[str, Any] = {"env": _environment(**place.environment), "umask": place.umask}
    if place.limit is not None:
        options["preexec_fn"] = _limited(*place.limit)
    given_work, given_data = work, reference.data
    if place.relative:
        options["cwd"] = folder
        given_work, given_data = work.relative_to(folder), reference.data.relative_to(folder)
    finished = run_stages(reference.target, given_work, given_data, **options)
    verdict = verdict_of(finished, work, reference.results)
    shutil.rmtree(folder / "trial", ignore_errors=True)
    return verdict, f"{reference.target.slug}, {place.name}: {_last_line(finished)}"


def _limited(name: str, value: int) -> Callable[[], None]:
    import resource

    def limit() -> None:
        resource.setrlimit(getattr(resource, name), (value, value))

    return limit


def _last_line(finished: Finished) -> str:
    lines = finished.text.strip().splitlines()
    return f"exit {finished.code}, {lines[-1][:200] if lines else 'no output'}"
