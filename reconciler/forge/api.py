"""Calls to a forge's REST API: token, conditional reads, pages, redirects, pace, and what refusals mean.

What forges have in common; `dialect` has what not. Knows no pull requests. One call at a time; nothing is tried again in here: the
caller comes back in its next pass.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from reconciler.clock import Clock
from reconciler.errors import PermanentError, UsageError
from reconciler.forge import answers, dialect
from reconciler.forge.backoff import Backoff
from reconciler.forge.dialect import Dialect
from reconciler.forge.errors import (
    ExistsError,
    ForgeAuthenticationError,
    ForgePermissionError,
    ForgeRefusedError,
    ForgeUnavailableError,
    TokenFileError,
)
from reconciler.http import HttpClient, HttpError, NoTokenError, Reply, read_token
from reconciler.settings import AdminSettings

PATIENCE = AdminSettings(connect_timeout=3.0, read_timeout=10.0, max_body=16 * 1024 * 1024)
"""Time and size limits of a call. A forge that hangs costs one of these, and then it is left in peace for a while."""

_PACE, _NOTIFYING_PACE = 1.0, 3.0
"""Seconds between two writes, as GitHub asks for, and between two of which people are told by mail, as its own clients keep."""

_REMEMBERED = 100
_PAGES = 30
_REDIRECTS = 3
_NEXT = re.compile(r'<([^>]*)>;[^,]*\brel="next"')


class Api:
    """One API with one token.

    Args:
        address: `https://host` with a path if it has one.
        token_file: Read at each call, so replacing it renews the token. The token is in no message.
        clock: For pace and patience.
        settings: Time and size limits of a call, and whom `https` trusts.
        speaks: Whose API it is; GitHub's by default.

    Raises:
        UsageError: The address is none.
    """

    def __init__(
        self,
        address: str,
        *,
        token_file: Path,
        clock: Clock,
        settings: AdminSettings = PATIENCE,
        speaks: Dialect | None = None,
    ) -> None:
        parts = urlsplit(address)
        if parts.scheme not in {"http", "https"} or "@" in parts.netloc:
            raise UsageError(
                "that is not the address of a forge's API", hint="write https://host/path, without a password"
            )
        self._path = parts.path.rstrip("/")
        self._speaks = speaks or dialect.github()
        self._client = HttpClient(f"{parts.scheme}://{parts.netloc}", settings)
        self._token_file = token_file
        self._clock = clock
        self._backoff = Backoff(clock)
        self._written: float | None = None
        self._notified: float | None = None
        self._tagged: OrderedDict[str, tuple[str, Reply]] = OrderedDict()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, target: str) -> Any:
        """The JSON document at a path; one that has not changed is not sent again and costs nothing of the rate limit.

        Raises:
            ForgeUnavailableError: No answer, or none that can be read.
            TokenFileError, ForgeAuthenticationError, ForgePermissionError: As they say.
        """
        return self._read(self._get(self._path + target))

    def get_all(self, target: str) -> list[Any]:
        """All elements of a list, over its pages. One of more than 3,000 elements, by the hundred, is cut.

        Raises:
            ForgeUnavailableError, ...: As `get`.
        """
        return [item for page in self.pages(target) for item in page]

    def pages(self, target: str) -> Iterator[list[Any]]:
        """The pages of a list, each asked for when it is wanted.

        Raises:
            ForgeUnavailableError, ...: As `get`.
        """
        following: str | None = self._path + target
        for _ in range(_PAGES):
            if following is None:
                break
            reply = self._get(following)
            page = self._read(reply)
            if not isinstance(page, list) or not all(isinstance(item, Mapping) for item in page):
                raise self._backoff.unavailable(f"{self._client.address} answers with no list of what was asked for")
            yield page
            after = _NEXT.search(reply.headers.get("link", ""))
            following = self._own(after[1]) if after else None

    def write(
        self, method: str, target: str, document: Mapping[str, Any] | None = None, *, notifies: bool = False
    ) -> Any:
        """Send a document, not sooner than a second after the one before; returns the JSON of the answer, None if it is empty.

        Args:
            method: Of HTTP.
            target: Below the API's address.
            document: What is sent; None for nothing.
            notifies: Whether people are told by mail of what it does, which is done less often still.

        Raises:
            ForgeUnavailableError: No usable answer: it may or may not have had its effect.
            ExistsError, ForgeRefusedError: It is not done.
            TokenFileError, ForgeAuthenticationError, ForgePermissionError: As they say.
        """
        token = self._token()
        asked = _names(token, method, target, json.dumps(document, sort_keys=True))
        self._backoff.require(*asked)
        self._rest(self._written, _PACE)
        if notifies:
            self._rest(self._notified, _NOTIFYING_PACE)
        try:
            reply = self._send(method, self._path + target, token, document=document)
        finally:
            self._written = self._clock.monotonic()
            self._notified = self._written if notifies else self._notified
        reply = self._judged(reply, f"{method} {target.partition('?')[0]}", token, asked)
        return self._read(reply) if reply.body else None

    def query(self, text: str, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        """What GitHub's GraphQL answers to a query, which changes nothing and so keeps no pace; empty if it has no data.

        Raises:
            ForgeUnavailableError, ...: As `get`.
        """
        path, token, document = self._path.removesuffix("/v3") + "/graphql", self._token(), {"query": text}
        asked = _names(token, "POST", path, json.dumps({**document, **variables}, sort_keys=True))
        self._backoff.require(*asked)
        reply = self._send("POST", path, token, document={**document, "variables": variables})
        answer = self._read(self._judged(reply, f"POST {path}", token, asked))
        data = answer.get("data") if isinstance(answer, Mapping) else None
        return data if isinstance(data, Mapping) else {}

    def _rest(self, since: float | None, pace: float) -> None:
        if since is not None:
            self._clock.sleep(since + pace - self._clock.monotonic())

    def garbage(self, error: Exception) -> ForgeUnavailableError:
        """The error for a document that is not what was asked for."""
        return self._backoff.unavailable(f"{self._client.address} answers with something else: {error}")

    def _get(self, target: str) -> Reply:
        token = self._token()
        asked = _names(token, "GET", target, "")
        self._backoff.require(*asked)
        tag, before = self._tagged.get(f"{asked[1]}", ("", None))
        reply = self._send("GET", target, token, headers={"If-None-Match": tag} if tag else {})
        if reply.status == HTTPStatus.NOT_MODIFIED and before is not None:
            self._backoff.answered()
            return before
        reply = self._judged(reply, f"GET {target.partition('?')[0]}", token, asked)
        if etag := reply.headers.get("etag"):
            self._tagged[asked[1]] = (etag, reply)
            self._tagged.move_to_end(asked[1])
            while len(self._tagged) > _REMEMBERED:
                self._tagged.popitem(last=False)
        return reply

    def _send(
        self, method: str, target: str, token: str, *, headers: Mapping[str, str] | None = None, document: Any = None
    ) -> Reply:
        """The answer, after redirects: a repository that was renamed or moved answers with its new place."""
        fixed = self._speaks.headers(token)
        try:
            for _ in range(_REDIRECTS + 1):
                reply = self._client.send(method, target, headers={**fixed, **(headers or {})}, document=document)
                if reply.status not in {301, 302, 307, 308}:
                    return reply
                target = self._own(reply.headers.get("location", ""))
        except HttpError as error:
            raise self._backoff.unavailable(error.message) from error
        raise self._backoff.unavailable(f"{self._client.address} redirects again and again")

    def _own(self, url: str) -> str:
        """The target of a URL that the API gave us. The token goes nowhere else."""
        if not url.startswith(f"{self._client.address}/"):
            raise self._backoff.unavailable(f"{self._client.address} sends us to another server, which gets no token")
        return url.removeprefix(self._client.address)

    def _token(self) -> str:
        where, hint = self._token_file, f"write a token into it that may read and write {self._speaks.rights}"
        try:
            return read_token(where)
        except NoTokenError as error:
            what = f"can't be read: {error.why}" if error.why else "does not hold one token and nothing else"
            raise TokenFileError(f"the token file {where} {what}", hint=hint) from None

    def _judged(self, reply: Reply, what: str, token: str, asked: tuple[str, str]) -> Reply:
        """The reply if it is a good one.

        Raises:
            ForgeUnavailableError, ForgeAuthenticationError, ForgePermissionError, ForgeRefusedError: What it means otherwise.
        """
        status = reply.status
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            self._backoff.answered()
            return reply
        said = answers.said(reply).replace(token, "(token)")
        message = f"{self._client.address} answers {what} with {status}: {said}"
        if answers.limits(reply, said):
            raise self._backoff.limited(message, answers.wait(reply, self._clock.now()))
        exists, words = self._speaks.exists
        if status == exists and words in said:
            self._backoff.answered()
            raise ExistsError(message)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status < HTTPStatus.OK or status in self._speaks.again:
            raise self._backoff.unavailable(message)
        self._backoff.answered()
        raise self._refusal(status, message, asked)

    def _refusal(self, status: int, message: str, asked: tuple[str, str]) -> PermanentError:
        backoff, token_file = self._backoff, self._token_file
        if status == HTTPStatus.UNAUTHORIZED:
            hint = f"put a valid token into {token_file}; it is read again at each call"
            return backoff.refused(asked[0], lambda: ForgeAuthenticationError(message, hint=hint))
        if status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
            hint = (
                f"check the name of the repository, and that the token in {token_file} may read and write "
                f"{self._speaks.rights} of it; forges say `not found` where a permission is missing, too"
            )
            return backoff.refused(asked[1], lambda: ForgePermissionError(message, hint=hint))
        outdated = status in self._speaks.outdated
        hint = "this server does not speak the version of the API that is asked for" if outdated else ""
        return backoff.refused(asked[1], lambda: ForgeRefusedError(message, hint=hint))

    def _read(self, reply: Reply) -> Any:
        try:
            return json.loads(reply.body)
        except (ValueError, RecursionError) as error:  # RecursionError: nested without end
            raise self._backoff.unavailable(f"{self._client.address} answers with something that is no JSON") from error


def _names(token: str, method: str, target: str, body: str) -> tuple[str, str]:
    """Names for a token, and for a call with it, that don't show it."""
    who = hashlib.sha256(token.encode()).hexdigest()[:16]
    return who, f"{who} {method} {target} {hashlib.sha256(body.encode()).hexdigest()[:16]}"
