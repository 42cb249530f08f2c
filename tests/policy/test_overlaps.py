"""Hosts of one VirtualService that cover each other: found as by comparing each with each, in the time of looking at each once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.hosts import covers
from reconciler.model.origin import Origin
from reconciler.model.virtualservice import Destination, RouteDestination, TLSMatch, TLSRoute, VirtualService
from reconciler.policy.checks.virtualservice import check_virtual_service
from reconciler.policy.findings import Report

LABELS = st.lists(st.sampled_from(["a", "ba", "b", "*", "*a"]), min_size=1, max_size=4)
HOSTS = LABELS.map(lambda labels: ".".join([labels[0], *(label.removeprefix("*") or "a" for label in labels[1:])]))


def overlaps(hosts: list[str]) -> dict[int, str]:
    report = Report(Origin(file="f", document=0))
    check_virtual_service(VirtualService(hosts=tuple(hosts), gateways=("edge",)), "default", report)
    return {int(item.path[2]): item.message for item in report.findings if item.code == "duplicate-value"}


@given(st.lists(HOSTS, max_size=8))
def test_the_first_host_that_covers_or_is_covered_is_named(hosts: list[str]) -> None:
    """Exactly where two of them meet, and the first of those before."""
    expected: dict[int, str] = {}
    for index, host in enumerate(hosts):
        first = next((item for item in hosts[:index] if covers(item, host) or covers(host, item)), None)
        if first is not None:
            expected[index] = (
                f"{host} stands here twice" if host == first else f"the host {host} is covered by {first} already"
            )
    assert overlaps(hosts) == expected


def test_thousands_of_hosts_are_read() -> None:
    """A policy of the size that is taken over HTTP must not keep the daemon busy for minutes: with each compared with each this takes those."""
    assert overlaps([f"a{number}.x" for number in range(15_000)]) == {}
    names = [f"a{number}.x" for number in range(6_000)]
    rule = TLSRoute(
        match=(TLSMatch(sni_hosts=tuple(names)),), route=(RouteDestination(destination=Destination(host="a")),)
    )
    report = Report(Origin(file="f", document=0))
    check_virtual_service(VirtualService(hosts=(*names, "*.y"), gateways=("edge",), tls=(rule,)), "default", report)
    assert not report.findings
