"""VirtualServices: rules for requests, for TLS by server name, and for connections."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.compile import httprules
from tests.compile.whole.world import (
    EXPORTS,
    GATEWAYS,
    HTTP,
    NAMESPACES,
    OUTSIDE,
    PORTS,
    TCP,
    TLS,
    Values,
    World,
    destinations,
    document,
)

_MEANT = st.sampled_from([["mesh"], ["mesh"], ["default/edge"], ["shop/side", "mesh"]])
DELEGATES = ("leaf", "twig")


def _conditions(*, subnets: bool) -> dict[str, st.SearchStrategy[Any]]:
    found: dict[str, st.SearchStrategy[Any]] = {
        "port": st.sampled_from(sorted(PORTS)),
        "sourceLabels": st.sampled_from([{"app": "a"}, {"app": "b", "version": "v1"}]),
        "sourceNamespace": st.sampled_from(NAMESPACES),
        "gateways": _MEANT,
    }
    if subnets:
        found["destinationSubnets"] = st.sampled_from([["10.8.0.0/16"], ["10.9.1.0/24", "2001:db8::/32"]])
    return found


@st.composite
def _shares(draw: st.DrawFn, world: World, namespace: str, protocols: tuple[str, ...]) -> list[Values]:
    found = draw(st.lists(destinations(world, namespace, protocols), min_size=1, max_size=3, unique_by=str))
    if len(found) == 1:
        return [{"destination": found[0]}]
    return [{"destination": item, "weight": draw(st.sampled_from([1, 10, 90]))} for item in found]


@st.composite
def _http(draw: st.DrawFn, world: World, namespace: str, *, delegate: bool) -> list[Values]:
    rules = httprules.rules(
        destinations=destinations(world, namespace, HTTP),
        gateways=_MEANT,
        ports=tuple(PORTS),
        delegates=st.fixed_dictionaries(
            {"name": st.sampled_from(DELEGATES)}, optional={"namespace": st.just("default")}
        ),
    )
    if not delegate:
        rules = rules.filter(lambda rule: "delegate" not in rule)
    return draw(st.lists(rules, min_size=1, max_size=3))


@st.composite
def virtual_services(draw: st.DrawFn, number: int, world: World) -> Values:
    """Rules for one or two hosts, at sidecars, gateways or both."""
    namespace = draw(st.sampled_from(NAMESPACES))
    gateways = draw(st.lists(st.sampled_from(["mesh", *GATEWAYS]), max_size=2, unique=True))
    known = sorted({*(host.name for host in world.hosts), *OUTSIDE})
    own = known[number::3] if draw(st.sampled_from([True, True, True, False])) else [*known[:2], "*.example.net"]
    hosts = draw(st.lists(st.sampled_from(own), min_size=1, max_size=2, unique=True))
    spec: Values = {"hosts": hosts, "gateways": gateways, "exportTo": draw(EXPORTS)}
    what = draw(st.sets(st.sampled_from(["http", "http", "tcp", "tls"]), min_size=1))
    if "http" in what:
        spec["http"] = draw(_http(world, namespace, delegate=True))
    matches = st.fixed_dictionaries({}, optional=_conditions(subnets=world.interception))
    if "tcp" in what:
        spec["tcp"] = [
            {"route": draw(_shares(world, namespace, TCP)), "match": draw(st.lists(matches, max_size=2))}
            for _ in range(draw(st.integers(1, 2)))
        ]
    if "tls" in what:
        names = st.lists(st.sampled_from(hosts), min_size=1, max_size=2, unique=True)
        named = st.builds(lambda hosts, more: {"sniHosts": hosts} | more, names, matches)
        spec["tls"] = [
            {"route": draw(_shares(world, namespace, TLS)), "match": draw(st.lists(named, min_size=1, max_size=2))}
            for _ in range(draw(st.integers(1, 2)))
        ]
    return document("VirtualService", f"v{number}", namespace, spec)


@st.composite
def delegates(draw: st.DrawFn, name: str, world: World) -> Values:
    """What others delegate to."""
    return document("VirtualService", name, "default", {"http": draw(_http(world, "default", delegate=False))})
