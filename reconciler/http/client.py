"""A client of one HTTP server that may be down, slow or not speak HTTP at all."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import requests
from urllib3.exceptions import HTTPError as TransportError
from urllib3.exceptions import ReadTimeoutError

from reconciler.errors import TransientError, UsageError
from reconciler.http.unix import UnixAdapter
from reconciler.settings import AdminSettings

_CHUNK = 1 << 16


class HttpError(TransientError):
    """An HTTP call that brought no usable answer."""

    default_code = "http"


class UnreachableError(HttpError):
    """Nothing answers at the address."""

    default_code = "http-unreachable"


class TimedOutError(HttpError):
    """It was reached and did not answer in time."""

    default_code = "http-timeout"


class BadReplyError(HttpError):
    """What answers does not speak HTTP, or sends more than is allowed."""

    default_code = "http-bad-reply"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of any status."""

    status: int
    body: bytes

    @property
    def text(self) -> str:
        """The body as UTF-8; what is not UTF-8 is shown as such."""
        return self.body.decode("utf-8", "backslashreplace")


class HttpClient:
    """Calls to one server. Keeps its connections. Not for two threads at once.

    Args:
        address: `http://host:port`, `https://host:port` or `unix:///path/of.sock`.
        settings: Time and size limits; the whole call may take `connect_timeout + read_timeout` seconds.

    Raises:
        UsageError: The address has another form.
    """

    def __init__(self, address: str, settings: AdminSettings) -> None:
        self.address = address
        self._settings = settings
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy and no netrc between us and an Envoy on this host
        self._session.headers.update({"User-Agent": "envoy-reconciler", "Accept-Encoding": "identity"})
        if address.startswith("unix:///"):
            self._session.mount("http://", UnixAdapter(address.removeprefix("unix://")))
            self._base = "http://localhost"
        elif address.startswith(("http://", "https://")):
            self._base = address.rstrip("/")
        else:
            raise UsageError(
                f"{address!r} is not an address of an HTTP server",
                code="address",
                hint="write http://host:port or unix:///path/of.sock",
            )

    def get(self, target: str) -> Reply:
        """GET a path with its query, as it stands.

        Raises:
            HttpError: There was no complete answer; any status is an answer.
        """
        return self._call("GET", target, None)

    def post(self, target: str, form: dict[str, str] | None = None) -> Reply:
        """POST a form, or an empty body.

        Raises:
            HttpError: There was no complete answer; the call may or may not have had its effect.
        """
        return self._call("POST", target, form)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, method: str, target: str, form: dict[str, str] | None) -> Reply:
        limits = (self._settings.connect_timeout, self._settings.read_timeout)
        deadline = time.monotonic() + sum(limits)
        what = f"{method} {self.address}{target.partition('?')[0]}"
        try:
            with self._session.request(
                method, self._base + target, data=form, timeout=limits, stream=True, allow_redirects=False
            ) as answer:
                return Reply(answer.status_code, self._body(answer, deadline, what))
        except (requests.ConnectTimeout, requests.ReadTimeout, ReadTimeoutError, TimeoutError) as error:
            raise TimedOutError(f"{what}: no answer within {sum(limits):g} s") from error
        except requests.ConnectionError as error:
            if "BadStatusLine" in repr(error) or "RemoteDisconnected" in repr(error):
                raise BadReplyError(f"{what}: what answers does not speak HTTP") from error
            raise UnreachableError(f"{what}: {_reason(error)}") from error
        except (requests.RequestException, TransportError) as error:
            raise BadReplyError(f"{what}: the answer is broken: {_reason(error)}") from error

    def _body(self, answer: requests.Response, deadline: float, what: str) -> bytes:
        parts: list[bytes] = []
        size = 0
        for part in answer.iter_content(_CHUNK):
            size += len(part)
            if size > self._settings.max_body:
                raise BadReplyError(f"{what}: the answer is larger than {self._settings.max_body} bytes")
            if time.monotonic() > deadline:
                raise TimedOutError(f"{what}: the answer did not end in time")
            parts.append(part)
        return b"".join(parts)


def _reason(error: BaseException) -> str:
    """The innermost cause, which says what the outer layers only wrap."""
    inner: BaseException = error
    while True:
        reason = getattr(inner, "reason", None)
        below = reason if isinstance(reason, BaseException) else inner.__cause__ or inner.__context__
        if below is None or below is inner:
            break
        inner = below
    return getattr(inner, "strerror", None) or str(inner) or type(inner).__name__
