"""Which names a server is asked for by, as its settings and its address have it."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path
from socket import gethostname

import pytest

from reconciler.cli.serving.entrance import entrance
from reconciler.clock import SystemClock
from reconciler.settings import HttpSettings
from reconciler.web import listen_tcp

HERE = gethostname().lower()


@pytest.mark.parametrize(
    ("address", "tokens", "anonymous", "names", "expected"),
    [
        ("127.0.0.1:0", False, False, (), ()),
        ("127.0.0.1:0", True, False, ("m.test",), ("m.test",)),
        ("0.0.0.0:0", True, False, (), None),
        ("0.0.0.0:0", True, False, ("m.test",), ("m.test",)),
        ("0.0.0.0:0", False, False, (), (HERE,)),
        ("0.0.0.0:0", False, False, ("m.test",), ("m.test", HERE)),
        ("0.0.0.0:0", True, True, (), (HERE,)),
    ],
)
def test_what_anybody_may_read_has_only_names_that_are_ours(
    tmp_path: Path,
    address: str,
    tokens: bool,  # noqa: FBT001 -- a table
    anonymous: bool,  # noqa: FBT001
    names: tuple[str, ...],
    expected: Collection[str] | None,
) -> None:
    """A page whose name is made to point here reads what anybody may; only who has a token knows that nobody else has it."""
    file = tmp_path / "tokens"
    file.touch(mode=0o600)
    settings = HttpSettings(tokens=str(file) if tokens else "", anonymous=anonymous, names=names)
    listener = listen_tcp(address)
    try:
        gate = entrance(settings, clock=SystemClock(), logger=logging.getLogger("test.entrance"))
        found = gate.names_at(listener)
    finally:
        listener.socket.close()
    assert (None if found is None else set(found)) == (None if expected is None else set(expected))
