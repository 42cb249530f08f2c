"""What the log says of a registry: a line when it becomes stale or comes back, when losses are held or believed, when instances flap.

Two standings are compared, at most once a second: never a line for each event. Pure.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from reconciler.model.discovered import Held, Knowledge, Standing

Line = tuple[int, str]
"""Level, and text."""


def told(before: Standing | None, now: Standing) -> Iterator[Line]:
    """What is worth a line of how a registry stands now, and did not a moment ago; None if it is new."""
    yield from _knowledge(before, now)
    had = before.held if before is not None else ()
    if now.held and not had:
        yield logging.WARNING, f"registry {now.registry} is not believed: {_losses(now.held)}"
    elif had and not now.held and now.knowledge is Knowledge.LIVE:
        yield logging.INFO, f"registry {now.registry}: what was lost is listed again, or believed by now"
    flapped = before.flapping if before is not None else ()
    if now.flapping and not flapped:
        yield (
            logging.WARNING,
            f"registry {now.registry}: {_flapping(now.flapping)} come and go too often, and are left out",
        )
    elif flapped and not now.flapping:
        yield logging.INFO, f"registry {now.registry}: instances that came and went are steady"


def _knowledge(before: Standing | None, now: Standing) -> Iterator[Line]:
    was = before.knowledge if before is not None else None
    problem = "" if now.problem is None else f": {now.problem.message}"
    if now.knowledge is Knowledge.LIVE:
        if was is not Knowledge.LIVE:
            yield (
                logging.INFO,
                f"registry {now.registry} answers (services: {now.services}, instances: {now.instances})",
            )
        elif now.problem is not None and (before is None or before.problem is None):
            yield logging.WARNING, f"registry {now.registry} can't be used in all parts{problem}"
        return
    if now.problem is None or (before is not None and was is now.knowledge and before.problem is not None):
        return
    stale = now.knowledge is Knowledge.STALE
    used = f"what it said last stays in use (services: {now.services})" if stale else "nothing is known of it"
    yield logging.WARNING, f"registry {now.registry} does not answer, and {used}{problem}"


def _losses(held: tuple[Held, ...]) -> str:
    first = held[0]
    more = f", and {len(held) - 1} more" if len(held) > 1 else ""
    what = first.host or "the registry"
    return f"{first.has} of {first.had} instances of {what} are left{more}; until {first.until:%H:%M:%S} UTC all stay in use"


def _flapping(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
