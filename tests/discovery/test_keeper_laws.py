"""Laws of what is used of a registry, whatever it says and when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from reconciler.discovery import Alive, Event, Gone, Put, Snapshot
from reconciler.discovery.keeping.doubt import healthy
from reconciler.discovery.keeping.keeper import Keeper
from reconciler.errors import Diagnostic
from reconciler.model.discovered import Found, Instance
from reconciler.model.discovery import Protection
from reconciler.model.services import Health

START = datetime(2025, 1, 1, tzinfo=UTC)
HOLD, WINDOW = timedelta(seconds=20), timedelta(seconds=10)
HOSTS = ("one", "two", "three")
PROBLEM = Diagnostic(code="discovery-registry", message="it is down", hint="wait")

instances = st.builds(
    lambda address, health: Instance(address=f"10.0.0.{address}", ports={"http": 8080}, health=health),
    st.integers(1, 4),
    st.sampled_from([Health.HEALTHY, Health.HEALTHY, Health.HEALTHY, *Health]),
)
services = st.builds(
    lambda host, listed: Found(host=host, instances=tuple(listed)),
    st.sampled_from(HOSTS),
    st.lists(instances, max_size=4, unique_by=lambda each: each.address),
)
events = st.one_of(
    st.builds(Put, services),
    st.builds(Put, services),
    st.builds(Gone, st.sampled_from(HOSTS)),
    st.builds(Snapshot.of, st.lists(services, max_size=3)),
    st.just(Alive()),
    st.none(),  # a failure, and a Snapshot of what there is after it
)
courses = st.lists(st.tuples(st.integers(0, 12), events), max_size=40)
protections = st.builds(
    Protection,
    max_loss_percent=st.sampled_from([0.0, 40.0, 100.0]),
    hold_for=st.just(HOLD),
    flaps=st.integers(1, 3),
    flap_window=st.just(WINDOW),
)


class Platform:
    """What a registry that says this lists."""

    def __init__(self) -> None:
        self.services: dict[str, Found] = {}

    def hear(self, event: Event) -> None:
        match event:
            case Snapshot(services):
                self.services = dict(services)
            case Put(service):
                self.services[service.host] = service
            case Gone(host):
                self.services.pop(host, None)


def serving(keeper: Keeper) -> dict[str, int]:
    """Healthy instances in use by host."""
    return {host: healthy(found.instances) for host, found in keeper.used.items()}


def marked(before: Found, now: Found | None) -> bool:
    """Whether a healthy instance of before is listed with another mark now."""
    then = {each.address for each in before.instances if each.health is Health.HEALTHY}
    return any(each.address in then and each.health is not Health.HEALTHY for each in (now.instances if now else ()))


@given(protections, courses)
def test_no_step_empties_a_service_and_all_is_believed_in_time(
    protection: Protection, course: Sequence[tuple[int, Event | None]]
) -> None:
    """Only marks, and time, take a service's last healthy instance. When a registry has said the same for long enough, that is used."""
    platform, now = Platform(), START
    keeper = Keeper(registry="test", kind="plugin", protection=protection, now=now)
    keeper.fold(Snapshot({}), now)
    for seconds, event in course:
        now += timedelta(seconds=seconds)
        keeper.tick(now)
        if event is None:
            keeper.failed(PROBLEM, now)
            now += timedelta(seconds=1)
        said = Snapshot(dict(platform.services)) if event is None else event
        before, used = serving(keeper), dict(keeper.used)
        # What fell due while the registry was silent is believed with the first thing it says.
        platform.hear(said)
        changed = keeper.fold(said, now)
        after = serving(keeper)
        if event is not None:
            for host, count in before.items():
                emptied = count > 0 and after.get(host, 0) == 0
                assert not emptied or marked(used[host], platform.services.get(host))
        assert changed == {
            host for host in used.keys() | keeper.used.keys() if used.get(host) is not keeper.used.get(host)
        }
    for _ in range(3):
        now += HOLD + WINDOW
        keeper.fold(Alive(), now)
    assert keeper.used == platform.services
    assert keeper.due() is None
    assert keeper.standing().held == ()
    assert keeper.standing().flapping == ()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10_000)), min_size=1, max_size=300))
def test_churn_leaves_nothing_behind(course: Sequence[tuple[int, int]]) -> None:
    """However many instances have come and gone: what is kept is of what is listed, held, or came within the window."""
    keeper = Keeper(
        registry="test", kind="plugin", protection=Protection(hold_for=HOLD, flap_window=WINDOW, flaps=2), now=START
    )
    keeper.fold(Snapshot({}), START)
    now = START
    for seconds, number in course:
        now += timedelta(seconds=seconds)
        host = HOSTS[number % 3]
        listed = tuple(Instance(address=f"10.{number}.0.{each}", ports={"": 80}) for each in range(number % 3))
        keeper.fold(Put(Found(host=host, instances=listed)) if number % 7 else Gone(host), now)
    for _ in range(2):
        now += HOLD + WINDOW
        keeper.fold(Alive(), now)
    keeper.fold(Snapshot({}), now)
    for _ in range(2):
        now += HOLD + WINDOW
        keeper.fold(Alive(), now)
    keeper._damping.calmed(now, Protection(flap_window=WINDOW))
    kept = [vars(keeper)[name] for name in ("used", "_found", "_listed", "_in_use", "_healthy", "_doubts")]
    assert not any(kept)
    assert not any(vars(keeper._damping).values())
