"""The conformance test of adapters: what each one has to do, as rules that any adapter's tests can run.

How to use it, in this repository or for an adapter in a package of your own (then copy this file, `platforms.py` and
`watching.py`, which need nothing but `reconciler`):

1. Write a class that fulfils `platforms.Platform`: it holds the server that the adapter talks to, brings it into a state (`publish`) and
   into trouble (`be`), and makes adapters for it.
2. Run all rules against it, except those that need what your platform can't do or be (a file is never partitioned)::

       from tests.discovery.conformance import Rule, rules
       from tests.discovery.platforms import Ability, Mood

       @pytest.mark.parametrize("rule", rules(lacks=[Ability.DRAIN, Mood.PARTITIONED]), ids=str)
       def test_it_conforms(rule: Rule, platform: Pigeons) -> None:
           rule.check(platform)

A rule begins with `be(Mood.WELL)` and publishes what it needs, so one platform may serve all rules, one after another. It raises
AssertionError with the rule that was broken. What only your platform has (ports by name, zones, tags) is for tests of your own:
`watching(adapter)` drives it there too.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from reconciler.discovery.contract import AdapterError, Alive, Snapshot
from reconciler.model.discovered import Instance
from reconciler.model.services import Health
from tests.discovery.platforms import Ability, Member, Mood, Platform
from tests.discovery.watching import State, Watched, watching


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


ONE, TWO = Member(address="127.0.0.11"), Member(address="127.0.0.12", port=8081)
BOTH: Mapping[str, Sequence[Member]] = {"reviews": (ONE, TWO), "ratings": (ONE,)}


def _begin(platform: Platform, services: Mapping[str, Sequence[Member]] = BOTH) -> None:
    platform.be(Mood.WELL)
    platform.publish(services)


def _instances(platform: Platform, services: State, service: str) -> tuple[Instance, ...]:
    found = services.get(platform.host(service))
    return () if found is None else found.instances


def _lists(platform: Platform, wanted: Mapping[str, Sequence[Member]]) -> Callable[[State], bool]:
    """Whether services are those, by addresses."""

    def condition(services: State) -> bool:
        # Only what was published: some platforms list themselves too.
        return all(
            sorted(each.address for each in _instances(platform, services, name))
            == sorted(each.address for each in wanted.get(name, ()))
            for name in ("reviews", "ratings")
        )

    return condition


def _sees(platform: Platform, watched: Watched, wanted: Mapping[str, Sequence[Member]], what: str) -> State:
    return watched.until(_lists(platform, wanted), within=platform.within, what=what)


def _demand(condition: object, rule: str) -> None:
    if not condition:
        raise AssertionError(rule)


def first_event_is_a_snapshot(platform: Platform) -> None:
    """The first event is a Snapshot, and it is the whole: nothing is added to it afterwards."""
    _begin(platform)
    with watching(platform.adapter()) as watched:
        watched.wait(lambda it: bool(it.events) or it.error is not None, within=platform.patience, what="first event")
        if watched.error is not None:
            raise AssertionError(f"a platform that is well was met with {watched.error!r}") from watched.error
        first = watched.events[0]
        _demand(isinstance(first, Snapshot), f"the first event of a `watch` is a Snapshot, and this was {first!r}")
        whole = isinstance(first, Snapshot) and _lists(platform, BOTH)(first.services)
        _demand(whole, f"the first Snapshot has all that there is, and this was {first!r}")
        for host, found in watched.services.items():
            _demand(
                host == found.host == host.lower(), f"a host is in lower case, and the key of its service: {host!r}"
            )


def changes_become_events(platform: Platform) -> None:
    """An instance that comes or goes is told in time, and so is a service."""
    _begin(platform, {"reviews": (ONE,)})
    with watching(platform.adapter()) as watched:
        _sees(platform, watched, {"reviews": (ONE,)}, "first state")
        platform.publish({"reviews": (ONE, TWO)})
        _sees(platform, watched, {"reviews": (ONE, TWO)}, "added instance")
        platform.publish(BOTH)
        _sees(platform, watched, BOTH, "added service")
        platform.publish({"reviews": (TWO,), "ratings": (ONE,)})
        _sees(platform, watched, {"reviews": (TWO,), "ratings": (ONE,)}, "end of the removed instance")
        platform.publish({"ratings": (ONE,)})
        _sees(platform, watched, {"ratings": (ONE,)}, "end of the removed service")


def nothing_at_all_is_a_state(platform: Platform) -> None:
    """A platform that lists nothing is believed by its adapter, whoever doubts it later; that is no error."""
    _begin(platform)
    with watching(platform.adapter()) as watched:
        _sees(platform, watched, BOTH, "first state")
        platform.publish({})
        _sees(platform, watched, {}, "empty platform")
    with watching(platform.adapter()) as watched:
        watched.wait(lambda it: bool(it.events) or it.error is not None, within=platform.patience, what="Snapshot")
        _demand(
            watched.events and _lists(platform, {})(watched.services),
            f"an empty platform is no error: {watched.error!r}",
        )


def label_becomes_an_event(platform: Platform) -> None:
    """What changes about an instance that stays is told too."""
    old, new = ({"reviews": [Member(address=ONE.address, labels={"version": each})]} for each in ("v1", "v2"))
    _begin(platform, old)

    def version(services: State) -> list[str | None]:
        return [each.labels.get("version") for each in _instances(platform, services, "reviews")]

    with watching(platform.adapter()) as watched:
        watched.until(lambda state: version(state) == ["v1"], within=platform.within, what="label v1")
        platform.publish(new)
        watched.until(lambda state: version(state) == ["v2"], within=platform.within, what="changed label")


def health_becomes_an_event(health: Health, platform: Platform) -> None:
    """An instance that is not to be used any more is still listed, and marked."""
    _begin(platform, {"reviews": (ONE, TWO)})

    def state(services: State) -> dict[str, Health]:
        return {each.address: each.health for each in _instances(platform, services, "reviews")}

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
        _begin(platform, {})  # so that the order in which they came is another one too
        platform.publish(
            {"ratings": members[:1], "reviews": members} if seen else {"reviews": members, "ratings": (ONE,)}
        )
        platform.publish({"ratings": (ONE,), "reviews": members})
        with watching(platform.adapter()) as watched:
            seen.append(_sees(platform, watched, BOTH, "published state"))
    for other in seen[1:]:
        _demand(
            other == seen[0], f"equal states of the platform give equal services; got {dict(seen[0])} and {dict(other)}"
        )


def stops_wherever_it_waits(mood: Mood, platform: Platform) -> None:
    """`watch` ends soon after it was told to, wherever it waits: for changes, or for a server that does not answer."""
    _begin(platform)
    try:
        with watching(platform.adapter()) as watched:
            _sees(platform, watched, BOTH, "first state")
            platform.be(mood)
        with watching(platform.adapter()) as watched:  # the first question of all is the one that hangs
            for _ in range(3):
                time.sleep(0.1)  # there is nothing to wait for: it is to be in the midst of waiting
        if watched.error is not None and mood is Mood.WELL:
            raise AssertionError(f"`watch` is told to end and ends; it does not raise {watched.error!r}")
    finally:
        platform.be(Mood.WELL)


def leaves_nothing_behind(mood: Mood, platform: Platform) -> None:
    """A `watch` that has ended has left no thread and no open file or socket."""
    _begin(platform)
    _rounds(platform, mood, 1)  # what is made once for all, such as a module's own cache, is no leak
    threads, files = set(threading.enumerate()), _open_files()
    _rounds(platform, mood, 3)
    deadline = time.monotonic() + platform.patience  # servers in this process need a moment to see that nobody is there any more
    while (more := set(threading.enumerate()) - threads) or _open_files() > files:
        if time.monotonic() > deadline:
            open_now = _open_files()
            raise AssertionError(
                f"three watches that ended have left threads {more}, and {open_now} open files instead of {files}"
            )
        time.sleep(0.02)


def _rounds(platform: Platform, mood: Mood, count: int) -> None:
    for _ in range(count):
        with watching(platform.adapter()) as watched:
            _sees(platform, watched, BOTH, "first state")
            platform.be(mood)
        platform.be(Mood.WELL)


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"))  # noqa: PTH112, PTH208 -- just a count


def trouble_is_an_error(mood: Mood, platform: Platform) -> None:
    """A platform that can't be read is an AdapterError with a code and a hint, and never an event."""
    _begin(platform)
    platform.be(mood)
    try:
        with watching(platform.adapter()) as watched:
            watched.wait(
                lambda it: it.error is not None or bool(it.events), within=platform.patience, what="AdapterError"
            )
            _demand(not watched.events, f"a platform that is {mood} can't be read, yet there was {watched.events!r}")
            _is_proper(platform, watched.error)
    finally:
        platform.be(Mood.WELL)


