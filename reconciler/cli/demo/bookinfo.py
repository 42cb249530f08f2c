"""The applications of the worked example, in one child process: `python -m reconciler.cli.demo.bookinfo`.

Each application is a listening socket that was inherited. It answers JSON: who it is, and what it got from the services
it calls, through its sidecar's outbound listener as an HTTP proxy. A call below that fails makes the answer a 502, so that
no failure is hidden from whoever asked first.

Standard input: one JSON line with the applications, then orders, a line each: `counts`, `failures`, `times`, or
`fail APP-VERSION SHARE`, from when on that one fails this share of its requests with a 500. Each is answered by one JSON line, by
`app-version`: the requests that came so far, those of them that failed by order, or when the first and the last one came. At its end the
process ends too, so it never outlives the one that started it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any

from reconciler.cli.demo.wire import Answer, Caller, Request, WireError, converse

SERVICE_PORT = 9080
BY_ORDER = "failed by order"
"""What an application says that fails because it was told to, and what everyone above it says then."""
_PASSED_ON = frozenset({"x-request-id", "user-agent"})


class Ledger:
    """What the applications of one process did, by `app-version`.

    Attributes:
        counts: Requests that came.
        failures: Those of them that were failed by order.
        times: When the first and the last one came, by `time.monotonic`, which all processes of a machine share.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.times: dict[str, tuple[float, float]] = {}

    def came(self, name: str) -> None:
        """A request came, just now."""
        self.counts[name] += 1
        now = time.monotonic()
        first, _ = self.times.get(name, (now, now))
        self.times[name] = first, now


class Application:
    """One version of one service.

    Args:
        app: Service name.
        version: Its version.
        calls: Services that it calls, in order.
        egress: Port of its sidecar's outbound HTTP proxy on 127.0.0.1; needed if it calls anything.
        ledger: Where it counts what it did.

    Attributes:
        name: `app-version`.
        fail: Share of the requests, 0 to 1, that it is to fail: every second one for 0.5.
    """

    def __init__(self, *, app: str, version: str, calls: list[str], egress: int, ledger: Ledger) -> None:
        self._own = {"app": app, "version": version}
        self.name = f"{app}-{version}"
        self.fail = 0.0
        self._due = 0.0
        self._calls = calls
        self._sidecar = Caller("127.0.0.1", egress, timeout=4.0)
        self._ledger = ledger
        self._leaf = Answer(200, json.dumps(self._own).encode())

    async def answer(self, request: Request) -> Answer:
        """Serve any path: ask the services below, and say what they said.

        A sidecar can't know which of an application's calls belongs to which request it took in; the headers say it.
        """
        self._ledger.came(self.name)
        self._due += self.fail
        if self._due >= 1:
            self._due -= 1
            self._ledger.failures[self.name] += 1
            return Answer(500, json.dumps(self._own | {"reason": BY_ORDER}).encode())
        if not self._calls:
            return self._leaf
        passed = {name: value for name, value in request.headers.items() if name in _PASSED_ON}
        below: list[Any] = []
        for service in self._calls:
            authority = f"{service}:{SERVICE_PORT}"
            try:
                answer = await self._sidecar.get(f"http://{authority}/{service}", authority=authority, headers=passed)
            except (OSError, WireError) as error:
                return self._failed(service, f"{type(error).__name__}: {error}")
            if not answer.ok:
                return self._failed(service, f"{answer.status} {answer.body[:200].decode(errors='replace')}")
            below.append(json.loads(answer.body))
        return Answer(200, json.dumps(self._own | {"calls": below}).encode())

    def close(self) -> None:
        """Close the connections to the sidecar."""
        self._sidecar.close()

    def _failed(self, service: str, reason: str) -> Answer:
        return Answer(502, json.dumps(self._own | {"failed": service, "reason": reason}).encode())


async def _serve(specs: list[Mapping[str, Any]], orders: asyncio.StreamReader) -> None:
    ledger = Ledger()
    applications = {}
    for spec in specs:
        known = {key: value for key, value in spec.items() if key != "fd"}
        application = Application(**known, ledger=ledger)
        inherited = socket.socket(fileno=int(spec["fd"]))
        await asyncio.start_server(partial(converse, handler=application.answer), sock=inherited)
        applications[application.name] = application
    books: Mapping[str, Mapping[str, Any]] = {
        "counts": ledger.counts,
        "failures": ledger.failures,
        "times": ledger.times,
    }
    _say(ledger.counts)
    while order := (await orders.readline()).decode().split():
        if order[0] == "fail":
            applications[order[1]].fail = float(order[2])
        _say(books.get(order[0], ledger.counts))
    for application in applications.values():
        application.close()


def _say(book: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(book) + "\n")
    sys.stdout.flush()


async def main() -> None:
    """Serve until standard input ends."""
    orders = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin.buffer)
    try:
        await _serve(json.loads(await orders.readline() or b"[]"), orders)
    finally:
        transport.close()


if __name__ == "__main__":
    asyncio.run(main())
