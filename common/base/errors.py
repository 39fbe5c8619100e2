"""Faults of the input or of the machine that end in one clear line and exit code 2."""

import errno
import json


class InputError(Exception):
    """Something that the user gave is wrong, or something that the machine refused.

    The message is one line: which file or flag, what was wrong, what was expected, what to do.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


MACHINE_FAULTS = {
    errno.ENOSPC: "no space is left on the disk; free some and run the same command again, it goes on",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
    errno.EACCES: "permission denied; check its owner, or choose another folder with --work or --data",
    errno.EPERM: "the operation is not permitted; check who owns the file or folder",
    errno.EROFS: "the file system is read-only; choose another folder with --work",
    errno.ENAMETOOLONG: "the file name is too long for this file system",
    errno.ENOENT: "no such file or folder; check the path, and whether an earlier stage's files were moved",
    errno.ENOTDIR: "a file stands where a folder is needed",
    errno.EISDIR: "a folder stands where a file is needed",
    errno.EMFILE: "too many files are open; raise the limit with `ulimit -n`",
}


def explain_fault(fault: BaseException) -> str | None:
    """The one line that tells a user of `fault`, or None when it is a bug that deserves its traceback."""
    if isinstance(fault, InputError):
        return str(fault)
    if isinstance(fault, json.JSONDecodeError):
        return None
    if isinstance(fault, MemoryError):
        return f"out of memory ({fault or 'allocation failed'}); use --profile sample or a larger machine"
    text = str(fault)
    if isinstance(fault, OSError) and fault.errno in MACHINE_FAULTS:
        return f"{fault.filename or 'while writing'}: {MACHINE_FAULTS[fault.errno]}"
    # Libraries written in C++ and Rust report these in words of their own.
    if isinstance(fault, FileNotFoundError):
        return f"{text.splitlines()[0]}: {MACHINE_FAULTS[errno.ENOENT]}"
    if "No space left on device" in text or "PytorchStreamWriter failed" in text:
        return f"{text.splitlines()[0]}: {MACHINE_FAULTS[errno.ENOSPC]}"
    return None
