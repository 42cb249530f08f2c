"""Holds what the demo says against what is measured: receipts in Git, answers of the applications, logs, counters and versions of Envoys.

Every look has an end: patience runs out, and a daemon that died is noticed. What does not hold is a `ClaimError`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from reconciler.cli.demo.commands import Daemon
from reconciler.cli.demo.counters import Counts, answered, updated
from reconciler.cli.demo.drift import BY_HAND, RouteFile
from reconciler.cli.demo.journey import FOLLOWED, Journey, journeys
from reconciler.cli.demo.receipts import NOTHING, Said, said
from reconciler.cli.demo.screen import Screen
from reconciler.cli.demo.split import bounds
from reconciler.cli.demo.stage import Stage
from reconciler.cli.demo.traffic import Tally
from reconciler.cli.remote import status_there
from reconciler.envoy import Admin
from reconciler.errors import PermanentError
from reconciler.model.resource import ResourceType
from reconciler.settings import AdminSettings

CONFIDENCE = 0.9999
"""Of each of the demo's splits: they are many, and a show that ends by chance alone is one too many."""

_OK = 200
_RATE = 200.0
_REQUESTS = 400
_PATIENCE = 20.0
_POLL = 0.02
_WATCHED = 40
_SABOTAGES = 5

_Done = TypeVar("_Done")


class ClaimError(PermanentError):
    """Something that the demo says did not hold."""

    default_code = "demo-claim"


def claim(holds: bool, otherwise: str) -> None:
    """Go on only if this holds.

    Raises:
        ClaimError: It does not; the message is `otherwise`.
    """
    if not holds:
        raise ClaimError(otherwise)


