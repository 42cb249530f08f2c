"""Calls to one member of etcd by its JSON gateway, `/v3` since etcd 3.4, with a token if it asks for one.

The gateway is etcd's own, on the port of its gRPC API (https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/). Bytes are base64, numbers
of 64 bits are strings, and what is empty or 0 is not there.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, NoReturn

from reconciler.discovery.contract import AdapterError
from reconciler.discovery.platforms.failures import AnswerError, DeniedError, unread
from reconciler.http import HttpClient, HttpError, Reply
from reconciler.model.discovery import Etcd

_OUT_OF_RANGE = 11
_PAGE = 1000
_STALE_TOKEN = ("invalid auth token", "auth store is old")
_REFUSED = ("permission denied", "user name is empty", "authentication failed", "user name not found")


class AnewError(AdapterError):
    """It has to be listed anew: etcd has forgotten the revision that was asked for, or does not know the token any more."""


@dataclass(frozen=True, slots=True)
class Listing:
    """All keys with the prefix, at one revision.

    Attributes:
        pairs: Key and value.
        revision: What to watch from, with the next one.
        cluster: Its id; revisions of another one mean nothing.
    """

    pairs: tuple[tuple[bytes, bytes], ...]
    revision: int
    cluster: str


def encoded(data: bytes) -> str:
    """As the gateway wants bytes."""
    return b64encode(data).decode()


def decoded(text: Any) -> bytes:
    """Bytes of the gateway's.

    Raises:
        ValueError: They are none.
    """
    return b64decode(str(text or ""), validate=True)


def interval(prefix: bytes) -> tuple[bytes, bytes]:
    """The first key with a prefix, and the first one after all that have it; everything for no prefix at all."""
    if not prefix.rstrip(b"\xff"):
        return prefix or b"\0", b"\0"
    head = prefix.rstrip(b"\xff")
    return prefix, head[:-1] + bytes([head[-1] + 1])


class Gateway:
    """One member.

    Args:
        client: To it.
        spec: As whom.
        registry: Its name, for messages.
    """

    def __init__(self, client: HttpClient, spec: Etcd, *, registry: str) -> None:
        self._client = client
        self._spec = spec
        self._registry = registry
        self._token = ""

    def beside(self, client: HttpClient) -> Gateway:
        """The same over another connection, with the token as it is now."""
        other = Gateway(client, self._spec, registry=self._registry)
        other._token = self._token
        return other

    def abort(self) -> None:
        """End whatever waits for an answer, from any thread, for good."""
        self._client.abort()

    def listing(self) -> Listing:
        """All keys with the prefix; a page at a time, all of them as they were at the first one.

        Raises:
            AnewError: Reading took so long that etcd has forgotten that state.
            AdapterError: It can't be read.
        """
        key, end = interval(self._spec.prefix.encode())
        pairs: list[tuple[bytes, bytes]] = []
        revision, cluster = 0, ""
        while True:
            document = {"key": encoded(key), "range_end": encoded(end), "limit": _PAGE, "revision": revision}
            answer = self._ask("/v3/kv/range", document)
            with self._reading():
                revision = revision or int(answer["header"]["revision"])
                cluster = str(answer["header"]["cluster_id"])
                page = [(decoded(pair["key"]), decoded(pair.get("value"))) for pair in answer.get("kvs", ())]
            pairs += page
            if not answer.get("more") or not page:
                return Listing(tuple(pairs), revision, cluster)
            key = page[-1][0] + b"\0"

    def beat(self) -> tuple[int, str]:
        """The revision and the cluster's id, from a member that hears the others: it may not answer from what it has alone.

        Raises:
            AdapterError: It can't be read.
        """
        key, end = interval(self._spec.prefix.encode())
        document = {"key": encoded(key), "range_end": encoded(end), "count_only": True}
        answer = self._ask("/v3/kv/range", document)
        with self._reading():
            return int(answer["header"]["revision"]), str(answer["header"]["cluster_id"])

    @contextmanager
    def watch(self, revision: int, *, silence: float) -> Iterator[Iterator[Any]]:
        """What happens to keys with the prefix from a revision on: etcd's `WatchResponse`s.

        Raises:
            AnewError: The revision is too old, or the token is not good any more.
            AdapterError: It can't be watched, or not any more. Reading may raise each of them too.
        """
        key, end = interval(self._spec.prefix.encode())
        create = {"key": encoded(key), "range_end": encoded(end), "start_revision": revision, "progress_notify": True}
        try:
            with self._client.stream(
                "POST", "/v3/watch", headers=self._headers(), document={"create_request": create}, silence=silence
            ) as stream:
                if stream.status != HTTPStatus.OK:
                    self._refuse(stream.whole())
                yield (self._event(line) for line in stream.lines())
        except HttpError as error:
            raise unread(self._registry, error) from error

    def authenticate(self) -> None:
        """Get a token, if there is a user.

        Raises:
            AdapterError: There is none to be had.
        """
        if not self._spec.username_file:
            return
        name, password = self._credentials()
        reply = self._post("/v3/auth/authenticate", {"name": name, "password": password}, {})
        if "authentication is not enabled" in reply.text:
            self._token = ""
            return
        if reply.status != HTTPStatus.OK:
            self._refuse(reply)
        with self._reading():
            self._token = str(json.loads(reply.body)["token"])

    def nonsense(self, why: object) -> AnswerError:
        """An answer that is not what etcd says."""
        hint = "see whether the address is that of etcd's client API, 3.4 or newer"
        return AnswerError(f"{self._registry}: {self._client.address}: {why}", hint=hint)

    def _credentials(self) -> tuple[str, str]:
        try:
            text = Path(self._spec.username_file).read_text(encoding="utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8"
            message = f"{self._registry}: cannot read {self._spec.username_file}: {why}"
            raise DeniedError(message, hint="write user:password into this file, readable for the daemon") from None
        name, mark, password = text.partition(":")
        if not name or not mark:
            message = f"{self._registry}: {self._spec.username_file} has no user and password"
            raise DeniedError(message, hint="write user:password into this file")
        return name, password

    def _headers(self) -> dict[str, str]:
        return {"Authorization": self._token} if self._token else {}

    def _post(self, path: str, document: Any, headers: dict[str, str]) -> Reply:
        try:
            return self._client.send("POST", path, headers=headers, document=document)
        except HttpError as error:
            raise unread(self._registry, error) from error

    def _ask(self, path: str, document: Any) -> Any:
        reply = self._post(path, document, self._headers())
        if reply.status != HTTPStatus.OK and any(words in reply.text for words in _STALE_TOKEN):
            self.authenticate()
            reply = self._post(path, document, self._headers())
        if reply.status != HTTPStatus.OK:
            self._refuse(reply)
        with self._reading():
            answer = json.loads(reply.body)
            if not isinstance(answer, dict):
                raise TypeError
            return answer

    def _event(self, line: bytes) -> Any:
        with self._reading():
            document = json.loads(line)
            result = document.get("result")
            if result is None:
                self._deny(str(document["error"]["message"]))
            if result.get("canceled"):
                if int(result.get("compact_revision", 0)):
                    raise AnewError(f"{self._registry}: the revision is compacted", hint="it is listed anew")
                self._deny(str(result.get("cancel_reason", "")))
            return result

    def _refuse(self, reply: Reply) -> NoReturn:
        """Raise what an answer of another status than 200 means."""
        try:
            document = json.loads(reply.body)
            code, words = document.get("code"), str(document["message"])
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise self.nonsense(f"the answer is {reply.status}") from None
        if code == _OUT_OF_RANGE and "compacted" in words:
            raise AnewError(f"{self._registry}: {words}", hint="it is listed anew")
        self._deny(words)

    def _deny(self, words: str) -> NoReturn:
        if any(each in words for each in _STALE_TOKEN):
            raise AnewError(f"{self._registry}: {words[:200]}", hint="it asks for a new token")
        if any(each in words for each in _REFUSED):
            hint = "check the user in `usernameFile`; it needs to read all keys with the prefix"
            raise DeniedError(f"{self._registry}: etcd denies it: {words[:200]}", hint=hint)
        raise AdapterError(f"{self._registry}: etcd answers: {words[:200]}", hint="see etcd's own log")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise self.nonsense("the answer is not etcd's") from None
