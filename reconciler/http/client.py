"""A client of one HTTP server that may be down, slow or not speak HTTP at all."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Self
from urllib.parse import quote, urlencode

import requests
from requests.adapters import BaseAdapter
from urllib3.exceptions import HTTPError as TransportError

from reconciler.errors import UsageError
from reconciler.http.failures import BadReplyError, Patience, failure
from reconciler.http.sockets import Deadline, TcpAdapter, UnixAdapter
from reconciler.http.tls import client_context
from reconciler.settings import AdminSettings

_CHUNK = 1 << 16
_PREPARED = 64
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_HEADERS = {"User-Agent": "envoy-reconciler", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of any status.

    Attributes:
        status: Of HTTP.
        body: Without its transfer encoding.
        headers: By name in lower case.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The body as UTF-8; what is not UTF-8 is shown as such."""
        return self.body.decode("utf-8", "backslashreplace")


class HttpClient:
    """Calls to one server. Keeps its connections. Not for two threads at once.

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
        self._deadline = Deadline(silence=settings.read_timeout, total=sum(self._limits))
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
        self, method: str, target: str, *, headers: Mapping[str, str] | None = None, document: Any = None
    ) -> Reply:
        """Call with headers of the caller's, and a JSON document as the body if there is one.

        Headers may hold secrets: no message shows them. A redirect is an answer, so they go nowhere else by themselves.

        Raises:
            HttpError: There was no complete answer; the call may or may not have had its effect.
        """
        sent = _HEADERS | dict(headers or {})
        if document is not None:
            sent |= {"Content-Type": "application/json"}
        body = None if document is None else json.dumps(document).encode()
        return self._call(requests.Request(method, self._base + target, headers=sent, data=body).prepare())

    def close(self) -> None:
        """Close the connections."""
        self._adapter.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepare(self, target: str) -> requests.PreparedRequest:
        return requests.Request("GET", self._base + target, headers=_HEADERS).prepare()

    def _call(self, request: requests.PreparedRequest) -> Reply:
        what = f"{request.method} {self.address}{(request.path_url or '').partition('?')[0]}"
        end = time.monotonic() + self._deadline.total
        self._deadline.start()  # after `end`, so that a read which is out of time is past it too
        try:
            with self._adapter.send(request, stream=True, timeout=self._limits) as answer:
                body = self._body(answer, what)
                return Reply(answer.status_code, body, {name.lower(): value for name, value in answer.headers.items()})
        except (requests.RequestException, TransportError, OSError) as error:
            raise failure(
                what,
                error,
                self._patience,
                over=time.monotonic() >= end,
                tls=self.address.startswith("https://"),
                shown=bool(self._settings.certificate),
            ) from error

    def _body(self, answer: requests.Response, what: str) -> bytes:
        parts: list[bytes] = []
        size = 0
        for part in answer.iter_content(_CHUNK):
            size += len(part)
            if size > self._settings.max_body:
                raise BadReplyError(f"{what}: the answer is larger than {self._settings.max_body} bytes")
            parts.append(part)
        return b"".join(parts)

    def _not_an_address(self) -> UsageError:
        return UsageError(
            f"{self.address!r} is not an address of an HTTP server",
            code="address",
            hint="write http://host:port, https://host:port or unix:///path/of.sock",
        )
