"""How commands end, and what they print of other people's names."""

import errno
import subprocess
import sys
from collections.abc import Callable

import pytest

from common.base.console import log, printable
from common.base.errors import InputError
from common.base.paths import ROOT
from common.run.command import run_command


def raising(fault: BaseException) -> Callable[[], object]:
    def work() -> object:
        raise fault

    return work


@pytest.mark.parametrize(
    ("work", "code", "line"),
    [
        (lambda: None, 0, ""),
        (lambda: 1, 1, ""),
        (raising(InputError("a.csv: cut short")), 2, "error: a.csv: cut short\n"),
        (raising(KeyboardInterrupt()), 130, "stopped; the same command goes on from here\n"),
        (raising(OSError(errno.ENOSPC, "full", "a.csv")), 2, "error: a.csv: no space is left"),
    ],
)
def test_a_command_ends_in_one_line(
    work: Callable[[], object], code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(work) == code
    printed = capsys.readouterr().err
    assert printed.startswith(line)
    assert printed.count("\n") == (1 if line else 0)


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_command(lambda: 1 / 0)


@pytest.mark.parametrize(
    "text", ["\x1b[2Jgone", "a\rb", "bell\a", "right\u202eleft", "two\nlines", "name\udcff.jpg"]
)
def test_names_cannot_steer_the_terminal(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    log(text)
    log(f"error: {text}", error=True)
    printed = capsys.readouterr()
    for line in (printed.out, printed.err):
        assert line.rstrip("\n").isprintable()
        assert line.count("\n") == 1
    assert "\\" in printed.out


def test_ordinary_names_are_printed_as_they_are() -> None:
    assert printable("Zürich 東京 naïve – 20 °C") == "Zürich 東京 naïve – 20 °C"


def test_a_terminal_without_unicode_gets_escapes() -> None:
    code = "from common.base.console import log; log('東京.jpg')"
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", code],
        capture_output=True,
        cwd=ROOT,
        env={"PYTHONIOENCODING": "ascii", "PATH": "", "PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert done.stdout == rb"\u6771\u4eac.jpg" + b"\n"


def test_a_reader_that_goes_away_ends_the_command_quietly() -> None:
    code = (
        "import sys\nfrom common.base.console import log\nfrom common.run.command import run_command\n"
        "def work():\n    for number in range(100000): log(f'line {number}')\n"
        "sys.exit(run_command(work))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"line 0\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=20) == 0
