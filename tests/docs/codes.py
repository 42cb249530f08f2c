"""What docs/errors.md says of each code: what it means, taken from the source wherever it stands there, and what to do.

Meanings come from `policy.CODES` and from the docstrings of the error classes. Only codes that the source explains nowhere are
explained here. Advice is written here: a message's own hint knows the case at hand, this knows the kind of case.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import reconciler
from reconciler.errors import BugError, PermanentError, ReconcilerError, RefusedError, TransientError
from reconciler.model.discovered import Knowledge
from reconciler.model.receipt import OutcomeKind
from reconciler.plan.guards import GUARDS
from reconciler.policy import CODES

COMPUTED: Mapping[str, tuple[str, ...]] = {
    "f'proxy-{outcome.kind}'": tuple(f"proxy-{kind}" for kind in OutcomeKind if kind is not OutcomeKind.APPLIED),
    "f'discovery-{item.knowledge}'": tuple(f"discovery-{word}" for word in Knowledge if word is not Knowledge.LIVE),
}
"""Codes that the source puts together, by the expression."""

_WARNING = " (warning)"
_KINDS = ((TransientError, "retried"), (PermanentError, "permanent"), (RefusedError, "refused"), (BugError, "bug"))


@dataclass(frozen=True, slots=True)
class Entry:
    """One code.

    Attributes:
        advice: What to do.
        meaning: Only where the source has none.
        kind: Likewise: `input`, `warning`, `refused`, `retried`, `permanent`.
    """

    advice: str
    meaning: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What the source itself says of a code."""

    meaning: str
    kind: str


def known() -> dict[str, Known]:
    """Meaning and kind by code, as far as they can be read from the source."""
    found: dict[str, Known] = {}
    for module in pkgutil.walk_packages(reconciler.__path__, "reconciler."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for error in _errors(ReconcilerError):
        if "default_code" in vars(error):
            kind = next((word for base, word in _KINDS if issubclass(error, base)), "input")
            found[error.default_code] = Known(_first(error), kind)
    for guard in GUARDS:
        found[guard.code] = Known(_first(type(guard)), "refused")
    for code, text in CODES.items():
        kind = "warning" if text.endswith(_WARNING) else "input"
        found[code] = Known(f"{text.removesuffix(_WARNING)}.", kind)
    return found


def _errors(base: type[ReconcilerError]) -> Iterator[type[ReconcilerError]]:
    for error in base.__subclasses__():
        yield error
        yield from _errors(error)


def _first(item: type) -> str:
    """The first paragraph of a docstring."""
    return " ".join((item.__doc__ or "").partition("\n\n")[0].split())
