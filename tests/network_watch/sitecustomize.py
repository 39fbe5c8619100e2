"""Python loads this first in every command that the tests run: it writes down who reaches for the network."""

import os
import socket
import traceback
from typing import Any

LOOPBACK = ("localhost", "127.", "::1", "0.0.0.0")  # noqa: S104


def _watch(owner: Any, name: str, host_of: Any) -> None:
    original = getattr(owner, name)

    def watched(*arguments: Any, **named: Any) -> Any:
        host = host_of(*arguments)
        if isinstance(host, str) and host and not host.startswith(LOOPBACK):
            with open(os.environ["NETWORK_WATCH"], "a") as log:  # noqa: PTH123
                log.write(f"{host}\n{''.join(traceback.format_stack(limit=12))}\n")
        return original(*arguments, **named)

    setattr(owner, name, watched)


if "NETWORK_WATCH" in os.environ:
    _watch(socket, "getaddrinfo", lambda host, *_: host)
    _watch(
        socket.socket, "connect", lambda _, address, *__: address[0] if isinstance(address, tuple) else None
    )