class Witness:
    """Watches one stage with one daemon and one stream of traffic.

    Attributes:
        daemon: Set by `start_daemon`.
        traffic: Users of the gateway, at a constant rate; not started yet.
    """

    def __init__(self, stage: Stage, screen: Screen) -> None:
        self._stage = stage
        self._screen = screen
        self.traffic = stage.traffic(rate=_RATE)
        self.daemon: Daemon | None = None

    def start_daemon(self, *arguments: str) -> None:
        """Start the daemon that all the waiting depends on."""
        self.daemon = self._stage.daemon(*arguments)

    def kill_daemon(self) -> None:
        """End it as a crash would; until another one is started, nobody is expected to be there."""
        daemon, self.daemon = self.daemon, None
        if daemon is not None:
            daemon.kill()

    def log(self) -> str:
        """What the daemon has logged so far."""
        return self.daemon.read() if self.daemon else ""

    def proven(self, commit: str, *, since: str = "the push", gathering: bool = False) -> None:
        """Wait for the receipt of a policy commit, and show it, with the time that it took since an event just now.

        Args:
            commit: Which.
            since: What the event was.
            gathering: Whether proxies may be on their way to a new daemon: the receipt that counts is then the one with all of them.
        """
        begin = time.monotonic()
        self.until(lambda: self._receipt().policy == commit, "the receipt")
        if gathering:
            self.until(
                lambda: (found := self._receipt()).policy == commit and found.everywhere,
                "the receipt that has all proxies",
            )
        receipt = self._receipt()
        claim(receipt.everywhere, f"the receipt says {receipt.outcome}: {receipt.subject}")
        self._screen.proof(f"{receipt.subject}  ({time.monotonic() - begin:.1f} s after {since})")

    def measured(self, weights: Mapping[str, float]) -> None:
        """Wait for some hundred answers, and hold what the applications served against the weights, in percent."""
        begin = time.monotonic()
        self.until(lambda: self.traffic.tally(begin).requests >= _REQUESTS, f"{_REQUESTS} answers")
        self.shown_split(self.traffic.tally(begin), weights)

    def shown_split(self, tally: Tally, weights: Mapping[str, float]) -> None:
        """Hold requests of a time in which one split was in force against its weights, in percent, and show them."""
        none_failed(tally)
        split_as(tally, weights)
        asked = " / ".join(f"{weight:g}" for weight in weights.values())
        self._screen.proven_split(tally, f"Git says {asked}; {tally.requests} requests, 0 failed", tuple(weights))

    def followed(self, way: Sequence[str]) -> Journey:
        """Send one request, before there is any other, and follow it through the logs and the counters of all Envoys.

        Args:
            way: The proxies that log it, in order, each as often as it does.
        """
        logs = {name: envoy.log for name, envoy in self._stage.envoys.items()}
        known = {journey.request for journey in journeys(logs)}
        before = answered(self._stage.admins)
        with self._stage.traffic(rate=0, limit=1, connections=1, agent=FOLLOWED) as alone:
            alone.join()
        none_failed(alone.tally())

        def seen() -> tuple[list[Journey], Counts]:
            found = [journey for journey in journeys(logs) if journey.request not in known]
            return found, answered(self._stage.admins) - before

        self.until(
            lambda: sum(len(item.hops) for item in seen()[0]) >= len(way) <= seen()[1].total(), "the Envoys' logs"
        )
        every, counted = seen()
        claim(len(every) == 1, f"one request was sent, the logs have the ids of {len(every)}")
        _whole(every[0], way)
        claim(counted == every[0].counters, f"the logs say {every[0].counters}, the counters grew by {counted}")
        return every[0]

    def changed(self, act: Callable[[], None]) -> Counts:
        """What all Envoys together were sent during something, of routes and endpoints."""
        before = updated(self._stage.admins)
        act()
        return updated(self._stage.admins) - before

    def connected(self, text: str, commit: str) -> None:
        """Hold the table of `reconcile status` against what should be: all in sync, all proven, and every stream there."""
        rows = {row[0]: row[1:] for row in map(str.split, text.splitlines()) if row and "/" in row[0]}
        for proxy in self._stage.mesh.proxies:
            stream = "yes" if proxy.spec.push.ads is not None else "-"
            row = rows.get(str(proxy.key), [])
            claim(
                row[:6] == ["in-sync", "0", "applied", "exact", stream, commit[:7]],
                f"the status of {proxy.key} is not what it should be: {' '.join(row) or 'there is none'}",
            )

    def shared(self, service: str, newcomer: str) -> None:
        """Wait for some hundred answers, and hold against each other what the versions of a service have served of them.

        Endpoints are chosen by who has the least to do, so that equal parts are likely and nothing more.
        """
        before, begin = self._stage.counts(), time.monotonic()
        self.until(lambda: self.traffic.tally(begin).requests >= _REQUESTS, f"{_REQUESTS} answers")
        none_failed(self.traffic.tally(begin))
        grown = self._stage.counts() - before
        served = {name: count for name, count in sorted(grown.items()) if name.startswith(f"{service}-")}
        claim(
            served.get(newcomer, 0) * 4 > sum(served.values()),
            f"{newcomer} has less than a quarter to do: {dict(served)}",
        )
        parts = ", ".join(f"{name} {count}" for name, count in served.items())
        self._screen.proof(f"Served since then: {parts}; 0 failed.")

    def awaited(self, proxy: str) -> None:
        """Wait until the daemon knows a proxy's stream, so that it is pushed to as soon as Git has it."""

        def there() -> bool:
            proxies = status_there(self._stage.control)["proxies"]
            return any(item["proxy"] == proxy and (item["connection"] or {}).get("connected") for item in proxies)

        self.until(there, f"the stream of {proxy}")

    def untouched(self, act: Callable[[], _Done]) -> _Done:
        """Do something, and make sure that no branch and no file of any Envoy is other than before."""
        before = self._touchable()
        done = act()
        claim(self._touchable() == before, "a branch or a file of an Envoy has changed, which should not have")
        return done

    def repaired(self, proxy: str) -> tuple[float, Tally]:
        """Sabotage a proxy's routes until they stay broken for long enough to be seen in the traffic.

        Returns:
            Seconds until the daemon had repaired it, and what came of the requests while it was broken.
        """
        spec = self._stage.proxy(proxy).spec
        if spec.push.files is None:
            raise ClaimError(f"{proxy} has no files that could be edited")
        file = RouteFile.find(Path(spec.push.files.directory), service="productpage")
        with Admin(spec.admin, AdminSettings()) as admin:

            def version() -> str:
                return admin.versions().versions[ResourceType.ROUTE, file.name]

            for _ in range(_SABOTAGES):
                begin = time.monotonic()
                file.answer_here()
                self.until(lambda: version() == BY_HAND, "the Envoy to take the edit")
                broken = last = time.monotonic()
                while version() == BY_HAND:
                    last = time.monotonic()
                    self._pause(begin, "the daemon to repair the drift")
                claim(version() == file.version, "the edit by hand was replaced by something else than what Git says")
                tally = self.traffic.tally(broken, until=last)
                if tally.requests >= _WATCHED:
                    return last - begin, tally
        raise ClaimError(f"{_SABOTAGES} times the daemon repaired the drift before {_WATCHED} requests could show it")

    def until(self, condition: Callable[[], bool], what: str, *, patience: float = _PATIENCE) -> None:
        """Wait for something, as long as the daemon runs and patience (in seconds) lasts."""
        begin = time.monotonic()
        while not condition():
            self._pause(begin, what, patience)

    def _pause(self, begin: float, what: str, patience: float = _PATIENCE) -> None:
        if self.daemon is not None:
            self.daemon.check()
        claim(time.monotonic() - begin < patience, f"waited {patience:.0f} s for {what}")
        time.sleep(_POLL)

    def _touchable(self) -> tuple[str, Mapping[str, bytes]]:
        refs = self._stage.clone.git(f"--git-dir={self._stage.clone.remote}", "for-each-ref")
        files = (file for file in (self._stage.root / "envoy").glob("*/xds/**/*") if file.is_file())
        return refs, {str(file): file.read_bytes() for file in files}

    def _receipt(self) -> Said:
        """The newest receipt; an empty one if there is none."""
        return next(iter(said(self._stage.clone)), NOTHING)


