"""uvicorn in a thread of its own, on one socket that is bound already."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import uvicorn

from reconciler.errors import BugError
from reconciler.web.guard import Application
from reconciler.web.listeners import Listener
from reconciler.web.protocol import PatientProtocol

_DRAIN = 5
_PATIENCE = 20.0
"""Seconds that starting takes at most, and stopping beyond the drain."""


class WebServer:
    """Serves one application on one listener.

    Args:
        app: See `application`.
        listener: See `listen_tcp` and `listen_unix`; the server closes it.
        logger: Told of faults of our own.
        drain: Whole seconds that requests have to end when the server stops; those that wait for a pass end with it.
        protocol: A seam for tests: other time limits.
        tls: Speak TLS with this context; None for plain text.
    """

    def __init__(
        self,
        app: Application,
        listener: Listener,
        *,
        logger: logging.Logger,
        drain: int = _DRAIN,
        protocol: type[PatientProtocol] = PatientProtocol,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._listener = listener
        self._logger = logger
        self._patience = drain + _PATIENCE
        self._running = threading.Event()
        self._server = _Server(_config(app, protocol, drain, tls), on_started=self._running.set)
        self._thread = threading.Thread(target=self._run, name=f"web {listener.address}", daemon=True)

    @property
    def address(self) -> str:
        """`host:port` or `unix:///path`, with the port that was picked."""
        return self._listener.address

    def start(self) -> str:
        """Serve from now on. Returns the address.

        Raises:
            BugError: The server did not come up.
        """
        self._thread.start()
        self._running.wait(_PATIENCE)
        if not self._server.started:
            raise BugError(f"the HTTP server on {self.address} did not start")
        return self.address

    def stop(self) -> None:
        """Take no more connections, let requests end, and end. More than once does no harm.

        Raises:
            BugError: It does not end. Its thread is left alone, and ends with the process.
        """
        self._listener.remove()
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(self._patience)
        if self._thread.is_alive():
            raise BugError(f"the HTTP server on {self.address} did not stop within {self._patience:g} s")
        self._listener.socket.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception:
            self._logger.exception("error[bug]: the HTTP server on %s ended", self.address)
        finally:
            self._running.set()

    async def _serve(self) -> None:
        asyncio.get_running_loop().set_exception_handler(self._complain)
        await self._server.serve(sockets=[self._listener.socket])
        for connection in list(self._server.server_state.connections):  # who had all the time there was
            connection.transport.abort()
        await asyncio.sleep(0)

    def _complain(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._logger.error("error[bug]: the HTTP server: %s", context.get("message"), exc_info=context.get("exception"))


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config, *, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets=sockets)
        self._on_started()


def _config(
    app: Application, protocol: type[PatientProtocol], drain: int, tls: ssl.SSLContext | None
) -> uvicorn.Config:
    made = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="critical",  # what clients do wrong is told to them; the log is for what we do
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=drain,
    )
    made.load()
    made.ssl = tls  # uvicorn would read files once; this context reads them again when they are replaced
    return made
