"""The watch that run_python keeps over every command sees what it is there for."""

import pytest

from tests.conftest import run_python


@pytest.mark.parametrize(
    "reach",
    [
        "import socket; socket.getaddrinfo('example.invalid', 80)",
        "import socket; s = socket.socket(); s.settimeout(0.1); s.connect(('192.0.2.1', 9))",
    ],
)
def test_reaching_for_the_network_is_seen(reach: str) -> None:
    with pytest.raises(AssertionError, match=r"example\.invalid|192\.0\.2\.1"):
        run_python("-c", f"try:\n    {reach}\nexcept OSError:\n    pass")


def test_this_machine_itself_is_no_network() -> None:
    assert run_python("-c", "import socket; socket.getaddrinfo('127.0.0.1', 80)").code == 0
