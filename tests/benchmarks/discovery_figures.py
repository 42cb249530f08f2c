"""What the benchmarks of discovery measure with: processes, repeated looks, and quantiles."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tests.benchmarks.ads_server import quantile

T = TypeVar("T")


class Usage:
    """CPU and memory of processes from one moment to another."""

    def __init__(self, *pids: int) -> None:
        self._pids = pids
        self._began, self._cpu = time.monotonic(), self._seconds()

    def cpu(self) -> float:
        """Cores that they have used, on average since this was made."""
        return (self._seconds() - self._cpu) / (time.monotonic() - self._began)

    def memory(self) -> float:
        """Resident memory of all, in MB."""
        statms = (Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split() for pid in self._pids)
        return sum(int(found[1]) for found in statms) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def _seconds(self) -> float:
        stats = (Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split() for pid in self._pids)
        return sum(int(found[11]) + int(found[12]) for found in stats) / os.sysconf("SC_CLK_TCK")


def spread(values: list[float]) -> dict[str, float]:
    """p50, p90 and p99, in milliseconds, and how many there are."""
    if not values:
        return {"count": 0}
    return {"count": len(values)} | {f"p{part:g}": quantile(values, part / 100) * 1000 for part in (50, 90, 99)}


@contextmanager
def polling(look: Callable[[], T], into: list[tuple[float, T]], *, every: float = 0.002) -> Iterator[None]:
    """Look again and again on a thread, and keep when that was done and what was seen."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(every):
            found = look()
            into.append((time.monotonic(), found))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
