from __future__ import annotations

import errno
import socket

import pytest

from reconciler.cli.demo.ports import Ports


def test_a_reserved_port_is_not_given_to_anybody_else() -> None:
    """While it is held, the kernel never hands the port to someone who asks for any."""
    with Ports() as ports:
        held = {ports.reserve() for _ in range(200)}
        with Ports() as others:
            assert held.isdisjoint(others.reserve() for _ in range(200))
        assert len(held) == 200


def test_a_process_of_the_same_user_may_listen_on_a_reserved_port() -> None:
    """An Envoy, which sets SO_REUSEADDR, can bind what was reserved for it."""
    with Ports() as ports, socket.socket() as server:
        port = ports.reserve()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen()
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            server.accept()[0].close()


def test_nothing_answers_on_a_port_that_is_only_reserved() -> None:
    """A reservation looks like a closed port to clients, so a check for readiness can't be fooled by it."""
    with Ports() as ports, socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", ports.reserve())) == errno.ECONNREFUSED


def test_ports_are_given_back_at_the_end() -> None:
    """Afterwards a strict bind, without any reuse option, succeeds."""
    with Ports() as ports:
        port = ports.reserve()
        with socket.socket() as strict, pytest.raises(OSError, match="in use"):
            strict.bind(("127.0.0.1", port))
    with socket.socket() as strict:
        strict.bind(("127.0.0.1", port))
