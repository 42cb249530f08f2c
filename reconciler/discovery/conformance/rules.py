"""The rules of the conformance test: what an adapter says, and when; `trouble` has those about ends and failures."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial

from reconciler.discovery.conformance.expecting import BOTH, ONE, TWO, begin, demand, instances, lists, sees
from reconciler.discovery.conformance.platforms import Ability, Member, Mood, Platform
from reconciler.discovery.conformance.trouble import (
    leaves_nothing_behind,
    restart_is_survived,
    secrets_are_kept,
    slow_is_not_wrong,
    stops_wherever_it_waits,
    trouble_is_an_error,
    trouble_loses_nothing,
)
from reconciler.discovery.conformance.watching import State, watching
from reconciler.discovery.contract import Alive, Snapshot
from reconciler.model.services import Health


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the contract.

    Attributes:
        name: What its test is called.
        check: Raises AssertionError if the platform's adapter breaks it.
        needs: What a platform must be able to do or be.
    """

    name: str
    check: Callable[[Platform], None]
    needs: frozenset[Ability | Mood] = frozenset()

    def __str__(self) -> str:
        return self.name


def first_event_is_a_snapshot(platform: Platform) -> None:
    """The first event is a Snapshot, and it is the whole: nothing is added to it afterwards."""
    begin(platform)
    with watching(platform.adapter()) as watched:
        watched.wait(lambda it: bool(it.events) or it.error is not None, within=platform.patience, what="first event")
        if watched.error is not None:
            raise AssertionError(f"a platform that is well was met with {watched.error!r}") from watched.error
        first = watched.events[0]
        demand(isinstance(first, Snapshot), f"the first event of a `watch` is a Snapshot, and this was {first!r}")
        whole = isinstance(first, Snapshot) and lists(platform, BOTH)(first.services)
        demand(whole, f"the first Snapshot has all that there is, and this was {first!r}")
        for host, found in watched.services.items():
            demand(host == found.host == host.lower(), f"a host is in lower case, and the key of its service: {host!r}")


def changes_become_events(platform: Platform) -> None:
    """An instance that comes or goes is told in time, and so is a service."""
    begin(platform, {"reviews": (ONE,)})
    with watching(platform.adapter()) as watched:
        sees(platform, watched, {"reviews": (ONE,)}, "first state")
        platform.publish({"reviews": (ONE, TWO)})
        sees(platform, watched, {"reviews": (ONE, TWO)}, "added instance")
        platform.publish(BOTH)
        sees(platform, watched, BOTH, "added service")
        platform.publish({"reviews": (TWO,), "ratings": (ONE,)})
        sees(platform, watched, {"reviews": (TWO,), "ratings": (ONE,)}, "end of the removed instance")
        platform.publish({"ratings": (ONE,)})
        sees(platform, watched, {"ratings": (ONE,)}, "end of the removed service")


def nothing_at_all_is_a_state(platform: Platform) -> None:
    """A platform that lists nothing is believed by its adapter, whoever doubts it later; that is no error."""
    begin(platform)
    with watching(platform.adapter()) as watched:
        sees(platform, watched, BOTH, "first state")
        platform.publish({})
        sees(platform, watched, {}, "empty platform")
    with watching(platform.adapter()) as watched:
        watched.wait(lambda it: bool(it.events) or it.error is not None, within=platform.patience, what="Snapshot")
        demand(
            watched.events and lists(platform, {})(watched.services),
            f"an empty platform is no error: {watched.error!r}",
        )


def label_becomes_an_event(platform: Platform) -> None:
    """What changes about an instance that stays is told too."""
    old, new = ({"reviews": [Member(address=ONE.address, labels={"version": each})]} for each in ("v1", "v2"))
    begin(platform, old)

    def version(services: State) -> list[str | None]:
        return [each.labels.get("version") for each in instances(platform, services, "reviews")]

    with watching(platform.adapter()) as watched:
        watched.until(lambda state: version(state) == ["v1"], within=platform.within, what="label v1")
        platform.publish(new)
        watched.until(lambda state: version(state) == ["v2"], within=platform.within, what="changed label")


