"""What a mesh has, before anything is said about it: services by host, so that what refers to them mostly finds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

Values = dict[str, Any]

NAMESPACES = ("default", "shop")
APPS = ("a", "b", "c")
VERSIONS = ("v1", "v2")
LOCALITIES = ("eu/a/1", "eu/b", "us/b", "asia")
GATEWAYS = ("default/edge", "shop/side")
OUTSIDE = ("x.example.com", "y.example.com", "z.example.org")
HTTP, TLS, TCP = ("HTTP", "http2", "GRPC", "GRPC-WEB"), ("TLS", "HTTPS"), ("TCP", "MONGO", "MYSQL", "REDIS")
PORTS = {80: HTTP, 9080: HTTP, 443: TLS, 5432: TCP, 6000: (*HTTP, *TLS, *TCP)}


@dataclass(frozen=True, slots=True)
class Host:
    """A service to be: its ports with their protocols, and the subsets that its DestinationRule will have."""

    name: str
    namespace: str
    app: str
    ports: dict[int, str]
    subsets: tuple[str, ...]

    @property
    def wildcard(self) -> bool:
        return self.name.startswith("*")


@dataclass(frozen=True, slots=True)
class World:
    """What documents refer to."""

    hosts: tuple[Host, ...]
    interception: bool

    def of(self, protocols: tuple[str, ...]) -> tuple[Host, ...]:
        """Hosts that can be destinations, with a port that speaks one of these."""
        return tuple(host for host in self.hosts if not host.wildcard and set(host.ports.values()) & set(protocols))


def document(kind: str, name: str, namespace: str, spec: Values, labels: Values | None = None) -> Values:
    """A whole document."""
    group = "reconciler/v1alpha1" if kind in {"Mesh", "Proxy", "RateLimit"} else "networking.istio.io/v1"
    metadata = {"name": name, "namespace": namespace, **({"labels": labels} if labels else {})}
    return {"apiVersion": group, "kind": kind, "metadata": metadata, "spec": spec}


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A few services of the mesh, some outside of it, and perhaps a wildcard."""
    names = [(f"{app}.{namespace}.svc.cluster.local", namespace, app) for namespace in NAMESPACES for app in APPS]
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True))
    chosen += [(name, draw(st.sampled_from(NAMESPACES)), "") for name in draw(st.sets(st.sampled_from(OUTSIDE)))]
    chosen += draw(st.sampled_from([[], [], [("*.wild.example.net", "default", "")]]))
    hosts = []
    for name, namespace, app in chosen:
        numbers = draw(st.lists(st.sampled_from(sorted(PORTS)), min_size=1, max_size=2, unique=True))
        ports = {number: draw(st.sampled_from(PORTS[number])) for number in numbers}
        subsets = () if name.startswith("*") else tuple(sorted(draw(st.sets(st.sampled_from(VERSIONS)))))
        hosts.append(Host(name, namespace, app, ports, subsets))
    return World(tuple(hosts), draw(st.booleans()))


@st.composite
def destinations(draw: st.DrawFn, world: World, namespace: str, protocols: tuple[str, ...]) -> Values:
    """A service that speaks one of these protocols (or any, if none does), and where it is needed its port."""
    found = world.of(protocols) or tuple(host for host in world.hosts if not host.wildcard)
    host = draw(st.sampled_from(found))
    near: bool = bool(host.app) and host.namespace == namespace
    short = near and draw(st.sampled_from([True, False]))
    out: Values = {"host": host.app if short else host.name}
    fitting = [number for number, name in host.ports.items() if name in protocols] or list(host.ports)
    if len(host.ports) > 1 or bool(draw(st.booleans())):
        out["port"] = {"number": draw(st.sampled_from(fitting))}
    if bool(host.subsets) and draw(st.booleans()):
        out["subset"] = draw(st.sampled_from(host.subsets))
    return out


EXPORTS: st.SearchStrategy[list[str]] = st.sampled_from([*[[]] * 8, ["."], ["*"], ["shop", "default"]])
"""Mostly to everybody: what is not exported can't be referred to from elsewhere."""
