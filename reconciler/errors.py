"""Every failure this product can name, and the one form in which users meet it.

The tree is split by what the caller does about it::

    ReconcilerError
    ├── InputError            mend what you wrote, then try again; never retried by the daemon until it changes
    │   ├── UsageError          the command line or the settings
    │   └── PolicyError         documents of one commit; carries all their diagnostics
    ├── RefusedError          nothing was sent; acknowledge it on purpose, or change the plan
    ├── TransientError        the same call may work later: an endpoint is down, a push lost its race
    ├── PermanentError        the outside world said no for good: no such ref, a protected branch, a read-only disk
    └── BugError              our own invariant broke; please report it

Rooms subclass the middle row. What the user reads is always a `Diagnostic`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How much a diagnostic matters: an error stops the commit, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One message to a user: what is wrong, where, and what to do about it.

    Attributes:
        code: Stable and documented, in kebab-case (`weights-sum`). Codes about other documents begin with `ref-`.
        message: What is wrong, as one sentence without a full stop.
        hint: What to do about it, or "".
        file: Path inside the policy repository, if the message has a place.
        line: From 1.
        column: From 1.
    """

    code: str
    message: str
    severity: Severity = Severity.ERROR
    hint: str = ""
    file: str | None = None
    line: int | None = None
    column: int | None = None

    @property
    def place(self) -> str:
        """`file:line:column`, as much of it as is known, as compilers print it."""
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)

    def __str__(self) -> str:
        head = f"{self.place}: " if self.place else ""
        tail = f"\n    {self.hint}" if self.hint else ""
        return f"{head}{self.severity}[{self.code}]: {self.message}{tail}"

    def sort_key(self) -> tuple[str, int, int, str, str]:
        """By place, then code: the order in which all diagnostics are printed."""
        return (self.file or "", self.line or 0, self.column or 0, self.code, self.message)

    def as_json(self) -> dict[str, Any]:
        """The error object of the JSON contract; the place is left out where there is none."""
        out: dict[str, Any] = {
            "code": self.code,
            "severity": str(self.severity),
            "message": self.message,
            "hint": self.hint,
        }
        places = {"file": self.file, "line": self.line, "column": self.column}
        return out | {key: value for key, value in places.items() if value is not None}

    def demoted(self) -> Diagnostic:
        """The same message as a warning."""
        return replace(self, severity=Severity.WARNING)


class ReconcilerError(Exception):
    """Base of all failures that this product names.

    Attributes:
        diagnostics: At least one; what the user reads.
    """

    default_code = "error"

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        hint: str = "",
        diagnostics: Iterable[Diagnostic] = (),
    ) -> None:
        found = tuple(diagnostics)
        self.diagnostics: tuple[Diagnostic, ...] = found or (
            Diagnostic(code=code or self.default_code, message=message, hint=hint),
        )
        super().__init__("\n".join(str(item) for item in self.diagnostics))

    @property
    def code(self) -> str:
        """The code of the first diagnostic."""
        return self.diagnostics[0].code

    @property
    def message(self) -> str:
        """The text of the first diagnostic, without its code and place."""
        return self.diagnostics[0].message


class InputError(ReconcilerError):
    """Something a person wrote is wrong. Terminal until it changes."""

    default_code = "input"


class UsageError(InputError):
    """The command line or the settings are wrong."""

    default_code = "usage"


class PolicyError(InputError):
    """Documents of one commit are wrong. Carries every error found, not the first."""

    default_code = "policy"


class RefusedError(ReconcilerError):
    """A guard or a digest refused the plan; nothing was sent."""

    default_code = "refused"


class TransientError(ReconcilerError):
    """Worth trying again: the network, a lost race, a process that is starting."""

    default_code = "unavailable"


class PermanentError(ReconcilerError):
    """The outside world refuses for good; trying again is a hot loop."""

    default_code = "failed"


class BugError(ReconcilerError):
    """An invariant of our own broke."""

    default_code = "bug"

    def __init__(self, message: str) -> None:
        super().__init__(message, hint="this is a fault of the reconciler: please report it with this message")
