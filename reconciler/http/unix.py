"""HTTP over a Unix socket for requests.

The package that offers this keeps a connection pool per URL, path and query included, and knows no time limit of a single
call; both matter to a client that polls. These are the same two urllib3 classes and one adapter, with neither fault.
"""

from __future__ import annotations

import socket
from typing import Any

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool


class _UnixConnection(HTTPConnection):
    path: str

    def connect(self) -> None:
        """Connect to the socket's path; the host is only what the Host header says."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(self.timeout if isinstance(self.timeout, int | float) else None)
            sock.connect(self.path)
        except OSError:
            sock.close()
            raise
        self.sock = sock


class _UnixPool(HTTPConnectionPool):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", maxsize=4)
        self._connection = type("UnixConnection", (_UnixConnection,), {"path": path})

    def _new_conn(self) -> Any:
        return self._connection(self.host, timeout=self.timeout.connect_timeout)


class UnixAdapter(HTTPAdapter):
    """Sends every request to one socket, whatever its URL says."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._pool = _UnixPool(path)

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> HTTPConnectionPool:
        """The socket's pool; part of requests' adapter interface since 2.32."""
        return self._pool

    def request_url(self, request: PreparedRequest, _proxies: Any) -> str:
        """The path and query; never an absolute URL, since there is no proxy."""
        return request.path_url

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.close()
