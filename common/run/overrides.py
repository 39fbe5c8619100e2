"""--set key=value: settings changed from the command line."""

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from common.base.errors import InputError
from common.run.entries import IDENTITY

Overrides = Mapping[str, Any]
"""What --set changed: dotted key -> value."""
NOT_SETTABLE = IDENTITY | {"name", "not_in_paper", "needs_gpu", "overrides", "processed_suffix"}


def run_name(name: str, overrides: Overrides | None) -> str:
    """Name of a run and of its folder: the experiment's, and a hash of what --set changed."""
    return f"{name}+{settings_hash(dict(overrides))}" if overrides else name


def parse_overrides(texts: Sequence[str]) -> dict[str, Any]:
    """`key=value` of each --set -> dotted key and typed value.

    The value is TOML (3, 0.5, true, [1, 2], "text"); what is no TOML is text. InputError names what is wrong.
    """
    found: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)*", key):
            raise InputError(f"--set {text[:80]!r}: expected key=value, for instance training.epochs=3")
        if key in NOT_SETTABLE:
            raise InputError(f"--set {key}: says what a run is, and cannot be set")
        if key in found:
            raise InputError(f"--set {key}: given twice")
        found[key] = _toml_value(value.strip())
    for key in found:
        for other in found:
            if other.startswith(f"{key}."):
                raise InputError(f"--set {key} and --set {other}: one contains the other")
    return dict(sorted(found.items()))


def _toml_value(text: str) -> Any:
    try:
        tables = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return tables["value"] if set(tables) == {"value"} else text


def settings_hash(content: object) -> str:
    """Eight hexadecimal digits that tell settings apart."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
