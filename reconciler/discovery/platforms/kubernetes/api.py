"""Questions to the API server: one JSON document, or the lines of a watch. What it answers is read, and not understood, here.

Every question can be ended from another thread, wherever it is waiting: `Calls.close` shuts down its socket.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

from reconciler.discovery.contract import AdapterError
from reconciler.discovery.platforms.failures import AnswerError, DeniedError
from reconciler.discovery.platforms.kubernetes.access import Access, Session
from reconciler.discovery.platforms.kubernetes.calls import Calls, tracked

METADATA = "as={};g=meta.k8s.io;v=v1"
"""Asks for metadata alone, in JSON: of `PartialObjectMetadataList` for a list, of `PartialObjectMetadata` for a watch."""

_JSON = "application/json"
_LARGEST_ERROR = 65_536
_LARGEST_LINE = 64 << 20
"""Bytes of an event: etcd keeps no object of more than a few megabytes."""
_CHUNK = 1 << 16

_LONGEST_MESSAGE = 300
_UNKNOWN = "it does not take these credentials: look at the user of the kubeconfig's context, or at the token's file"
_RULES = "grant list and watch of services, pods, nodes and endpointslices (discovery.k8s.io) to its account"


class StatusError(AdapterError):
    """The API server answered with an error.

    Attributes:
        status: Of HTTP.
        retry_after: Seconds that it asks to wait for, or None.
    """

    def __init__(self, message: str, *, status: int, hint: str, retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.retry_after = retry_after


class RefusedError(StatusError, DeniedError):
    """The API server does not know who asks (401), or does not let them read (403)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds that are waited for.

    Attributes:
        connect: For a connection.
        answer: For an answer to begin, and for each further byte of it.
        watch: Until a watch ends and is begun again, by the server.
        beyond: Longer than that, for a watch that the server does not end.
        again: Before a broken watch is resumed; doubled for each attempt in a row.
        attempts: How often, until it is an error.
        retry_after: The longest that is waited because the server says so.
        refused: Before something is asked for again that is forbidden, and that we can do without.
    """

    connect: float = 5.0
    answer: float = 30.0
    watch: int = 120
    beyond: float = 15.0
    again: float = 0.2
    attempts: int = 4
    retry_after: float = 30.0
    refused: float = 300.0


class Api:
    """One API server, as one `watch` asks it. Safe for any thread.

    Args:
        access: Who asks.
        calls: What ends the questions.
        patience: How long is waited.
    """

    def __init__(self, access: Access, *, calls: Calls, patience: Patience) -> None:
        self.patience = patience
        self._access = access
        self._calls = calls
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._pool: Any = None

    def close(self) -> None:
        """Close connections that are kept for the next question."""
        with self._lock:
            if self._pool is not None:
                self._pool.close()

    def get(self, path: str, query: Mapping[str, str] | None = None, *, accept: str = "") -> Any:
        """The JSON document at a path.

        Raises:
            AdapterError: There is none.
        """
        with self._asked(path, query or {}, accept=accept, silence=self.patience.answer) as response:
            body = response.read()
        try:
            return json.loads(body)
        except ValueError:
            raise AnswerError(
                f"the answer to {path} is not JSON", hint="is the kubeconfig's server an API server?"
            ) from None

    @contextmanager
    def lines(self, path: str, query: Mapping[str, str], *, accept: str = "") -> Iterator[Iterator[bytes]]:
        """The lines of a stream, as they come, until the server ends it.

        Raises:
            AdapterError: It can't be had, or breaks.
        """
        silence = self.patience.watch + self.patience.beyond
        with self._asked(path, query, accept=accept, silence=silence) as response:
            yield _lines(response, path)

    @contextmanager
    def _asked(self, path: str, query: Mapping[str, str], *, accept: str, silence: float) -> Iterator[Any]:
        session, response = self._answer(path, query, accept=accept, silence=silence)
        try:
            with session.troubles():
                if response.status != HTTPStatus.OK:
                    raise _refusal(path, response, session.url)
                yield response
        finally:
            response.close()  # a connection whose answer was read to its end is back in the pool already

    def _answer(self, path: str, query: Mapping[str, str], *, accept: str, silence: float) -> tuple[Session, Any]:
        session = self._access.session()
        response = self._send(session, path, query, accept=accept, silence=silence)
        if response.status == HTTPStatus.UNAUTHORIZED:  # the token may have been replaced since it was read
            response.close()
            session = self._access.session(instead_of=session)
            response = self._send(session, path, query, accept=accept, silence=silence)
        return session, response

    def _send(self, session: Session, path: str, query: Mapping[str, str], *, accept: str, silence: float) -> Any:
        headers = {**session.headers, "accept": f"{accept},{_JSON}" if accept else _JSON, "user-agent": "reconcile"}
        base = urlsplit(session.url).path
        with session.troubles():
            return self._pool_of(session).urlopen(
                "GET",
                f"{base}{path}?{urlencode(query)}" if query else f"{base}{path}",
                headers=headers,
                retries=False,
                redirect=False,
                preload_content=False,
                timeout=session.timeout(connect=self.patience.connect, read=silence),
            )

    def _pool_of(self, session: Session) -> Any:
        """The connections of a session, each known to `Calls`. Those of the session before end with their questions."""
        with self._lock:
            if self._session is not session:
                if self._pool is not None:
                    self._pool.close()
                self._session = session
                self._pool = session.pool.connection_from_url(session.url)
                self._pool.ConnectionCls = tracked(self._pool.ConnectionCls, self._calls)
            return self._pool


def _lines(response: Any, path: str) -> Iterator[bytes]:
    rest = b""
    while piece := response.read1(_CHUNK):
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
        if len(rest) > _LARGEST_LINE:
            raise AnswerError(f"the answer to {path} has a line without end", hint="is there a proxy in between?")
    if rest.strip():
        raise AdapterError(
            f"the answer to {path} broke off within an event", hint="the API server closed the connection"
        )


def _refusal(path: str, response: Any, url: str) -> AdapterError:
    said = _message(response.read(_LARGEST_ERROR, decode_content=True))
    text = f"{url} answered {response.status} to {path}" + (f": {said}" if said else "")
    if response.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        unknown = response.status == HTTPStatus.UNAUTHORIZED
        return RefusedError(text, status=response.status, hint=_UNKNOWN if unknown else _RULES)
    after = response.headers.get("retry-after", "")
    hint = "look at the API server's health: `kubectl get --raw /readyz?verbose`"
    return StatusError(text, status=response.status, hint=hint, retry_after=float(after) if after.isdecimal() else None)


def _message(body: bytes) -> str:
    """What a `Status` says, in one line; nothing of what is none."""
    try:
        said = json.loads(body)
    except ValueError:
        return ""
    text = said.get("message") if isinstance(said, dict) else None
    return " ".join(text.split())[:_LONGEST_MESSAGE] if isinstance(text, str) else ""
