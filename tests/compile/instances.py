"""Services with instances that registries list, beside the endpoints that Git declares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from reconciler.compile import Compiled
from reconciler.model.resource import Resource
from reconciler.model.serviceentry import Resolution
from reconciler.model.services import Endpoint, Health, Service

_ADDRESSES = (
    "10.0.0.1",
    "10.1.0.1",
    "10.1.0.2",
    "127.0.0.1",
    "10.8.0.1",
    "2001:db8::1",
    "2001:DB8:0::1",
    "unix:///run/x",
)
_PLACES = ("", "eu", "eu/", "eu/a/1", "eu/b", "us/b")


def instance(address: str, port: int = 80, *, name: str = "p80", **fields: Any) -> Endpoint:
    """One that a registry lists."""
    given: dict[str, Any] = {"labels": {}, "registry": "r"}
    return Endpoint(address=address, ports={name: port}, **(given | fields))


def listing(service: Service, *endpoints: Endpoint) -> Service:
    """A service whose instances registries list, beside the endpoints that it has."""
    own = tuple(item for item in service.endpoints if not item.registry)
    return replace(service, discovered=True, endpoints=(*own, *endpoints))


def endpoints(service: Service) -> st.SearchStrategy[list[Endpoint]]:
    """Instances of a service: at few addresses, some without a port that it has, some at Git's own."""
    names = [port.name for port in service.ports]
    ports = st.fixed_dictionaries({}, optional={name: st.sampled_from([80, 9080]) for name in names})
    found = st.builds(
        Endpoint,
        address=st.sampled_from((*_ADDRESSES, *(item.address for item in service.endpoints))),
        ports=ports,
        labels=st.sampled_from([{}, {"version": "v1"}, {"version": "v2"}, {"app": "a", "version": "v1"}]),
        weight=st.sampled_from([1, 1, 3, 2**32 - 1]),
        locality=st.sampled_from(_PLACES),
        service_account=st.sampled_from(["", "sa"]),
        health=st.sampled_from([Health.HEALTHY, *Health]),
        registry=st.sampled_from(["k", "c"]),
    )
    return st.lists(found, max_size=5)


@st.composite
def pairs(draw: st.DrawFn, services: Sequence[Service]) -> tuple[list[Service], list[Service]]:
    """Services of which some are discovered, twice, with different instances."""
    first, second = [], []
    for item in services:
        if item.resolution is Resolution.STATIC and draw(st.booleans()):
            first.append(listing(item, *draw(endpoints(item))))
            second.append(listing(item, *draw(endpoints(item))))
        else:
            first.append(item)
            second.append(item)
    return first, second


def made_by(item: Resource, services: Sequence[Service]) -> Resource:
    """What a resource's recipe makes of the instances of its service."""
    assert item.recipe is not None
    (service,) = (service for service in services if service.host == item.recipe.host)
    return item.recipe.at([endpoint for endpoint in service.endpoints if endpoint.registry])


def same(one: Compiled, other: Compiled) -> bool:
    """Whether two compilations have equal views, with recipes in the same places, and equal findings."""
    return one.findings == other.findings and [*_content(one)] == [*_content(other)]


def _content(compiled: Compiled) -> Any:
    for key, view in compiled.views.items():
        yield key, view.unsupported, [(item, item.recipe) for item in view.resources.values()]
