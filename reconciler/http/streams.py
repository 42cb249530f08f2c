"""Answers without an end: what a watch of a platform sends, line by line, whenever something happens there.

Nothing here decides how long silence is bearable: the client says it when it opens a stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import requests

from reconciler.http.failures import BadReplyError

_READ = 1 << 16


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


class Stream:
    """An answer that has begun. What comes is read once, by `pieces`, `lines` or `whole`.

    Each of them raises HttpError when the answer breaks off, is silent for too long or is ended by `HttpClient.abort`.

    Attributes:
        status: Of HTTP.
        headers: By name in lower case.
    """

    def __init__(
        self,
        answer: requests.Response,
        *,
        what: str,
        limit: int,
        reading: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.status = answer.status_code
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in answer.headers.items()}
        self._answer = answer
        self._what = what
        self._limit = limit
        self._reading = reading

    def pieces(self) -> Iterator[bytes]:
        """Bytes as they come, until the other side ends the answer: a chunk at a time if it is chunked."""
        source = self._read()
        while True:
            with self._reading():
                piece = next(source, None)
            if piece is None:
                return
            yield piece

    def lines(self) -> Iterator[bytes]:
        """Lines as they come, without their ends, and without empty ones; the last one need not have an end.

        Raises:
            BadReplyError: A line is longer than the client's `max_body`.
        """
        parts: list[bytes] = []
        size = 0
        for piece in self.pieces():
            first, *others = piece.split(b"\n")
            parts.append(first)
            size += len(first)
            if others:
                *whole, last = others
                yield from filter(None, (line.rstrip(b"\r") for line in (b"".join(parts), *whole)))
                parts, size = [last], len(last)
            if size > self._limit:
                raise BadReplyError(f"{self._what}: a line of the answer is longer than {self._limit} bytes")
        rest = b"".join(parts)
        if rest:
            yield rest

    def whole(self) -> Reply:
        """All of it, for an answer that has an end, such as an error.

        Raises:
            BadReplyError: It is larger than the client's `max_body`.
        """
        parts: list[bytes] = []
        size = 0
        for piece in self.pieces():
            size += len(piece)
            if size > self._limit:
                raise BadReplyError(f"{self._what}: the answer is larger than {self._limit} bytes")
            parts.append(piece)
        return Reply(self.status, b"".join(parts), self.headers)

    def _read(self) -> Iterator[bytes]:
        raw = self._answer.raw
        if raw.chunked:
            yield from raw.stream(_READ)
            return
        # What has no chunks is read as it comes; to fill a buffer first, as `stream` does, may take for ever.
        while piece := raw.read1(_READ):
            yield piece
