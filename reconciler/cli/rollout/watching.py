"""`reconcile rollout show --watch`: the same text again whenever something happens; on a terminal the clock ticks too."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from reconciler.cli.output import put, say
from reconciler.cli.rollout.looking import document_of
from reconciler.cli.rollout.words import show_text
from reconciler.errors import TransientError

if TYPE_CHECKING:
    from reconciler.cli.rollout.reading import Reader
    from reconciler.clock import Clock
    from reconciler.model.key import Key

_PAUSE, _PAUSE_OF_URL = 1.0, 5.0


def watch_rollout(git: Reader, key: Key, clock: Clock) -> None:
    """Show it until somebody ends this process, on a terminal in place, elsewhere one text after the other.

    Raises:
        ReconcilerError: There is no such rollout, any more; a Git that does not answer for a while is only said.
    """
    if sys.stdout.isatty():
        _in_place(git, key, clock)
    last = ""
    while True:
        text, plain = _look(git, key, clock)
        if plain != last and text:
            put(text + "\n")
            last = plain
        clock.sleep(_PAUSE_OF_URL if git.repository.is_url else _PAUSE)


def _in_place(git: Reader, key: Key, clock: Clock) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(Text(), console=Console(), auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            text, _ = _look(git, key, clock)
            if text:
                live.update(Text(text, no_wrap=True, overflow="ellipsis"), refresh=True)
            clock.sleep(_PAUSE_OF_URL if git.repository.is_url else _PAUSE)


def _look(git: Reader, key: Key, clock: Clock) -> tuple[str, str]:
    """The text, and what of it changes only when something happens; nothing while Git does not answer."""
    try:
        document, _ = document_of(git, key, now=clock.now())
    except TransientError as error:
        say(error.diagnostics)
        return "", ""
    return show_text(document), show_text(document, ticking=False)
