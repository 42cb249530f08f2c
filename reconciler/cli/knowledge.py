"""What a daemon says over HTTP: whether it gets on, whether it can answer for the fleet, and the documents of status and services.

Pure, given the daemon's state and the streams' at one instant, but for one thing: that it was ready once is remembered.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reconciler.cli.holding import held_document
from reconciler.cli.registries import registry_document
from reconciler.clock import Clock
from reconciler.model.key import Key
from reconciler.model.receipt import OutcomeKind

if TYPE_CHECKING:
    from reconciler.cycle import Inventory, Report
    from reconciler.daemon import GitState, State, Verified
    from reconciler.model.discovered import Standing
    from reconciler.model.mesh import Mesh
    from reconciler.model.receipt import Outcome
    from reconciler.xds import NodeState


class DaemonKnowledge:
    """What is shown; the state is read anew for each answer.

    Args:
        state: The daemon's, at this instant.
        connections: The streams', by proxy; empty without ADS.
        admins: The admin endpoints, by proxy; where a command on this machine can ask what no pass does.
        standings: How well registries are known, at this instant.
        inventory: The services that there are, at this instant; None before the first pass has compiled them.
        repository: As users know it.
        ref: The branch that is served.
        streams: Whether proxies have their streams here, and so depend on what was published for them.
    """

    def __init__(
        self,
        *,
        state: Callable[[], State],
        connections: Callable[[], Mapping[Key, NodeState]],
        clock: Clock,
        repository: str,
        ref: str,
        admins: Callable[[], Mapping[Key, str]] = dict,
        standings: Callable[[], Sequence[Standing]] = tuple,
        inventory: Callable[[], Inventory | None] = lambda: None,
        streams: bool = False,
    ) -> None:
        self._state = state
        self._connections = connections
        self._clock = clock
        self._repository = repository
        self._ref = ref
        self._admins = admins
        self._standings = standings
        self._inventory = inventory
        self._unserved = streams

    def health(self) -> str:
        """Why the loop does not get on; "" if it does, or waits for something to do."""
        busy = self._state().hanging(self._clock.monotonic())
        return f"a pass has been running for {busy:.0f} s" if busy else ""

    def readiness(self) -> str:
        """Why the daemon can't answer for the fleet; "" from the end of the first pass until it is told to stop.

        Where proxies have their streams here, that pass has to have brought something for those that are connected. Once it has,
        a newcomer that waits for a pass makes nobody unready: the others need the daemon where they find it.
        """
        state = self._state()
        if state.stopping:
            return "the daemon is stopping"
        if state.last is None:
            return "the first pass has not ended"
        if self._unserved:
            report, connections = state.last.report, self._connections()
            if not report.applied:
                return "no commit could be applied yet, so there is nothing to serve"
            members = report.plan.proxies if report.plan is not None else ()
            nodes = {item.proxy: connections.get(item.proxy) for item in members}
            waiting = [key.short() for key, node in nodes.items() if node and node.connected and not node.published]
            if waiting:
                return f"nothing has been published yet for {waiting[0]}{f' and {len(waiting) - 1} more' * (len(waiting) > 1)}"
            self._unserved = False
        return ""

    def status(self) -> Mapping[str, Any]:
        """The status document: the contract of `GET /v1/status`."""
        from reconciler import __version__

        state = self._state()
        connections, admins = self._connections(), self._admins()
        last = state.last
        report = last.report if last is not None else None
        members = (
            {item.proxy for item in report.plan.proxies} if report is not None and report.plan is not None else set()
        )
        outcomes = report.outcomes if report is not None else {}
        lacking = _lacking(report) if report is not None else {}
        return {
            "schema_version": 1,
            "version": __version__,
            "repository": self._repository,
            "ref": self._ref,
            "pid": os.getpid(),
            "started": state.started.isoformat(),
            "now": self._clock.now().isoformat(),
            "ready": not self.readiness(),
            "reason": self.readiness() or self.health(),
            "held": held_document(self._mesh(), self._clock.now()),
            "git": _git(state.git),
            "pass": None if last is None else {"ended": last.ended.isoformat(), "reasons": list(last.reasons)}
            | _pass(last.report),
            "proxies": [
                _proxy(key, outcomes.get(key), state.verified.get(key), connections.get(key), lacking.get(key, 0))
                | {"admin": admins.get(key)}
                for key in sorted({*members, *outcomes, *state.verified, *connections})
            ],
            "registries": [registry_document(item) for item in self._standings()],
        }  # fmt: skip

    def _mesh(self) -> Mesh | None:
        """What is to be in force, as far as a pass has compiled it."""
        inventory = self._inventory()
        return inventory.desired.source if inventory is not None else None

    def services(self) -> Mapping[str, Any]:
        """The services document: the contract of `GET /v1/services`.

        Raises:
            NotReadyError: No pass has compiled them yet.
        """
        from reconciler.cli.services.inventory import inventory_document
        from reconciler.web import NotReadyError

        found = self._inventory()
        if found is None:
            raise NotReadyError(
                "no pass has read the services yet", hint="ask again in a moment, or see the daemon's log"
            )
        document = inventory_document(found, repository=self._repository, ref=self._ref, now=self._clock.now())
        return document | {"pid": os.getpid()}


def _git(git: GitState) -> dict[str, Any]:
    return {
        "asked": git.asked.isoformat() if git.asked is not None else None,
        "answered": git.answered.isoformat() if git.answered is not None else None,
        "errors": [item.as_json() for item in git.problem.diagnostics] if git.problem is not None else [],
    }


def _pass(report: Report) -> dict[str, Any]:
    refused = report.plan.refused if report.plan is not None else ()
    return {
        "head": report.head,
        "applied": report.applied,
        "exit_code": report.exit_code(),
        "receipt": report.receipt.commit if report.receipt is not None else None,
        "refused": [item.as_json() for item in refused],
        "errors": [item.as_json() for item in report.errors],
        "seconds": {str(stage): round(seconds, 6) for stage, seconds in report.seconds.items()},
    }


def _lacking(report: Report) -> Mapping[Key, int]:
    """How many changes the last pass found a proxy to need and did not bring it."""
    return {
        item.proxy: len(item.changes)
        for item in (report.plan.proxies if report.plan is not None else ())
        if item.proxy not in report.outcomes or report.outcomes[item.proxy].kind is not OutcomeKind.APPLIED
    }


def _proxy(
    key: Key, outcome: Outcome | None, verified: Verified | None, node: NodeState | None, pending: int
) -> dict[str, Any]:  # fmt: skip
    return {
        "proxy": str(key),
        "outcome": str(outcome.kind) if outcome is not None else None,
        "proof": str(outcome.proof) if outcome is not None else None,
        "pending": pending,
        "detail": outcome.detail if outcome is not None else "",
        "revision": verified.commit if verified is not None else None,
        "verified_at": verified.at.isoformat() if verified is not None else None,
        "connection": _connection(node) if node is not None else None,
    }


def _connection(node: NodeState) -> dict[str, Any]:
    return {
        "connected": node.connected,
        "since": node.since.isoformat() if node.since is not None else None,
        "peer": node.peer,
        "client": node.client,
        "variant": node.variant,
        "commit": node.commit,
        "settled": node.settled,
        "blocked": round(node.blocked, 3),
        "acked": {str(kind): version for kind, version in sorted(node.acked.items())},
        "waiting": sorted(str(kind) for kind in node.waiting),
        "held": [
            {
                "type": str(resource.type),
                "name": resource.name,
                "version": hold.version,
                "words": hold.words,
                "at": hold.at.isoformat(),
            }
            for resource, hold in sorted(node.held.items(), key=lambda item: (item[0].type.order, item[0].name))
        ],
        "resources_sent": node.resources_sent,
        "bytes_sent": node.bytes_sent,
        "streams": node.streams,
    }
