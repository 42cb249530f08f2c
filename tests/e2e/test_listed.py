"""What registries list, end to end: real Envoys under load, and the time from the platform's event to the first and last request."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from reconciler.cli.demo.traffic import Traffic
from reconciler.model.services import Health
from tests.e2e.everywhere import Everywhere, Place
from tests.e2e.instances import Instance
from tests.e2e.listed import first, last, member

ENOUGH = 10.0
"""Seconds, far more than anything takes: what is measured is shown, not judged."""
KINDS = ("fileSd", "httpSd", "dns", "etcd", "consul", "kubernetes")
_ALIKE = {"httpSd", "dns", "consul"}
"""Kinds that go the same way as another one, from their adapters on, which have tests of their own."""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everywhere]:
    """A registry of every kind, with two instances each, applied."""
    with Everywhere(tmp_path_factory.mktemp("e")) as mesh:
        mesh.start_all()
        # Of registries the log speaks once a second.
        mesh.until(lambda: mesh.daemon.read().count(" answers") >= len(mesh.registries), "the log to name all of them")
        _rest(mesh)
        yield mesh


def _rest(mesh: Everywhere) -> None:
    """Wait until nothing of the start is left to do: from one look for drift to the next no pass for anything else."""
    while True:
        log = len(mesh.daemon.read())
        mesh.until(lambda log=log: sum("drift" in why for why in mesh.passes(log)) > 1, "two looks for drift")  # type: ignore[misc]
        if all("discovery" not in why for why in mesh.passes(log)):
            return


@dataclass
class Course:
    """One service under load, and what was measured of it.

    Attributes:
        times: Milliseconds, by what happened.
    """

    mesh: Everywhere
    place: Place
    stack: ExitStack
    record: Callable[[str, object], None]
    times: dict[str, float] = field(default_factory=dict)
    load: list[Traffic] = field(default_factory=list)

    def begin(self) -> None:
        """Load: of a's sidecar to all instances and to v2, and of the gateway."""
        for target, proxy in (("/all", "a-1"), ("/v2", "a-1"), ("/edge", "edge")):
            traffic = self.mesh.calls(self.place.host, target, proxy=proxy, rate=60, connections=4)
            self.load.append(self.stack.enter_context(traffic))

    def note(self, what: str, seconds: float) -> None:
        self.times[what] = round(seconds * 1000)
        self.record(f"{self.place.kind} {what}, ms", self.times[what])

    def publish(self, *members: tuple[Instance, str, Health]) -> float:
        """Have the registry list these; when that began."""
        at = time.monotonic()
        self.place.publish([member(*item) for item in members])
        return at

    def first(self, instance: Instance, at: float, path: str, what: str) -> None:
        self.note(what, first([instance], at, path, self.mesh.daemon.tail))


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.long if kind in _ALIKE else ()) for kind in KINDS]
)
def test_an_instance_comes_changes_drains_and_goes(
    kind: str, mesh: Everywhere, record_property: Callable[[str, object], None]
) -> None:
    """Without a commit, a pass or a word in the log; requests follow within moments, those in progress end well, and none fails."""
    one, two = mesh.instances_of[kind]
    third = mesh.serve(f"{kind}-3")
    mesh.has(mesh.places[kind].host, one, two)
    refs, log = mesh.refs(), len(mesh.daemon.read())
    staying = [(one, "v1", Health.HEALTHY), (two, "v2", Health.HEALTHY)]
    with ExitStack() as stack:
        course = Course(mesh, mesh.places[kind], stack, record_property)
        course.begin()
        first([one, two], time.monotonic(), "/edge", mesh.daemon.tail)
        at = course.publish(*staying, (third, "v1", Health.HEALTHY))
        course.first(third, at, "/all", "added")
        course.first(third, at, "/edge", "added, on files")
        at = course.publish(*staying, (third, "v2", Health.HEALTHY))
        course.first(third, at, "/v2", "moved to another subset")
        if course.place.drains:
            _drained(course, third, one, two)
        _removed(course, third, one, two)
    print(f"{kind}: {course.times} ms")  # noqa: T201 -- what it measured is shown with -s
    for traffic in course.load:
        tally = traffic.tally()
        assert tally.failed == 0, (tally.outcomes, tally.failures)
        assert tally.requests > 20
    assert max(course.times.values()) < ENOUGH * 1000, course.times
    assert mesh.refs() == refs
    assert mesh.said(log) == []
    assert {why for why in mesh.passes(log) if "drift" not in why and "poll" not in why} == set()


def _drained(course: Course, third: Instance, one: Instance, two: Instance) -> None:
    """It gets nothing new, and what it is at is ended; then it is taken back."""
    with _slow(course, third) as slow:
        at = course.publish((one, "v1", Health.HEALTHY), (two, "v2", Health.HEALTHY), (third, "v2", Health.DRAINING))
        course.note("drained", last(third, at, [one, two], course.mesh.daemon.tail))
        third.release.set()
        slow.join()
        assert slow.tally().failed == 0, slow.tally().failures
    at = course.publish((one, "v1", Health.HEALTHY), (two, "v2", Health.HEALTHY), (third, "v2", Health.HEALTHY))
    course.first(third, at, "/", "taken back")
    third.release.clear()
    third.slow.clear()


def _removed(course: Course, third: Instance, one: Instance, two: Instance) -> None:
    """What it is at is ended; then it may end itself, and nobody notices."""
    with _slow(course, third) as slow:
        at = course.publish((one, "v1", Health.HEALTHY), (two, "v2", Health.HEALTHY))
        course.note("removed", last(third, at, [one, two], course.mesh.daemon.tail))
        course.mesh.has(course.place.host, one, two)
        third.release.set()
        slow.join()
        assert slow.tally().failed == 0, slow.tally().failures
    third.close()
    before = len(one.arrivals)
    course.mesh.until(lambda: len(one.arrivals) > before + 10, "requests after its end")


def _slow(course: Course, third: Instance) -> Traffic:
    """Requests that wait at whoever they come to; one is at the third when this returns, and those at others are let go."""
    others = course.mesh.instances_of[course.place.kind]
    for other in others:
        other.release.set()
    traffic = course.mesh.calls(course.place.host, "/v2/slow", rate=0, limit=6, connections=6, timeout=20.0)
    traffic.start()
    course.mesh.until(third.slow.is_set, "a slow request at the third")
    return traffic
