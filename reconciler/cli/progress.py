"""What a person sees on stderr while a pass runs. Silent when nobody watches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from reconciler.cycle.report import Progress, Stage, silent


@contextmanager
def watcher(stream: TextIO) -> Iterator[Progress]:
    """Progress as one line that is replaced, on a terminal; nothing elsewhere."""
    if not stream.isatty():
        yield silent
        return
    from rich.console import Console

    with Console(file=stream).status("starting") as line:

        def show(stage: Stage, detail: str) -> None:
            line.update(f"{stage} {detail}".rstrip())

        yield show
