"""A load generator that hides nothing: every request it starts ends as a sample, with its status or with its error.

It knows one HTTP address and the applications' answers, nothing of Envoy or of the product.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any, Self

from reconciler.cli.demo.bookinfo import BY_ORDER
from reconciler.cli.demo.wire import Caller, WireError


@dataclass(frozen=True, slots=True)
class Sample:
    """One request.

    Attributes:
        start: When it was sent, by `time.monotonic`.
        seconds: Until its answer was complete.
        outcome: `200`, another status, or the name of the error instead of an answer.
        version: Version of the watched application that took part, or "" if none did.
        detail: What a failed request said.
    """

    start: float
    seconds: float
    outcome: str
    version: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What came of some requests.

    Attributes:
        outcomes: Requests by outcome.
        versions: Successful requests by version of the watched application.
        failures: The first few failed ones, as text; rather those that nobody ordered.
        ordered: Failed requests whose answer says that an application failed because it was told to.
        failing: When the failed ones were sent, by `time.monotonic`, ascending.
        latencies: Seconds, ascending.
    """

    outcomes: Counter[str]
    versions: Counter[str]
    failures: tuple[str, ...]
    ordered: int
    failing: tuple[float, ...]
    latencies: tuple[float, ...]

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> Tally:
        """Count these."""
        kept = list(samples)
        bad = [sample for sample in kept if sample.outcome != "200"]
        astray = [sample for sample in bad if BY_ORDER not in sample.detail]
        return cls(
            outcomes=Counter(sample.outcome for sample in kept),
            versions=Counter(sample.version for sample in kept if sample.outcome == "200"),
            failures=tuple(f"{sample.outcome} {sample.detail}".strip() for sample in (astray or bad)[:5]),
            ordered=len(bad) - len(astray),
            failing=tuple(sorted(sample.start for sample in bad)),
            latencies=tuple(sorted(sample.seconds for sample in kept)),
        )

    @property
    def requests(self) -> int:
        """All of them."""
        return len(self.latencies)

    @property
    def failed(self) -> int:
        """All that did not end in a 200."""
        return self.requests - self.outcomes["200"]

    def share(self, version: str) -> float:
        """Part of the successful requests, 0 to 1, that this version served; 0 if there were none."""
        return self.versions[version] / (self.versions.total() or 1)

    def percentile(self, part: float) -> float:
        """Latency in seconds that this part, 0 to 1, of the requests stayed within; 0 if there were none."""
        return self.latencies[min(int(part * self.requests), self.requests - 1)] if self.requests else 0.0


class Traffic:
    """Requests at a constant rate from a thread of its own. Ends with the context; what was sent is waited for.

    Args:
        port: Where to send them, on 127.0.0.1.
        authority: The Host header.
        target: What to GET.
        rate: Requests a second; 0 sends as fast as answers come.
        watch: The application whose version each answer is searched for.
        connections: Requests that may be under way at the same time; if none is free, the next ones are sent late.
        timeout: Seconds after which a request has failed.
        limit: End after so many requests; 0 goes on until stopped.
        agent: What the requests say that sends them.
    """

    def __init__(
        self,
        *,
        port: int,
        authority: str,
        target: str = "/productpage",
        rate: float = 150.0,
        watch: str = "reviews",
        connections: int = 8,
        timeout: float = 5.0,
        limit: int = 0,
        agent: str = "demo",
    ) -> None:
        self._caller_of = (port, timeout)
        self._authority = authority
        self._headers = {"user-agent": agent}
        self._target = target
        self._rate = rate
        self._watch = watch
        self._connections = connections
        self._numbers = iter(range(limit)) if limit else itertools.count()
        self._samples: list[Sample] = []
        self._stop = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin sending."""
        self._thread = Thread(target=lambda: asyncio.run(self._run()), name="traffic", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Send nothing more, and wait until every request that was sent has ended."""
        self._stop.set()
        self.join()

    def join(self) -> None:
        """Wait until it has ended by itself at its limit."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def tally(self, since: float | None = None, until: float | None = None) -> Tally:
        """What came of the requests that were sent at `since` or later, and had ended by `until` (`time.monotonic`)."""
        samples = self._samples[:]
        begin, end = since or 0.0, until or float("inf")
        return Tally.of(item for item in samples if item.start >= begin and item.start + item.seconds <= end)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def _run(self) -> None:
        port, timeout = self._caller_of
        caller = Caller("127.0.0.1", port, timeout=timeout)
        begin = time.monotonic()
        try:
            await asyncio.gather(*(self._worker(caller, begin) for _ in range(self._connections)))
        finally:
            caller.close()

    async def _worker(self, caller: Caller, begin: float) -> None:
        for number in self._numbers:
            if self._rate:
                await asyncio.sleep(max(0.0, begin + number / self._rate - time.monotonic()))
            if self._stop.is_set():
                return
            self._samples.append(await self._request(caller))

    async def _request(self, caller: Caller) -> Sample:
        start = time.monotonic()
        try:
            answer = await caller.get(self._target, authority=self._authority, headers=self._headers)
        except (OSError, WireError) as error:
            return Sample(start, time.monotonic() - start, type(error).__name__, "", str(error))
        seconds = time.monotonic() - start
        if not answer.ok:
            return Sample(start, seconds, str(answer.status), "", answer.body[:300].decode(errors="replace"))
        try:
            return Sample(start, seconds, "200", version_of(json.loads(answer.body), self._watch))
        except ValueError:
            return Sample(start, seconds, "not-json", "", answer.body[:300].decode(errors="replace"))


def version_of(answer: Any, app: str) -> str:
    """The version of an application in an answer or in the answers below it; "" if it took no part."""
    if not isinstance(answer, dict):
        return ""
    if answer.get("app") == app:
        return str(answer.get("version", ""))
    return next((found for below in answer.get("calls", ()) if (found := version_of(below, app))), "")
