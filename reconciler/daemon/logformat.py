"""How lines of the log are written: as text for people, or as JSON for programs, one object a line.

What a line is about beside its words comes with the record as `extra={"facts": {...}}`; the names of facts are in `FACTS`. Words of others
(Envoy's, Git's, a commit's, a peer's) can't forge a line in either form, whoever logged them.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from reconciler.clock import rfc3339
from reconciler.plan import visible

FACTS: Mapping[str, str] = {
    "ts": "when, RFC 3339, UTC, with milliseconds",
    "level": "`debug`, `info`, `warning` or `error`",
    "logger": "the part that speaks: `reconciler`, or a library",
    "message": "the words, without code, place and hint",
    "code": "of an error or a warning: [errors.md](errors.md)",
    "hint": "what to do about it",
    "file": "where it is, in the policy repository",
    "line": "from 1",
    "column": "from 1",
    "pass": "which pass: a number that grows, `@`, and when it began; the number begins anew with the process",
    "reasons": "what asked for the pass: list of triggers",
    "head": "the newest commit of the policy branch",
    "commit": "the commit that the line is about, in full",
    "receipt": "the commit of the receipt, in full",
    "seconds": "what each stage of the pass took (`debug`)",
    "registry": "the registry that the line is about",
    "exception": "where a fault was, as Python shows it (`debug`)",
}
"""Every field of a line in JSON; those that a line has nothing to say of are left out. The first four are always there."""

_HINT = "\n    "


def instant(at: datetime) -> str:
    """RFC 3339, UTC, with milliseconds."""
    return rfc3339(at, timespec="milliseconds")


class TextFormatter(logging.Formatter):
    """Lines for people. A line that belongs to the one before is indented; no other begins without a time and a level."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S%z")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- as logging names it
        """The line, with what could forge another escaped."""
        record.message = _HINT.join(map(visible, record.message.split(_HINT)))
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 -- as logging names it
        """The traceback, indented."""
        return "\n".join(f"    {visible(line)}" for line in super().formatException(ei).splitlines())


class JsonFormatter(logging.Formatter):
    """Lines for programs: one object each, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        facts: Mapping[str, Any] = getattr(record, "facts", {})
        line = {
            "ts": instant(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        } | {name: value for name, value in facts.items() if value not in (None, "", [], {})}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


def ends_of_threads(logger: logging.Logger) -> Callable[[threading.ExceptHookArgs], None]:
    """What `threading.excepthook` may be: a thread that ends by an exception is a line of the log, and no bare traceback among objects."""

    def say(ended: threading.ExceptHookArgs) -> None:
        name = ended.thread.name if ended.thread is not None else "of no name"
        logger.error(
            "error[bug]: the thread %s ended by %s",
            name,
            ended.exc_type.__name__,
            exc_info=ended.exc_value,
            extra={"facts": {"code": "bug"}},
        )

    return say
