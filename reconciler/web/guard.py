"""What stands before the application: bodies are read whole, small and soon, or not at all; nothing gets out but our own errors.

Pure ASGI. A handler behind it never waits for a client's body, and can ask whether the client is still there.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any

from reconciler.errors import ReconcilerError
from reconciler.web.access.limits import stranger
from reconciler.web.errors import BodySizeError, BusyError, RequestError, SlowRequestError, document, fault, status_of

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_VERSIONS = frozenset({"1.0", "1.1"})
_NONE: Mapping[str, int] = MappingProxyType({})
_OTHER = "other"
_MOST_LARGE = 4
"""Bodies beyond the usual limit that are read at the same time, so that strangers can't fill the memory with them."""
_MOST_LARGE_OF_ONE = 2
"""Of one peer, so that it can't keep all others from sending any."""
_HEADERS = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]


class _ClientGoneError(Exception):
    """The connection ended before the request did."""


class Guard:
    """Wraps an application.

    Args:
        application: What answers.
        max_body: Bytes of a request's body after which it is refused.
        patience: Seconds that a body may take to arrive.
        logger: Told of faults of our own.
        wide: Paths whose requests may have a larger body, and how many bytes; one that ends in a slash is for all below it.
        counted: Told of every answer: the path as it is declared, or `other`, the method and the status.
    """

    def __init__(
        self,
        application: Application,
        *,
        max_body: int,
        patience: float,
        logger: logging.Logger,
        wide: Mapping[str, int] = _NONE,
        counted: Callable[[str, str, int], None] = lambda _route, _method, _code: None,
    ) -> None:
        self._application = application
        self._max_body = max_body
        self._wide = wide
        self._counted = counted
        self._large: Counter[str] = Counter()  # by peer, while they are read
        self._patience = patience
        self._logger = logger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = complete = False

        async def watched(message: Message) -> None:
            nonlocal started, complete
            if message["type"] == "http.response.start":
                started = True
                self._count(scope, message["status"])
                names = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in _HEADERS if pair[0] not in names)]
            await send(message)
            complete = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            body = await self._body(scope, receive)
            await self._application(scope, _replay(body, receive), watched)
        except _ClientGoneError:
            return
        except ReconcilerError as error:
            self._count(scope, status_of(error))
            await _refuse(send, error)
        except Exception as error:
            what = (scope["method"], scope["path"], type(error).__name__, str(error))
            self._logger.error("error[bug]: %r %r ended by %s: %r", *what)  # noqa: TRY400 -- where, for those who debug
            self._logger.debug("the fault was here", exc_info=error)
            if started and not complete:
                raise  # half an answer is out: the server closes the connection
            if not started:
                self._count(scope, status_of(fault(error)))
                await _refuse(send, fault(error))

    def _count(self, scope: Scope, status: int) -> None:
        """By the path that is declared: there are as many as there are routes, whatever clients ask for."""
        self._counted(getattr(scope.get("route"), "path", _OTHER), scope["method"], status)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        if scope["http_version"] not in _VERSIONS:  # h11 takes any number
            raise RequestError("this is not a request in HTTP/1.1")
        most = max(self._max_body, self._wide_at(scope["path"]))
        if any(name == b"content-length" and _longer(value, most) for name, value in scope["headers"]):
            raise _too_large(most)
        try:
            async with asyncio.timeout(self._patience):
                client = scope.get("client")
                return await self._read(receive, most, stranger(client[0] if client else ""))
        except TimeoutError:
            raise SlowRequestError(f"the request's body did not arrive within {self._patience:g} s") from None

    def _wide_at(self, path: str) -> int:
        return max(
            (most for name, most in self._wide.items() if path == name or (name[-1:] == "/" and path.startswith(name))),
            default=0,
        )

    async def _read(self, receive: Receive, most: int, peer: str) -> bytes:
        parts: list[bytes] = []
        size = 0
        large = False
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _ClientGoneError
                part = message.get("body", b"")
                size += len(part)
                if size > most:
                    raise _too_large(most)
                if size > self._max_body and not large:
                    if self._large.total() >= _MOST_LARGE or (peer and self._large[peer] >= _MOST_LARGE_OF_ONE):
                        raise BusyError("several large requests are being read already", hint="send it again")
                    large = True
                    self._large[peer] += 1
                parts.append(part)
                if not message.get("more_body", False):
                    return b"".join(parts)
        finally:
            if large:
                self._large[peer] -= 1
                self._large += Counter()  # forgets who has none


def _too_large(most: int) -> BodySizeError:
    return BodySizeError(f"the request's body is larger than {most} bytes", hint="no request needs as much")


def _longer(length: bytes, most: int) -> bool:
    """h11 lets through only digits; a number of a thousand of them need not be computed."""
    digits = length.lstrip(b"0")
    return len(digits) > len(str(most)) or int(digits or b"0") > most


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body that was read, then whatever comes: that the client went away."""
    waiting = [body]

    async def replayed() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replayed


async def _refuse(send: Send, error: ReconcilerError) -> None:
    """Answer with an error, and close: what else comes on this connection can't be trusted to be a request."""
    body = document(error.diagnostics)
    headers = [*_HEADERS, (b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status_of(error), "headers": headers})
    await send({"type": "http.response.body", "body": body})
