"""What the record branch says was proven, read as anybody can read it: by `git log`."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.cli.demo.clone import Clone

RECORD = "reconciler/record"

_KEYS = ("Policy-Commit", "Outcome")
_FORM = "".join(f"%(trailers:key={key},valueonly,separator=%x2C)%x00" for key in _KEYS) + "%s"
_EVERYWHERE = "applied"


@dataclass(frozen=True, slots=True)
class Said:
    """What one commit of the record branch says.

    Attributes:
        policy: The policy commit that it is about.
        outcome: `applied` if every proxy was proven to have it.
        subject: Its first line.
    """

    policy: str
    outcome: str
    subject: str

    @property
    def everywhere(self) -> bool:
        """Whether every proxy was proven to have it."""
        return self.outcome == _EVERYWHERE


NOTHING = Said("", "", "")


def said(clone: Clone, *, count: int = 1) -> tuple[Said, ...]:
    """The newest commits of the record branch, the newest first; none before there is such a branch."""
    if not clone.tip(RECORD):
        return ()
    lines = clone.log(RECORD, form=_FORM, count=count)
    return tuple(Said(*line.split("\0")) for line in lines)
