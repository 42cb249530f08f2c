"""The one interface between the fleet and the ways to push to a proxy.

`ads`, `files` and `runtime` implement it; `fleet` chooses one per proxy, by `spec.push`, and knows nothing else about them. A way
talks about its own proxy only: waiting for the others is the fleet's business.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from reconciler.envoy import AdminError, RuntimeNotModifiableError
from reconciler.errors import PermanentError, ReconcilerError, TransientError
from reconciler.model.mesh import Policy
from reconciler.model.observation import Observation, Proof
from reconciler.model.plan import Change
from reconciler.model.proxy import Proxy
from reconciler.model.receipt import OutcomeKind
from reconciler.model.resource import ResourceId, View
from reconciler.push.phases import Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One proxy in a push.

    Attributes:
        view: What to reach.
        observation: What it serves, read in this pass.
        changes: Why it is pushed to at all; none means that its observation is the proof.
    """

    proxy: Policy[Proxy]
    view: View
    observation: Observation
    changes: tuple[Change, ...] = ()


class RefusedByEnvoyError(PermanentError):
    """Envoy refused what it was sent, or can't take it; it serves what it served.

    Attributes:
        resources: What it refused, by id, as far as that is known for sure; nothing that only came along.
    """

    default_code = "push-rejected"

    def __init__(self, message: str, *, hint: str = "", resources: Iterable[ResourceId] = ()) -> None:
        super().__init__(message, hint=hint)
        self.resources = tuple(sorted(resources))


class NotConfirmedError(TransientError):
    """Envoy did not show what it was sent within the deadline; it may still come to it."""

    default_code = "push-late"


class DisconnectedError(TransientError):
    """A proxy that is pushed to by ADS holds no stream to this daemon; it serves what it served."""

    default_code = "ads-disconnected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """What the last reading of a push shows.

    Attributes:
        observation: Complete: what was not read again is as it was before the push.
        detail: What keeps it from being exact, or "".
    """

    observation: Observation
    proof: Proof
    detail: str = ""


class Way(Protocol):
    """How one proxy is pushed to, for one push. Used by one thread at a time; keeps what it learns between phases.

    In order: `prepare` once, `run` for each phase it named (the later ones may be held back), `prove` once, also after
    a failure. They raise `ReconcilerError` only.
    """

    def prepare(self) -> frozenset[Phase]:
        """Look at what is there, change nothing, and say in which phases there is something to do."""

    def run(self, phase: Phase, *, until: float) -> None:
        """Carry out one phase and confirm it.

        Args:
            phase: One that `prepare` named.
            until: On the clock's monotonic scale: when to stop waiting for the confirmation.

        Raises:
            RefusedByEnvoyError: What Envoy refused is taken back, so that a restart serves what serves now.
            DisconnectedError: There is no stream to send it on.
            NotConfirmedError: It is not known to be live in time.
            WriteError: The disk refused.
            AdminError: The proxy went away.
        """

    def prove(self) -> Proven:
        """Read what the push touched once more, and say how surely it is the view.

        Never raises for a proxy that can't be read: what was confirmed stays confirmed.
        """

    @property
    def refusal(self) -> RefusedByEnvoyError | None:
        """What Envoy has refused so far without stopping the rest; None if nothing. Nothing may be removed then."""

    @property
    def sent(self) -> float:
        """Seconds spent sending so far, without waiting for confirmation; 0 if nothing was sent."""


def kind_of(error: ReconcilerError) -> OutcomeKind:
    """How a proxy that stopped with this error ended."""
    kinds: tuple[tuple[type[ReconcilerError], OutcomeKind], ...] = (
        (RefusedByEnvoyError, OutcomeKind.REJECTED),
        (RuntimeNotModifiableError, OutcomeKind.REJECTED),
        (NotConfirmedError, OutcomeKind.LATE),
        (AdminError, OutcomeKind.UNREACHABLE),
        (DisconnectedError, OutcomeKind.UNREACHABLE),
    )
    return next((kind for type_, kind in kinds if isinstance(error, type_)), OutcomeKind.FAILED)