def _is_proper(platform: Platform, error: BaseException | None) -> None:
    if not isinstance(error, AdapterError):
        raise AssertionError(f"trouble with a platform is an AdapterError, and this is {error!r}") from error  # noqa: TRY004
    for each in error.diagnostics:
        _demand(each.code.startswith("discovery-"), f"the code of an adapter's error begins with discovery-: {each}")
        _demand(each.message and each.hint, f"an adapter's error says what is wrong and what to do: {each}")
        _demand(not any(secret in f"{each} {error!r}" for secret in platform.secrets), "an error shows a secret")


def trouble_loses_nothing(mood: Mood, platform: Platform) -> None:
    """Trouble in the midst of a `watch` takes no service away; when it is over, what changed is seen, by this watch or the next."""
    _begin(platform)
    try:
        with watching(platform.adapter()) as watched:
            _sees(platform, watched, BOTH, "first state")
            platform.be(mood)
            deadline = time.monotonic() + min(platform.within, 1.5)
            while time.monotonic() < deadline and not watched.ended:
                time.sleep(0.02)
            _demand(
                _lists(platform, BOTH)(watched.services),
                f"a platform that is {mood} took {dict(watched.services)} for true",
            )
            if watched.error is not None:
                _is_proper(platform, watched.error)
            platform.be(Mood.WELL)
            _goes_on(platform, watched, {"reviews": (TWO,)})
    finally:
        platform.be(Mood.WELL)


