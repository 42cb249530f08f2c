"""A client of one HTTP server that may be down, slow or not speak HTTP at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache, partial
from math import inf
from typing import Any, Self
from urllib.parse import quote, urlencode

import requests
from requests.adapters import BaseAdapter
from urllib3.exceptions import HTTPError as TransportError

from reconciler.errors import UsageError
from reconciler.http.failures import AbortedError, Patience, failure
from reconciler.http.sockets import Deadline, TcpAdapter, UnixAdapter
from reconciler.http.streams import Reply, Stream
from reconciler.http.tls import client_context
from reconciler.settings import AdminSettings

_PREPARED = 64
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_HEADERS = {"User-Agent": "envoy-reconciler", "Accept-Encoding": "identity"}


class HttpClient:
    """Calls to one server. Keeps its connections. Not for two threads at once, except for `abort`.

    Requests are prepared once per target and sent through requests' adapter directly: merging the session's settings,
    cookies, hooks and redirects into each call costs as much as the call itself, and a polling client needs none of it. So
    the environment's proxies and netrc are not looked at either.

    Args:
        address: `http://host:port`, `https://host:port` or `unix:///path/of.sock`.
        settings: Time and size limits; the whole call may take `connect_timeout + read_timeout` seconds. Certificates, for
            `https`.

    Raises:
        UsageError: The address has another form.
    """

    def __init__(self, address: str, settings: AdminSettings) -> None:
        self.address = address
        self._settings = settings
        self._limits = (settings.connect_timeout, settings.read_timeout)
        self._patience = Patience(*self._limits, sum(self._limits))
        self._deadline = Deadline()
        self._adapter: BaseAdapter
        if address.startswith("unix:///"):
            self._adapter, self._base = UnixAdapter(address.removeprefix("unix://"), self._deadline), "http://localhost"
        elif address.startswith(("http://", "https://")):
            self._adapter = TcpAdapter(self._deadline, lambda: client_context(settings))
            self._base = address.rstrip("/")
        else:
            raise self._not_an_address()
        self._prepared = lru_cache(maxsize=_PREPARED)(self._prepare)
        try:
            self._prepare("/")
        except requests.RequestException as error:
            raise self._not_an_address() from error

    @property
    def connections(self) -> int:
        """How many connections there have been. While it stays, the same process answers: a connection ends with one."""
        return self._deadline.opened

    def get(self, target: str) -> Reply:
        """GET a path with its query, as it stands.

        Raises:
            HttpError: There was no complete answer; any status is an answer, a redirect too.
        """
        return self._call(self._prepared(target))

    def post(self, target: str, form: Mapping[str, str] | None = None) -> Reply:
        """POST a form, or an empty body.

        Spaces are sent as `%20`: Envoy's admin endpoint takes a form's `+` for a plus sign.

        Raises:
            HttpError: There was no complete answer; the call may or may not have had its effect.
        """
        body = urlencode(form or {}, quote_via=quote).encode()
        return self._call(requests.Request("POST", self._base + target, headers=_HEADERS | _FORM, data=body).prepare())

    def post_json(self, target: str, document: Mapping[str, Any]) -> Reply:
        """POST a JSON object.

        Raises:
            HttpError: There was no complete answer; the call may or may not have had its effect.
        """
        return self._call(requests.Request("POST", self._base + target, headers=_HEADERS, json=document).prepare())

    def send(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        document: Any = None,
        wait: float = 0,
    ) -> Reply:
        """Call with headers of the caller's, and a JSON document as the body if there is one.

        Headers may hold secrets: no message shows them. A redirect is an answer, so they go nowhere else by themselves.

        Args:
            method: Of HTTP.
            target: Path and query, as they stand.
            headers: Beside the client's own.
            document: What `json.dumps` takes.
            wait: Seconds that the server was asked to keep the answer back, at most (a long poll): so much longer than for
                other calls may the silence and the whole call be.

        Raises:
            HttpError: There was no complete answer; the call may or may not have had its effect.
        """
        return self._call(self._with_document(method, target, headers, document), wait)

    @contextmanager
    def stream(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        document: Any = None,
        silence: float,
    ) -> Iterator[Stream]:
        """Call for an answer that may go on for ever; its head has to come as quickly as any other.

        The client makes no other call until the context is left, which closes the connection unless the answer has ended.

        Args:
            method: Of HTTP.
            target: Path and query, as they stand.
            headers: Beside the client's own; they may hold secrets.
            document: What `json.dumps` takes.
            silence: Seconds without a byte after which the answer is given up, once it has begun.

        Raises:
            HttpError: No answer began. Reading it may raise HttpError too.
        """
        request = self._with_document(method, target, headers, document)
        what = self._what(request)
        answer = self._begin(request, what, self._patience)
        self._deadline.endless(silence)
        with answer:
            yield self._stream(answer, what, Patience(self._patience.connect, silence, inf))

    def abort(self) -> None:
        """End the call under way, from any thread: it raises AbortedError at once, as every later one will.

        Only the system's look-up of a host name can't be ended. `close` is still for the owner to call.
        """
        self._deadline.abort()

    def close(self) -> None:
        """Close the connections."""
        self._adapter.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepare(self, target: str) -> requests.PreparedRequest:
        return requests.Request("GET", self._base + target, headers=_HEADERS).prepare()

    def _with_document(
        self, method: str, target: str, headers: Mapping[str, str] | None, document: Any
    ) -> requests.PreparedRequest:
        sent = _HEADERS | dict(headers or {})
        if document is not None:
            sent |= {"Content-Type": "application/json"}
        body = None if document is None else json.dumps(document).encode()
        return requests.Request(method, self._base + target, headers=sent, data=body).prepare()

    def _what(self, request: requests.PreparedRequest) -> str:
        return f"{request.method} {self.address}{(request.path_url or '').partition('?')[0]}"

    def _call(self, request: requests.PreparedRequest, wait: float = 0) -> Reply:
        what = self._what(request)
        connect, silence, total = self._patience.connect, self._patience.silence + wait, self._patience.total + wait
        patience = Patience(connect, silence, total)
        with self._begin(request, what, patience) as answer:
            return self._stream(answer, what, patience).whole()

    def _begin(self, request: requests.PreparedRequest, what: str, patience: Patience) -> requests.Response:
        self._deadline.start(silence=patience.silence, total=patience.total)
        with self._reading(what, patience):
            return self._adapter.send(request, stream=True, timeout=self._limits)

    def _stream(self, answer: requests.Response, what: str, patience: Patience) -> Stream:
        return Stream(answer, what=what, limit=self._settings.max_body, reading=partial(self._reading, what, patience))

    @contextmanager
    def _reading(self, what: str, patience: Patience) -> Iterator[None]:
        """Whatever the HTTP stack raises is an HttpError; what looks like a regular end after an abort is one too."""
        try:
            yield
        except (requests.RequestException, TransportError, OSError) as error:
            if self._deadline.aborted:
                raise self._aborted(what) from error
            raise failure(
                what,
                error,
                patience,
                over=self._deadline.over,
                tls=self.address.startswith("https://"),
                shown=bool(self._settings.certificate),
            ) from error
        if self._deadline.aborted:
            raise self._aborted(what)

    @staticmethod
    def _aborted(what: str) -> AbortedError:
        return AbortedError(f"{what}: ended by ourselves")

    def _not_an_address(self) -> UsageError:
        return UsageError(
            f"{self.address!r} is not an address of an HTTP server",
            code="address",
            hint="write http://host:port, https://host:port or unix:///path/of.sock",
        )
