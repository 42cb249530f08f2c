"""Prometheus's http_sd as a registry: a URL that answers with a list of targets in JSON (the format is in `targets`).

It is asked every `interval`, as Prometheus asks (https://prometheus.io/docs/prometheus/latest/http_sd/): the answer has to be 200 with
`Content-Type: application/json`, UTF-8, and `[]` for none. What Prometheus does not do: an answer's `ETag` is sent back, so that
a server may answer 304 without a body. A redirect is not followed, since the token would go with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

from reconciler.discovery.contract import Alive, Event, Problem, Snapshot, Stopping, Surroundings
from reconciler.discovery.platforms.failures import AnswerError, DeniedError, unread
from reconciler.discovery.platforms.prometheus.targets import (
    LARGEST,
    Listing,
    changes,
    from_json,
    read,
    services,
    summary,
)
from reconciler.errors import Diagnostic, UsageError
from reconciler.http import AbortedError, HttpClient, HttpError, NoTokenError, Reply, read_token
from reconciler.model.discovered import Found
from reconciler.model.discovery import HttpSd
from reconciler.settings import AdminSettings

_SHORTEST = timedelta(milliseconds=100)
_CONNECT = 5.0
_SILENCE = 10.0
_JSON = re.compile(r'application/json(\s*;\s*charset=("utf-8"|utf-8))?', re.IGNORECASE)
_OK, _UNCHANGED, _UNAUTHORIZED, _FORBIDDEN = 200, 304, 401, 403
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SHOWN = 80
_NOT_A_URL = "url is none that can be asked: write http://host:port/path or https://host:port/path; a token has a file, tokenFile"


def build(spec: HttpSd, around: Surroundings) -> HttpAdapter:
    """The adapter for a registry of this kind; ValueError if its URL is none."""
    return HttpAdapter(spec, around)


class HttpAdapter:
    """See the module.

    Args:
        spec: The URL, and whose instances its targets are.
        around: The mesh's domain.

    Raises:
        ValueError: The URL can't be asked, or so often.
    """

    def __init__(self, spec: HttpSd, around: Surroundings) -> None:
        self._spec = spec
        self._around = around
        self._shown = _without_query(spec.url)
        if spec.interval < _SHORTEST:
            raise ValueError("interval is shorter than 100ms, which no server of targets is made for")
        self._client().close()

    def watch(self, stopping: Stopping) -> Iterator[Event]:
        """The services that the URL lists, and then what changes.

        Raises:
            AdapterError: It does not answer, or not in time.
            DeniedError: It does not let us in, or the token can't be read.
            AnswerError: It answers with something else.
            TargetsError: The answer is no list of target groups.
        """
        with closing(self._client()) as client, stopping.closing(client.abort):
            known: dict[str, Found] | None = None
            said: Diagnostic | None = None
            listing, tag = Listing(), ""
            while not stopping.is_set():
                try:
                    reply = self._ask(client, tag)
                except AbortedError:
                    return
                if reply is None:
                    yield Alive()
                else:
                    tag = reply.headers.get("etag", "")
                    document = from_json(reply.body, source=self._shown)
                    domain = self._around.domain
                    listing = read(document, self._spec, source=self._shown, domain=domain, before=listing)
                    found, problems = services([listing], self._spec, domain=domain)
                    events: list[Event] = [Snapshot(found)] if known is None else [*changes(known, found)]
                    yield from events or [Alive()]
                    known = found
                    if summary(problems) != said:
                        said = summary(problems)
                        yield Problem(said)
                stopping.wait(self._spec.interval.total_seconds())

    def _client(self) -> HttpClient:
        url = urlsplit(self._spec.url)
        settings = AdminSettings(connect_timeout=_CONNECT, read_timeout=_SILENCE, max_body=LARGEST, ca=self._spec.ca)
        if url.scheme not in {"http", "https"} or "@" in url.netloc:
            raise ValueError(_NOT_A_URL)
        try:
            return HttpClient(f"{url.scheme}://{url.netloc}", settings)
        except UsageError:
            raise ValueError(_NOT_A_URL) from None

    def _ask(self, client: HttpClient, tag: str) -> Reply | None:
        """A list of targets; None if it is still the one with this tag."""
        url = urlsplit(self._spec.url)
        headers = {
            "Accept": "application/json",
            "X-Prometheus-Refresh-Interval-Seconds": f"{self._spec.interval.total_seconds():g}",
        }
        if tag:
            headers["If-None-Match"] = tag
        if self._spec.token_file:
            headers["Authorization"] = f"Bearer {self._token()}"
        try:
            reply = client.send("GET", urlunsplit(("", "", url.path or "/", url.query, "")), headers=headers)
        except AbortedError:
            raise
        except HttpError as error:
            raise unread(self._around.registry, error) from error
        if tag and reply.status == _UNCHANGED:
            return None
        self._check(reply)
        return reply

    def _check(self, reply: Reply) -> None:
        """Whether an answer is a list, by its head."""
        where, status = self._shown, reply.status
        if status in {_UNAUTHORIZED, _FORBIDDEN}:
            why = "write a token that it takes into tokenFile" if self._spec.token_file else "name a token in tokenFile"
            raise DeniedError(f"{where}: it answers {status}, so it does not let us in", hint=why)
        if status in _REDIRECTS:
            target = _without_query(reply.headers.get("location", "")) or "nowhere"
            raise AnswerError(
                f"{where}: it answers {status}, the list is at {target}", hint="write that URL, if it is right"
            )
        if status != _OK:
            raise AnswerError(f"{where}: it answers {status} instead of 200", hint="look at that server's own log")
        kind = reply.headers.get("content-type", "").strip()
        if _JSON.fullmatch(kind) is None:
            hint = "let it answer with Content-Type: application/json, as Prometheus wants it too"
            raise AnswerError(f"{where}: its content type is {kind[:_SHOWN]!r}", hint=hint)

    def _token(self) -> str:
        path = self._spec.token_file
        try:
            return read_token(path)
        except NoTokenError as error:
            if error.why:
                message, hint = f"cannot read the token in {path}: {error.why}", "make it readable for the daemon"
            else:
                message, hint = f"{path} holds no token", "write the token, on one line, and nothing else"
            raise DeniedError(message, hint=hint) from None


def _without_query(url: str) -> str:
    """A URL as messages show it: without what may be secret."""
    try:
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))[:200]
    except ValueError:
        return ""
