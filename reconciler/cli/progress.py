"""What a person sees on stderr while a pass runs. Silent when nobody watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from reconciler.cycle.report import Stage


class Line:
    """What is going on now, in one line; a `Progress`.

    Args:
        show: Replaces the line.
    """

    def __init__(self, show: Callable[[str], None] = lambda _words: None) -> None:
        self._show = show

    def __call__(self, stage: Stage, detail: str) -> None:
        """A pass of this process has come to a stage."""
        self.say(f"{stage} {detail}".rstrip())

    def say(self, words: str) -> None:
        """Something else goes on."""
        self._show(words)


@contextmanager
def watcher(stream: TextIO) -> Iterator[Line]:
    """Progress as one line that is replaced, on a terminal; nothing elsewhere."""
    if not stream.isatty():
        yield Line()
        return
    from rich.console import Console

    with Console(file=stream).status("starting") as line:
        yield Line(line.update)
