"""What speaks against hosts, and what proxies say of them together."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import Diagnostic
from reconciler.model.key import Key
from reconciler.model.seen import HostFlag, HostSeen, Sight, Tally, Told, Trouble

_HOSTS = st.builds(
    HostSeen,
    address=st.sampled_from(["10.0.0.1", "10.0.0.2", "/run/a.sock"]),
    port=st.sampled_from([0, 80]),
    flags=st.frozensets(st.sampled_from(HostFlag), max_size=2),
    told=st.sampled_from(Told),
)
_ANSWERS = st.lists(st.dictionaries(st.sampled_from(["a", "b"]), st.lists(_HOSTS, max_size=3)), max_size=4)


@pytest.mark.parametrize(
    ("flags", "told", "troubles"),
    [
        ([], Told.HEALTHY, []),
        ([], Told.UNKNOWN, []),
        ([HostFlag.EJECTED], Told.HEALTHY, [Trouble.EJECTED]),
        ([HostFlag.FAILED_CHECK, HostFlag.TIMED_OUT], Told.HEALTHY, [Trouble.FAILED_CHECK]),
        ([HostFlag.SAID_NO], Told.HEALTHY, [Trouble.FAILED_CHECK]),
        ([HostFlag.FAILED_CHECK, HostFlag.UNCHECKED], Told.HEALTHY, [Trouble.UNCHECKED]),
        ([HostFlag.DEGRADED], Told.HEALTHY, [Trouble.DEGRADED]),
        ([], Told.DEGRADED, [Trouble.DEGRADED]),
        ([HostFlag.LEAVING], Told.HEALTHY, [Trouble.LEAVING]),
        ([], Told.TIMEOUT, [Trouble.UNHEALTHY]),
        (
            [HostFlag.EJECTED, HostFlag.FAILED_CHECK],
            Told.DRAINING,
            [Trouble.EJECTED, Trouble.FAILED_CHECK, Trouble.DRAINING],
        ),
    ],
)
def test_what_speaks_against_a_host(flags: list[HostFlag], told: Told, troubles: list[Trouble]) -> None:
    """One that was never checked has not failed, although Envoy keeps it as failed until then."""
    assert list(HostSeen(address="a", port=1, flags=frozenset(flags), told=told).troubles) == troubles


@given(_ANSWERS, st.randoms())
def test_proxies_say_the_same_together_in_any_order(
    answers: list[dict[str, list[HostSeen]]], mixed: random.Random
) -> None:
    """And nobody sees more trouble of a host than there are proxies that have it."""
    first, second = Tally(), Tally()
    given_ = [(Key("default", f"p{number}"), answer) for number, answer in enumerate(answers)]
    for key, answer in given_:
        first.answer(key, answer)
    mixed.shuffle(given_)
    for key, answer in given_:
        second.answer(key, answer)
    seen = first.result()
    assert seen == second.result()
    assert [*seen.hosts] == sorted(seen.hosts)
    for sight in seen.hosts.values():
        assert all(0 < count <= sight.proxies <= len(answers) for count in sight.troubles.values())


def test_who_is_silent_is_named() -> None:
    """The others count all the same."""
    tally = Tally()
    reason = Diagnostic(code="admin-unreachable", message="down")
    tally.silence(Key("default", "z"), reason)
    tally.answer(Key("default", "a"), {"c": [HostSeen(address="10.0.0.1", port=80)]})
    seen = tally.result()
    assert (seen.answered, dict(seen.silent)) == ((Key("default", "a"),), {Key("default", "z"): reason})
    assert seen.hosts["c", "10.0.0.1", 80] == Sight(1)
    assert seen.hosts["c", "10.0.0.1", 80].well
