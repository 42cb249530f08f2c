"""Sockets of questions that are under way, so that whoever waits on one can be told to stop, wherever that is."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from typing import Any


class Calls:
    """All questions of one `watch`. Once closed, every question fails at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._closed = False

    def close(self) -> None:
        """End all questions, those that are under way and those to come. Safe from any thread."""
        with self._lock:
            self._closed = True
            for each in self._sockets:
                _shut(each)

    @property
    def closed(self) -> bool:
        """Whether questions are to end."""
        return self._closed

    def opened(self, sock: socket.socket) -> None:
        """This socket is in use from now on; for how long, it says itself."""
        with self._lock:
            self._sockets = {each for each in self._sockets if each.fileno() >= 0} | {sock}
            if self._closed:
                _shut(sock)


def tracked(connection: Any, calls: Calls) -> Any:
    """A class of connections like this one of urllib3, whose sockets are known to `calls`."""

    class Tracked(connection):  # type: ignore[misc]  # it comes as a value, with or without TLS
        beside: socket.socket | None = None

        def _new_conn(self) -> socket.socket:
            sock: socket.socket = super()._new_conn()
            # A handshake has a socket object of its own, which nobody sees before it is done; this is the same connection.
            self.beside = socket.socket(fileno=os.dup(sock.fileno()))
            calls.opened(self.beside)
            if calls.closed:  # a socket that is shut already must not be wrapped: CPython would leak it
                sock.close()
                raise ConnectionAbortedError
            return sock

        def connect(self) -> None:
            try:
                super().connect()
                calls.opened(self.sock)
            finally:
                if self.beside is not None:
                    self.beside.close()
                    self.beside = None

    return Tracked


def _shut(sock: socket.socket) -> None:
    """Reading ends, in whatever thread; TLS is not asked, as it would write a farewell and forget its state under the reader.

    The way out stays open, or a handshake that begins just then would find a socket that is not connected, which CPython leaks.
    """
    with suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RD)
