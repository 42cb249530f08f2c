"""What backends saw, by the token that each request carries; copies and retries carry the same one."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TOKEN = "x-row-request"  # noqa: S105 -- a header's name
WANT, GIVE = "want", "give-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request as a backend saw it.

    Attributes:
        headers: In order, names in lower case; HTTP/2's pseudo headers left out.
        client: The name in the client's certificate.
        proxy: The PROXY header before its connection's bytes, as its version and the address that it names: `v1 127.0.0.9`.
        nth: Which request on its connection it is, from 1; 0 where it isn't counted.
    """

    backend: str
    port: int
    protocol: str
    method: str
    path: str
    headers: Sequence[tuple[str, str]]
    body: str = ""
    sni: str = ""
    client: str = ""
    proxy: str = ""
    nth: int = 0

    def header(self, name: str) -> str | None:
        """The value of a header, or all of them with commas; None if there is none."""
        values = [value for key, value in self.headers if key == name.lower()]
        return ",".join(values) if values else None

    def value(self, name: str) -> str | None:
        """What a row's `saw` asks for: a header, or a part of the request."""
        if name in {"method", "path", "protocol", "body", "sni", "client", "proxy", "nth"}:
            return str(getattr(self, name))
        return self.header(name)


@dataclass(frozen=True, slots=True)
class Step:
    """What a backend does about one try."""

    status: int = 200
    delay: float = 0
    reset: bool = False

    @classmethod
    def read(cls, words: str) -> Step:
        """One step of a `want` header: words with `+` between them, such as `delay=200ms+503`."""
        status, delay, reset = 200, 0.0, False
        for word in words.split("+"):
            if word.startswith("delay="):
                delay = float(word.removeprefix("delay=").removesuffix("ms")) / 1000
            elif word == "reset":
                reset = True
            else:
                status = int(word)
        return cls(status, delay, reset)


class Journal:
    """Every request that any backend saw. Shared by threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, list[Seen]] = {}
        self._counts: Counter[str] = Counter()

    def note(self, seen: Seen) -> tuple[Step, int]:
        """Write a request down; what the backend is to do about it, and how many requests it has had."""
        with self._lock:
            known = self._seen.setdefault(seen.header(TOKEN) or "", [])
            known.append(seen)
            self._counts[seen.backend] += 1
            mine = sum(item.backend == seen.backend for item in known)
            total, count = len(known), self._counts[seen.backend]
        own = seen.header(f"{WANT}-{seen.backend}")
        script = own or seen.header(WANT)
        if not script:
            return Step(), count
        steps = script.split(",")
        return Step.read(steps[min(mine if own else total, len(steps)) - 1]), count

    def of(self, token: str) -> list[Seen]:
        """What was seen of one request, in order."""
        with self._lock:
            return list(self._seen.get(token, ()))

    def reached(self, token: str) -> Mapping[str, int]:
        """How many requests each backend saw of it."""
        return Counter(item.backend for item in self.of(token))
