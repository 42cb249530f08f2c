"""The daemon with stamps: what the benchmarks of discovery start instead of `reconcile daemon`.

    python -m tests.benchmarks.discovery_daemon LOG daemon ...

The product as users run it, in a process of its own; each step on the way of an instance writes a line to a file, which whoever
started it reads: a name, the seconds of the system's monotonic clock, and a JSON object. `yield`: an adapter has said something;
`told`: there is another catalogue; `delivered`: a change was given to all proxies (with `began`, and what it was); `pass`: a pass has
ended. `delivered` also says what was written to all streams since the start. The clock is the same in all processes of a machine.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from reconciler.__main__ import main as product
from reconciler.cycle import Reconciler
from reconciler.daemon import Courier
from reconciler.discovery.contract import Alive
from reconciler.discovery.keeping.registries import Registries
from reconciler.push import Channel
from reconciler.xds.node import Node

_SOON = 0.05


class Stamps:
    """Where the steps are noted: in memory, so that nobody waits for it, and soon in the file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._noted: deque[tuple[str, float, dict[str, object]]] = deque()
        self._responses = self._bytes = 0

    def note(self, name: str, **more: object) -> None:
        self._noted.append((name, time.monotonic(), more))

    def write(self) -> None:
        """Without end."""
        while True:
            time.sleep(_SOON)
            while self._noted:
                name, at, more = self._noted.popleft()
                self._file.write(f"{name} {at:.6f} {json.dumps(more)}\n")
            self._file.flush()

    def install(self) -> None:
        """Around the product's own."""
        threading.Thread(target=self.write, daemon=True).start()
        _around(Registries, "_heard", self._heard)
        _around(Courier, "tell", self._told)
        _around(Channel, "deliver", self._deliver)
        _around(Reconciler, "run", self._pass)
        _around(Node, "next", self._next)

    def _heard(self, original: Callable[..., None], *arguments: Any) -> None:
        if not isinstance(arguments[-1], Alive):
            self.note("yield", what=type(arguments[-1]).__name__)
        original(*arguments)

    def _told(self, original: Callable[..., None], *arguments: Any) -> None:
        self.note("told")
        original(*arguments)

    def _deliver(self, original: Callable[..., Any], *arguments: Any) -> Any:
        began, used = time.monotonic(), time.thread_time()
        done = original(*arguments)
        self.note(
            "delivered", began=began, cpu=time.thread_time() - used, hosts=len(arguments[-1]), proxies=len(done.proxies), resources=done.resources,
            bytes=done.bytes, responses=self._responses, sent=self._bytes,
        )  # fmt: skip
        return done

    def _pass(self, original: Callable[..., Any], *arguments: Any) -> Any:
        began = time.monotonic()
        report = original(*arguments)
        self.note("pass", began=began, code=report.exit_code(), receipt=report.receipt is not None)
        return report

    def _next(self, original: Callable[..., bytes | None], *arguments: Any) -> bytes | None:
        data = original(*arguments)
        if data is not None:  # one thread serves all streams
            self._responses += 1
            self._bytes += len(data)
        return data


def _around(owner: type, name: str, probe: Callable[..., Any]) -> None:
    original = getattr(owner, name)

    @wraps(original)
    def probed(*arguments: Any) -> Any:
        return probe(original, *arguments)

    setattr(owner, name, probed)


def read(path: Path) -> list[tuple[str, float, dict[str, Any]]]:
    """What was noted so far, in order."""
    lines = (line.split(" ", 2) for line in path.read_text(encoding="utf-8").splitlines(keepends=True))
    return [(line[0], float(line[1]), json.loads(line[2])) for line in lines if line[-1].endswith("\n")]


def main() -> None:
    """Put the probes in, then be the product."""
    path = sys.argv.pop(1)
    Stamps(Path(path)).install()
    product()


if __name__ == "__main__":
    main()