def restart_is_survived(platform: Platform) -> None:
    """After a restart of the server what changes is seen: by a new `watch` at once, and the old one does not go on knowing nothing."""
    _begin(platform)
    with watching(platform.adapter()) as watched:
        _sees(platform, watched, BOTH, "first state")
        platform.restart()
        with watching(platform.adapter()) as other:
            _sees(platform, other, BOTH, "state after the restart")
        _goes_on(platform, watched, {"reviews": (TWO,)})


def _goes_on(platform: Platform, watched: Watched, wanted: Mapping[str, Sequence[Member]]) -> None:
    """A watch that was in trouble sees a change or has ended with an error; in each case a new one sees it."""
    platform.publish(wanted)
    condition = _lists(platform, wanted)
    watched.wait(
        lambda it: it.error is not None or condition(it.services),
        within=max(platform.within, platform.patience),
        what="change or end after the trouble",
    )
    if watched.error is not None:
        _is_proper(platform, watched.error)
    with watching(platform.adapter()) as other:
        _sees(platform, other, wanted, "change after the trouble")


def slow_is_not_wrong(platform: Platform) -> None:
    """A server that takes its time is waited for."""
    _begin(platform)
    platform.be(Mood.SLOW)
    try:
        with watching(platform.adapter()) as watched:
            watched.until(_lists(platform, BOTH), within=platform.within + 10, what="state of a slow server")
    finally:
        platform.be(Mood.WELL)


def silence_is_broken(platform: Platform) -> None:
    """While nothing changes, `Alive` says from time to time that the platform answers."""
    _begin(platform)
    with watching(platform.adapter()) as watched:
        _sees(platform, watched, BOTH, "first state")
        count = len(watched.events)
        watched.wait(
            lambda it: any(isinstance(each, Alive) for each in it.events[count:]), within=platform.alive, what="Alive"
        )
        _demand(_lists(platform, BOTH)(watched.services), "nothing changed, yet services did")


def secrets_are_kept(platform: Platform) -> None:
    """No event and no log line shows a secret, and no error does, whatever the platform is like."""
    _begin(platform)
    with _logged() as lines:
        for mood in (Mood.WELL, Mood.DOWN, Mood.GARBAGE, Mood.DENYING):
            try:
                platform.be(mood)
            except NotImplementedError:
                continue
            with watching(platform.adapter()) as watched:
                watched.wait(
                    lambda it: it.error is not None or bool(it.events), within=platform.patience, what="event or error"
                )
            platform.be(Mood.WELL)
            said = [*map(repr, watched.events), *lines]
            if watched.error is not None:
                said += traceback.format_exception(watched.error)  # and what it was caused by
            leaks = [text for text in said if any(secret in text for secret in platform.secrets)]
            _demand(not leaks, f"while {mood}, a secret is in {len(leaks)} of its events, errors and log lines")


@contextmanager
def _logged() -> Iterator[list[str]]:
    """All that is logged, by whom and at whatever level."""
    lines: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.name} {record.getMessage()} {record.exc_info}")

    root, handler = logging.getLogger(), Keeping(logging.NOTSET)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


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