def health_becomes_an_event(health: Health, platform: Platform) -> None:
    """An instance that is not to be used any more is still listed, and marked."""
    begin(platform, {"reviews": (ONE, TWO)})

    def state(services: State) -> dict[str, Health]:
        return {each.address: each.health for each in instances(platform, services, "reviews")}

    before = {ONE.address: Health.HEALTHY, TWO.address: Health.HEALTHY}
    with watching(platform.adapter()) as watched:
        watched.until(lambda services: state(services) == before, within=platform.within, what="healthy instances")
        platform.publish({"reviews": (ONE, Member(address=TWO.address, port=TWO.port, health=health))})
        wanted = before | {TWO.address: health}
        watched.until(lambda services: state(services) == wanted, within=platform.within, what=f"{health} instance")


def equal_states_are_equal(platform: Platform) -> None:
    """Equal states of the platform give equal values: instances in a fixed order."""
    seen: list[State] = []
    for members in ((ONE, TWO), (TWO, ONE), (ONE, TWO)):
        begin(platform, {})  # so that the order in which they came is another one too
        platform.publish(
            {"ratings": members[:1], "reviews": members} if seen else {"reviews": members, "ratings": (ONE,)}
        )
        platform.publish({"ratings": (ONE,), "reviews": members})
        with watching(platform.adapter()) as watched:
            seen.append(sees(platform, watched, BOTH, "published state"))
    for other in seen[1:]:
        demand(
            other == seen[0], f"equal states of the platform give equal services; got {dict(seen[0])} and {dict(other)}"
        )


def silence_is_broken(platform: Platform) -> None:
    """While nothing changes, `Alive` says from time to time that the platform answers."""
    begin(platform)
    with watching(platform.adapter()) as watched:
        sees(platform, watched, BOTH, "first state")
        count = len(watched.events)
        watched.wait(
            lambda it: any(isinstance(each, Alive) for each in it.events[count:]), within=platform.alive, what="Alive"
        )
        demand(lists(platform, BOTH)(watched.services), "nothing changed, yet services did")


def _rules() -> Iterator[Rule]:
    yield Rule("first-event-is-a-snapshot", first_event_is_a_snapshot)
    yield Rule("changes-become-events", changes_become_events)
    yield Rule("nothing-at-all-is-a-state", nothing_at_all_is_a_state)
    yield Rule("label-becomes-an-event", label_becomes_an_event, frozenset({Ability.LABELS}))
    yield Rule(
        "draining-becomes-an-event", partial(health_becomes_an_event, Health.DRAINING), frozenset({Ability.DRAIN})
    )
    yield Rule(
        "unhealthy-becomes-an-event", partial(health_becomes_an_event, Health.UNHEALTHY), frozenset({Ability.UNHEALTHY})
    )
    yield Rule("equal-states-are-equal", equal_states_are_equal)
    yield Rule("slow-is-not-wrong", slow_is_not_wrong, frozenset({Mood.SLOW}))
    yield Rule("silence-is-broken", silence_is_broken, frozenset({Ability.ALIVE}))
    yield Rule("restart-is-survived", restart_is_survived, frozenset({Ability.RESTART}))
    yield Rule("secrets-are-kept", secrets_are_kept)
    for mood in (Mood.WELL, Mood.SLOW, Mood.PARTITIONED, Mood.DOWN):
        yield Rule(f"stops-while-{mood}", partial(stops_wherever_it_waits, mood), frozenset({mood}))
    for mood in (Mood.WELL, Mood.PARTITIONED):
        yield Rule(f"leaves-nothing-behind-while-{mood}", partial(leaves_nothing_behind, mood), frozenset({mood}))
    for mood in (Mood.DOWN, Mood.GARBAGE, Mood.DENYING, Mood.PARTITIONED):
        hopeless: frozenset[Ability | Mood] = frozenset({mood})
        if mood is Mood.PARTITIONED:
            hopeless |= {Ability.GIVES_UP}
        yield Rule(f"{mood}-is-an-error", partial(trouble_is_an_error, mood), hopeless)
        yield Rule(f"{mood}-loses-nothing", partial(trouble_loses_nothing, mood), frozenset({mood}))


def rules(*, lacks: Collection[Ability | Mood] = ()) -> tuple[Rule, ...]:
    """All rules but those that need what a platform lacks; what it lacks raises NotImplementedError in `be` and `restart`."""
    return tuple(rule for rule in _rules() if not rule.needs & set(lacks))
