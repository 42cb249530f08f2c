"""What rules of the conformance test expect of an adapter, in their words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from reconciler.discovery.conformance.platforms import Member, Mood, Platform
from reconciler.discovery.conformance.watching import State, Watched, watching
from reconciler.discovery.contract import AdapterError
from reconciler.model.discovered import Instance

ONE, TWO = Member(address="127.0.0.11"), Member(address="127.0.0.12", port=8081)
BOTH: Mapping[str, Sequence[Member]] = {"reviews": (ONE, TWO), "ratings": (ONE,)}


def begin(platform: Platform, services: Mapping[str, Sequence[Member]] = BOTH) -> None:
    """Be well, and list these."""
    platform.be(Mood.WELL)
    platform.publish(services)


def instances(platform: Platform, services: State, service: str) -> tuple[Instance, ...]:
    """Of a service by its short name; none if it is not there."""
    found = services.get(platform.host(service))
    return () if found is None else found.instances


def lists(platform: Platform, wanted: Mapping[str, Sequence[Member]]) -> Callable[[State], bool]:
    """Whether services are those, by addresses."""

    def condition(services: State) -> bool:
        # Only what was published: some platforms list themselves too.
        return all(
            sorted(each.address for each in instances(platform, services, name))
            == sorted(each.address for each in wanted.get(name, ()))
            for name in ("reviews", "ratings")
        )

    return condition


def sees(platform: Platform, watched: Watched, wanted: Mapping[str, Sequence[Member]], what: str) -> State:
    """Wait until a watch has exactly these.

    Raises:
        AssertionError: It had not in time.
    """
    return watched.until(lists(platform, wanted), within=platform.within, what=what)


def demand(condition: object, rule: str) -> None:
    """A condition of a rule.

    Raises:
        AssertionError: It is not met.
    """
    if not condition:
        raise AssertionError(rule)


def is_proper(platform: Platform, error: BaseException | None) -> None:
    """An error is one that adapters may raise, with what to do, and without a secret.

    Raises:
        AssertionError: It is not.
    """
    if not isinstance(error, AdapterError):
        raise AssertionError(f"trouble with a platform is an AdapterError, and this is {error!r}") from error  # noqa: TRY004
    for each in error.diagnostics:
        demand(each.code.startswith("discovery-"), f"the code of an adapter's error begins with discovery-: {each}")
        demand(each.message and each.hint, f"an adapter's error says what is wrong and what to do: {each}")
        demand(not any(secret in f"{each} {error!r}" for secret in platform.secrets), "an error shows a secret")


def goes_on(platform: Platform, watched: Watched, wanted: Mapping[str, Sequence[Member]]) -> None:
    """A watch that was in trouble sees a change or has ended with an error; in each case a new one sees it."""
    platform.publish(wanted)
    condition = lists(platform, wanted)
    watched.wait(
        lambda it: it.error is not None or condition(it.services),
        within=max(platform.within, platform.patience),
        what="change or end after the trouble",
    )
    if watched.error is not None:
        is_proper(platform, watched.error)
    with watching(platform.adapter()) as other:
        sees(platform, other, wanted, "change after the trouble")
