"""Connections that keep to the time limit of a whole call, over TCP and over Unix sockets.

The time limit of `requests` starts anew with every byte that arrives, so a server that sends one byte a second holds its
caller for ever. Here every read of a socket knows when the call has to be over, over TLS too. And every socket is known from
before it connects, so that another thread can end whatever a call waits for.

The package that offers Unix sockets for requests also keeps a connection pool per URL, path and query included; here there
is one per address.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Any
from weakref import WeakSet

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

_LONGEST_PATH = 107
"""Bytes of a Unix socket's path: Linux' `sun_path` has 108 with the closing NUL."""


class Deadline:
    """When the call that is under way has to be over. One client has one, shared with its sockets.

    Attributes:
        opened: How many sockets have been connected under it.
        aborted: Whether nothing may be read any more.
    """

    def __init__(self) -> None:
        self.opened = 0
        self.aborted = False
        self._silence = 0.0
        self._end = 0.0
        self._lock = threading.Lock()
        self._sockets: WeakSet[socket.socket] = WeakSet()

    def start(self, *, silence: float, total: float) -> None:
        """A call begins.

        Args:
            silence: Seconds without a byte.
            total: Seconds for the whole call.
        """
        self._silence = silence
        self._end = time.monotonic() + total

    def endless(self, silence: float) -> None:
        """The answer that has begun may go on for ever, and be silent for so many seconds."""
        self._silence = silence
        self._end = inf

    @property
    def over(self) -> bool:
        """Whether the call took all of its time."""
        return time.monotonic() >= self._end

    def left(self) -> float:
        """Seconds that the next read may take.

        Raises:
            TimeoutError: None are left.
            ConnectionAbortedError: Nothing may be read any more.
        """
        if self.aborted:
            raise ConnectionAbortedError
        rest = self._end - time.monotonic()
        if rest <= 0:
            raise TimeoutError("the answer did not end in time")
        return min(rest, self._silence)

    def known(self, sock: socket.socket) -> None:
        """A socket that is about to wait for the other side.

        Raises:
            ConnectionAbortedError: It must not.
        """
        with self._lock:
            if self.aborted:
                raise ConnectionAbortedError
            self._sockets.add(sock)

    def abort(self) -> None:
        """From any thread: whatever waits for the other side ends now, and nothing waits for it again."""
        with self._lock:
            self.aborted = True
            for sock in self._sockets:
                with suppress(OSError):  # it is not connected, or not any more
                    socket.socket.shutdown(
                        sock, socket.SHUT_RDWR
                    )  # a TLS socket's own forgets what a reader still uses


class _Socket(socket.socket):
    deadline: Deadline

    def connect(self, address: Any) -> None:
        """Connect as always, unless nobody wants that any more."""
        self.deadline.known(self)
        super().connect(address)
        self.deadline.opened += 1

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Read as always, but not past the deadline."""
        self.settimeout(self.deadline.left())
        return super().recv_into(buffer, nbytes, flags)


def _connected(connection: HTTPConnection, deadline: Deadline) -> socket.socket:
    """What urllib3 does by itself, except that the socket is known to the deadline before it waits.

    Raises:
        NameResolutionError, ConnectTimeoutError, NewConnectionError: As urllib3's own.
    """
    try:
        return _any_of(connection, deadline)
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from error
    except TimeoutError as error:
        raise ConnectTimeoutError(connection, str(error)) from error
    except OSError as error:
        raise NewConnectionError(connection, str(error)) from error


def _any_of(connection: HTTPConnection, deadline: Deadline) -> socket.socket:
    last = OSError("the name has no address")
    host = connection.host.strip("[]")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, connection.port, type=socket.SOCK_STREAM):
        sock = _Socket(family, kind, protocol)
        sock.deadline = deadline
        try:
            for option in connection.socket_options or ():
                sock.setsockopt(*option)
            sock.settimeout(connection.timeout if isinstance(connection.timeout, int | float) else None)
            sock.connect(address)
        except OSError as error:
            sock.close()
            last = error
        else:
            return sock
    raise last


class _TcpConnection(HTTPConnection):
    deadline: Deadline

    def _new_conn(self) -> socket.socket:
        return _connected(self, self.deadline)


class _TlsSocket(ssl.SSLSocket):
    deadline: Deadline

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 -- as in ssl
        """Shake hands as always; from now on this is the socket, no longer the plain one that it was made of."""
        self.deadline.known(self)
        super().do_handshake(block)

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        """Read as always, but not past the deadline."""
        self.settimeout(self.deadline.left())
        return super().recv_into(buffer, nbytes, flags)


class _TlsConnection(HTTPSConnection):
    deadline: Deadline
    context: Callable[[], ssl.SSLContext]
    socket_class: type[_TlsSocket]

    def connect(self) -> None:
        """Connect with the certificates as they are now."""
        self.ssl_context = type(self).context()
        self.ssl_context.sslsocket_class = self.socket_class
        self.cert_reqs = self.ssl_context.verify_mode  # otherwise urllib3 sets its own
        super().connect()
        self.is_verified = True  # who checks no certificate has said so; urllib3 would warn at each connection

    def _new_conn(self) -> socket.socket:
        return _connected(self, self.deadline)


class _UnixConnection(HTTPConnection):
    deadline: Deadline
    path: str

    def connect(self) -> None:
        """Connect to the socket's path; the host is only what the Host header says."""
        if len(os.fsencode(self.path)) > _LONGEST_PATH:
            # The system's own error has no number and does not say the limit.
            raise OSError(errno.ENAMETOOLONG, f"the path of a Unix socket has at most {_LONGEST_PATH} bytes")
        sock = _Socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.deadline = self.deadline
        try:
            sock.settimeout(self.timeout if isinstance(self.timeout, int | float) else None)
            sock.connect(self.path)
        except OSError:
            sock.close()
            raise
        self.sock = sock


class TcpAdapter(HTTPAdapter):
    """What requests does by default, with our sockets.

    Args:
        deadline: When the call is over.
        context: Makes the TLS settings of a new connection, for `https://`.
    """

    def __init__(self, deadline: Deadline, context: Callable[[], ssl.SSLContext]) -> None:
        super().__init__()
        plain = type("TcpConnection", (_TcpConnection,), {"deadline": deadline})
        secured = type("TlsSocket", (_TlsSocket,), {"deadline": deadline})
        tls = type(
            "TlsConnection",
            (_TlsConnection,),
            {"deadline": deadline, "context": staticmethod(context), "socket_class": secured},
        )
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("TcpPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("TlsPool", (HTTPSConnectionPool,), {"ConnectionCls": tls}),
        }

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: requests would add the authorities that it brings along to the ones that are trusted."""


class UnixAdapter(HTTPAdapter):
    """Sends every request to one socket, whatever its URL says."""

    def __init__(self, path: str, deadline: Deadline) -> None:
        super().__init__()
        connection = type("UnixConnection", (_UnixConnection,), {"path": path, "deadline": deadline})
        pool = type("UnixPool", (HTTPConnectionPool,), {"ConnectionCls": connection})
        self._pool: HTTPConnectionPool = pool("localhost", maxsize=1)

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> HTTPConnectionPool:
        """The socket's pool; part of requests' adapter interface since 2.32."""
        return self._pool

    def request_url(self, request: PreparedRequest, _proxies: Any) -> str:
        """The path and query; never an absolute URL, since there is no proxy."""
        return request.path_url

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.close()
