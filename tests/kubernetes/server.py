"""A Kubernetes API server for tests: what tests do to it. How it answers is in `handler`.

What a real one does, written from the API's public description
(https://kubernetes.io/docs/reference/using-api/api-concepts/): nothing here knows its client. Tests bring it into trouble with
`fault` and the attributes of `ApiServer`.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from typing import Any

from tests.kubernetes.handler import Handler, Request
from tests.kubernetes.store import Object, Store


@dataclass(slots=True)
class Fault:
    """What happens to requests instead of an answer, or in the midst of one.

    Attributes:
        path: Part of the paths that are concerned.
        watch: Whether watches or lists are.
        status: Answer with this, and a Status; 0 for none.
        retry_after: Seconds, in a header.
        body: Answer 200 with these bytes; of a watch, as one chunk.
        event: A watch sends this event and ends.
        cut: A watch that has something to send sends so many bytes of the chunk and drops the connection; a list of the body.
        times: How often; then it is over.
    """

    path: str
    watch: bool
    status: int = 0
    retry_after: int | None = None
    body: bytes | None = None
    event: Object | None = None
    cut: int | None = None
    times: int = 1


class ApiServer:
    """An API server in front of a store.

    Args:
        store: Its objects.
        tls: For HTTPS.
        port: 0 for any.

    Attributes:
        tokens: Bearer tokens that are let in; None lets everybody in.
        forbidden: Plurals of resources that are 403.
        delay: Seconds before each answer begins.
        bookmarks: Seconds between bookmarks of a watch.
        silent: Accept, and never answer, nor send on.
        requests: All that were asked, in order.
    """

    def __init__(self, store: Store, *, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.store = store
        self.tokens: set[str] | None = None
        self.forbidden: set[str] = set()
        self.delay = 0.0
        self.bookmarks = 60.0
        self.silent = False
        self.requests: list[Request] = []
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self.tls = tls
        self._open: set[socket.socket] = set()
        self._stopped = threading.Event()
        self._start(port)

    def _start(self, port: int) -> None:
        handler = type("OwnHandler", (Handler,), {"api": self})
        self._http = _Http(("127.0.0.1", port), handler)
        self._http.tls = self.tls
        self.port = self._http.server_address[1]
        self._stopped.clear()
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    def stop(self) -> None:
        """Nobody listens any more, and all connections are dropped."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        self._http.shutdown()
        self._thread.join()
        self.drop()
        self._http.server_close()

    def restart(self) -> None:
        """Again, on the same port, with the same objects."""
        self.stop()
        self._start(self.port)

    def drop(self) -> None:
        """Cut all connections that there are."""
        with self.store.changed:
            self.store.changed.notify_all()
        with self._lock:
            for each in self._open:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(each, socket.SHUT_RDWR)

    def fault(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def forget_faults(self) -> None:
        with self._lock:
            self._faults.clear()

    def taken(self, request: Request) -> Fault | None:
        """The fault that concerns a request; counted as used."""
        with self._lock:
            for each in self._faults:
                if each.times > 0 and each.path in request.path and each.watch == request.watch:
                    each.times -= 1
                    return each
        return None

    def watches(self, plural: str) -> int:
        """How many watches of a resource have been begun."""
        return sum(request.watch and request.path.endswith(plural) for request in list(self.requests))

    def lists(self, plural: str) -> int:
        """How many pages of a resource have been asked for."""
        return sum(not request.watch and request.path.endswith(plural) for request in list(self.requests))

    def connection(self, sock: socket.socket, *, is_open: bool) -> None:
        with self._lock:
            (self._open.add if is_open else self._open.discard)(sock)


class _Http(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 64
    tls: ssl.SSLContext | None = None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""
