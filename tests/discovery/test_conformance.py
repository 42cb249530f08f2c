"""The conformance test tests adapters; these test it: a good one passes every rule, and each way to be wrong is caught by one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reconciler.discovery.conformance import Ability, Mood, Rule, rules
from tests.discovery.scripted import Pigeons

CAUGHT = {
    "begins with a change": "first-event-is-a-snapshot",
    "half a list": "first-event-is-a-snapshot",
    "shouts": "first-event-is-a-snapshot",
    "misses additions": "changes-become-events",
    "forgets to remove": "changes-become-events",
    "takes trouble for emptiness": "down-is-an-error",
    "raises what it met": "denying-is-an-error",
    "tells a secret": "garbage-is-an-error",
    "has its own codes": "down-is-an-error",
    "gives no hint": "down-is-an-error",
    "logs a secret": "secrets-are-kept",
    "drops labels": "label-becomes-an-event",
    "ignores health": "draining-becomes-an-event",
    "keeps no order": "equal-states-are-equal",
    "says nothing": "silence-is-broken",
    "sleeps through a restart": "restart-is-survived",
    "never stops": "stops-while-well",
    "hangs": "stops-while-partitioned",
    "leaks a socket": "leaves-nothing-behind-while-well",
    "leaks a thread": "leaves-nothing-behind-while-partitioned",
}
MORE = {
    "takes trouble for emptiness": "garbage-loses-nothing",
    "tells a secret": "secrets-are-kept",
    "hangs": "partitioned-is-an-error",
    "ignores health": "unhealthy-becomes-an-event",
}


@pytest.fixture
def pigeons() -> Iterator[Pigeons]:
    platform = Pigeons()
    yield platform
    platform.close()


@pytest.mark.parametrize("rule", rules(), ids=str)
def test_an_adapter_that_does_as_it_should_conforms(rule: Rule, pigeons: Pigeons) -> None:
    """Every rule is met by an adapter written after the contract."""
    rule.check(pigeons)


@pytest.mark.parametrize(("fault", "name"), [*CAUGHT.items(), *MORE.items()], ids=str)
def test_each_fault_is_caught(fault: str, name: str, pigeons: Pigeons) -> None:
    """Each way to break the contract breaks the rule that is about it."""
    pigeons.fault = fault
    pigeons.within = pigeons.patience = pigeons.alive = 1.0  # what does not come is not waited for long
    (rule,) = (each for each in rules() if each.name == name)
    with pytest.raises(AssertionError):
        rule.check(pigeons)


def test_rules_that_need_what_a_platform_lacks_are_left_out() -> None:
    """A platform without a server is not asked to be down; the rules that need nothing always stay."""
    few = {rule.name for rule in rules(lacks=[*Ability, *Mood])}
    assert few == {
        "first-event-is-a-snapshot",
        "changes-become-events",
        "nothing-at-all-is-a-state",
        "equal-states-are-equal",
        "secrets-are-kept",
    }
    assert {rule.name for rule in rules()} - {rule.name for rule in rules(lacks=[Mood.PARTITIONED])} == {
        "stops-while-partitioned",
        "leaves-nothing-behind-while-partitioned",
        "partitioned-is-an-error",
        "partitioned-loses-nothing",
    }
