"""The story's instances that Git does not know: a registry lists them, and their callers hear of it without a commit.

All that anybody does is to replace the registry's file. When requests came is what the applications say, each of which looks at the same
clock as the one who replaces the file.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from reconciler.cli.demo.counters import Counts
from reconciler.cli.demo.screen import Screen
from reconciler.cli.demo.stage import Stage
from reconciler.cli.demo.targets import MESH, Targets
from reconciler.cli.demo.witness import Witness, claim, none_failed
from reconciler.envoy import Admin
from reconciler.settings import AdminSettings

CALLER, SERVICE = "productpage-v1", "details"
DETAILS = "outbound|9080||details.default.svc.cluster.local"
LISTED, GUEST = "v3", "v4"
"""The one that the registry lists all the while, so that it is never empty, and the one that comes and goes."""

_WITHOUT = 100
"""Requests that others have to serve before one counts as left alone; of four, it would have had every fourth."""
_CHANGES = 3
"""Listed, draining, gone; each is waited for at the Envoy or the application, so that no two become one."""
_TABLE = 5
"""Lines of a table of the service's instances: a header, two of Git's and two of the registry's."""


class Instances:
    """The scene, on one stage."""

    def __init__(self, stage: Stage, screen: Screen, witness: Witness) -> None:
        self._stage = stage
        self._screen = screen
        self._clone = stage.clone
        self._witness = witness

    @property
    def file(self) -> Path:
        """What the registry reads, once the scene has begun."""
        return self._stage.root / "targets.json"

    def play(self) -> None:
        """Name the registry; then one instance is listed, drains and goes."""
        screen = self._screen
        screen.scene("Instances need not be in Git: a registry lists them, and their callers hear of it")
        ports = self._stage.hire(SERVICE, LISTED, GUEST)
        targets = Targets(self.file, app=SERVICE, ports=ports)
        self._name(targets)
        begin = time.monotonic()

        def guest() -> None:
            self._listed(targets)
            self._draining(targets)
            self._services()
            self._gone(targets, ports[GUEST])

        sent = self._witness.changed(lambda: self._witness.untouched(guest))
        times = only_endpoints(sent, least=_CHANGES)
        tally = self._witness.traffic.tally(begin)
        none_failed(tally)
        screen.proof(
            f"Meanwhile: {tally.requests} requests, 0 failed; no commit on any branch; {CALLER} was sent {times} lists of endpoints, "
            "nobody was sent anything else."
        )

    def _name(self, targets: Targets) -> None:
        """The one commit that there is: it says where instances are found, not which there are."""
        screen = self._screen
        targets.publish(LISTED)
        screen.say(
            f"Two more instances of {SERVICE} run, as applications without sidecars. A file in Prometheus's format lists the first:"
        )
        self._show(targets)
        screen.say(f"{MESH} is to say where that file is, and will never say what is in it:")
        screen.quote(f"+ {targets.named.decode()}")
        screen.command('git commit -m "Find instances in a registry" && git push')
        mesh = targets.named_in(self._clone.read(MESH))
        self._witness.proven(self._clone.commit("Find instances in a registry", {MESH: mesh}))
        self._witness.until(lambda: self._times(LISTED) is not None, f"a request to {LISTED}")

    def _listed(self, targets: Targets) -> None:
        begin = targets.publish(LISTED, GUEST)
        self._show(targets)
        self._witness.until(lambda: self._times(GUEST) is not None, f"a request to {GUEST}")
        first, _ = self._times(GUEST) or (begin, begin)
        self._screen.proof(
            f"{GUEST} is listed: it had its first request {_ms(first - begin)} after the file was renamed."
        )

    def _draining(self, targets: Targets) -> None:
        begin = targets.publish(LISTED, GUEST, draining=GUEST)
        self._show(targets)

        def alone() -> bool:
            return self._witness.traffic.tally(max(begin, self._last())).requests >= _WITHOUT

        self._witness.until(alone, f"{GUEST} to be left alone")
        late = self._last() - begin
        came = f"its last request came {_ms(late)} after that" if late > 0 else "it had no request after that"
        self._screen.proof(f"{GUEST} drains: {came}, and the others served the next {_WITHOUT}.")

    def _services(self) -> None:
        """What the product says of it."""
        self._screen.command(f"reconcile services {SERVICE} | tail -{_TABLE}")
        done = self._stage.reconcile("services", SERVICE)
        claim(done.code == 0, f"reconcile services exits with {done.code}: {done.err}")
        table = done.out.rstrip().splitlines()[-_TABLE:]
        self._screen.quote("\n".join(line.removeprefix("  ") for line in table))
        guest_drains(table[1:])

    def _gone(self, targets: Targets, port: int) -> None:
        last = self._last()
        begin = targets.publish(LISTED)
        self._show(targets)
        with Admin(self._stage.proxy(CALLER).spec.admin, AdminSettings()) as admin:
            self._witness.until(
                lambda: port not in {host.port for host in admin.endpoints().get(DETAILS, ())},
                f"{CALLER} to forget {GUEST}",
            )
        forgotten = time.monotonic()
        left_alone(last, self._last())
        self._screen.proof(
            f"{GUEST} is listed no more: {CALLER}'s Envoy had forgotten it {_ms(forgotten - begin)} later."
        )

    def _show(self, targets: Targets) -> None:
        self._screen.command(f"mv {targets.path.name}.new {targets.path.name} && cat {targets.path.name}")
        self._screen.quote(targets.text)

    def _times(self, version: str) -> tuple[float, float] | None:
        return self._stage.times().get(f"{SERVICE}-{version}")

    def _last(self) -> float:
        return (self._times(GUEST) or (0.0, 0.0))[1]


def only_endpoints(sent: Counts, *, least: int) -> int:
    """Go on only if all that the Envoys were sent is the service's endpoints, to the one that calls it, at least so often.

    More often is no fault: what an Envoy is slow to show is sent again.

    Returns:
        How often they were sent.
    """
    times = sent[CALLER, f"cluster.{DETAILS}"]
    claim(
        sent.total() == times >= least,
        f"something else than {least} lists of the endpoints of {SERVICE} was sent: {dict(sent)}",
    )
    return times


def guest_drains(rows: Sequence[str]) -> None:
    """Go on only if a table of instances says that the registry has this one drain, and that all others are healthy."""
    for row in rows:
        of_guest = f"version={GUEST} " in row
        holds = {"draining", "targets"} <= {*row.split()} if of_guest else " healthy " in row
        claim(holds, f"of an instance, reconcile services says what should not be: {row.strip()}")
    claim(sum(f"version={GUEST} " in row for row in rows) == 1, f"reconcile services has not one row for {GUEST}")


def left_alone(before: float, after: float) -> None:
    """Go on only if the last request of an instance that drains is still the same one."""
    claim(before == after, f"{GUEST} had a request {_ms(after - before)} after its last one, while it drained")


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