def _whole(journey: Journey, way: Sequence[str]) -> None:
    """Go on only if a request went this way, every answer came back whole, and no Envoy was left out in between."""
    logged = [hop.proxy for hop in journey.hops]
    claim(logged == list(way), f"the request was logged by {', '.join(logged)}")
    for hop in journey.hops:
        claim(hop.status == _OK, f"{hop.proxy} answered {hop.status}")
        if hop.outbound:
            arrival = journey.arrival(hop)
            if arrival is None:
                raise ClaimError(f"what {hop.proxy} sent to {hop.went[1]} is in no other Envoy's log")
            claim(arrival.size == hop.size, f"{arrival.proxy} answered {arrival.size} bytes, {hop.proxy} {hop.size}")


def none_failed(tally: Tally, *, ordered: int = 0) -> None:
    """Go on only if every request ended in a 200, but for exactly so many that an application failed because it was told to."""
    told = f" ({tally.ordered} by order, which {ordered} should have)" if ordered or tally.ordered else ""
    claim(
        tally.failed == tally.ordered == ordered,
        f"{tally.failed} of {tally.requests} requests failed{told}: {'; '.join(tally.failures)}",
    )


def split_as(tally: Tally, weights: Mapping[str, float], *, failing: str = "") -> None:
    """Go on only if requests were split as these weights, in percent, say.

    Args:
        tally: The requests.
        weights: By version.
        failing: The version that fails by order: what failed so was its share too.
    """
    for version, weight in weights.items():
        low, high = bounds(tally.requests, weight / 100, confidence=CONFIDENCE)
        count = tally.versions[version] + (tally.ordered if version == failing else 0)
        claim(
            low <= count <= high,
            f"reviews {version} served {count} of {tally.requests} requests; {weight:g}% means {low} to {high} of them",
        )
