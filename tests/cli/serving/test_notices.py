from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.cli.serving.notices import KINDS, PageObserver
from reconciler.cycle import Report
from reconciler.errors import TransientError
from reconciler.model.key import Key
from reconciler.model.observation import Proof
from reconciler.model.receipt import Outcome, OutcomeKind
from reconciler.web import Notices

A = Key("default", "a")


class Told(Notices):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(KINDS)
        self.told: list[str] = []

    def tell(self, kind: str, said: Mapping[str, Any]) -> None:
        super().tell(kind, said)
        assert set(said) == {"read"}  # nothing is told that has to be read by a role
        self.told.append(kind)

    def taken(self) -> list[str]:
        told, self.told = self.told, []
        return told


def report(kind: OutcomeKind = OutcomeKind.APPLIED, **fields: Any) -> Report:
    return Report(head="h", outcomes={A: Outcome(proxy=A, kind=kind, proof=Proof.EXACT)}, **fields)


def test_each_pass_is_told_and_what_else_has_changed_by_it() -> None:
    """Proxies when one stands differently, discovery and rollouts when they were at work."""
    told = Told()
    observer = PageObserver(told)
    observer.passed(report(), reasons=["start"], whole=True)
    assert told.taken() == ["pass", "proxy"]
    observer.passed(report(), reasons=["drift"], whole=True)
    assert told.taken() == ["pass"]
    observer.passed(report(OutcomeKind.REJECTED), reasons=["drift", "discovery"], whole=True)
    assert told.taken() == ["pass", "proxy", "discovery"]
    observer.passed(report(OutcomeKind.REJECTED, again=3.0), reasons=["connect"], whole=True)
    assert told.taken() == ["pass", "rollout", "proxy"]
    observer.broken(ValueError())
    assert told.taken() == ["pass"]


def test_git_is_told_of_when_its_answer_changes() -> None:
    """It is asked all the time, and mostly says the same."""
    told = Told()
    observer = PageObserver(told)
    for error in (None, None, TransientError("down"), TransientError("down"), None):
        observer.git_asked(error)
    assert told.taken() == ["pass", "pass"]
