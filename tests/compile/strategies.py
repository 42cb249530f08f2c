"""Meshes of every shape, small enough to meet themselves: few names, many ways to use them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from reconciler.yamldoc import dump
from tests.compile import checkspecs, httprules, limitspecs
from tests.compile.trafficpolicies import resolutions, traffic_policies

NAMESPACES = ("default", "shop")
NAMES = ("a", "b", "c")
SUBSETS = ("v1", "v2")
PORTS = (80, 9080, 9443)
PROTOCOLS = ("HTTP", "HTTP2", "GRPC", "TCP", "TLS", "HTTPS", "MONGO")
ADDRESSES = ("10.8.0.1", "10.8.0.2", "10.8.0.0/24", "2001:db8::8")


def _document(kind: str, name: str, namespace: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def _fqdn(name: str, namespace: str) -> str:
    return f"{name}.{namespace}.svc.cluster.local"


_HOSTS = st.one_of(
    st.sampled_from(NAMES),
    st.builds(_fqdn, st.sampled_from(NAMES), st.sampled_from(NAMESPACES)),
    st.sampled_from(["x.example.com", "y.example.com"]),
)
_PATTERNS = st.one_of(_HOSTS, st.sampled_from(["*.example.com", "*.shop.svc.cluster.local", "*.com"]))
_SCOPES = st.builds(
    lambda place, host: f"{place}/{host}",
    st.sampled_from([".", "*", "~", *NAMESPACES]),
    st.one_of(
        st.sampled_from(["*", "*.example.com", "*.shop.svc.cluster.local"]),
        st.builds(_fqdn, st.sampled_from(NAMES), st.sampled_from(NAMESPACES)),
    ),
)


@st.composite
def _services(draw: st.DrawFn, name: str, namespace: str) -> dict[str, Any]:
    ports = [
        {"number": number, "name": f"p{number}", "protocol": draw(st.sampled_from(PROTOCOLS))}
        for number in draw(st.lists(st.sampled_from(PORTS), min_size=1, max_size=2, unique=True))
    ]
    spec: dict[str, Any] = {"hosts": [_fqdn(name, namespace)], "resolution": "STATIC", "ports": ports}
    if draw(st.sampled_from([False, False, True])):
        return _document("ServiceEntry", name, namespace, spec | draw(resolutions()))
    spec["addresses"] = draw(st.lists(st.sampled_from(ADDRESSES), max_size=2, unique=True))
    spec["exportTo"] = draw(st.sampled_from([[], [], ["."], ["shop"], ["~"]]))
    if draw(st.booleans()):
        spec["workloadSelector"] = {"labels": {"app": name}}
    else:
        spec["endpoints"] = [
            {"address": f"10.1.0.{n}", "labels": {"version": draw(st.sampled_from(SUBSETS))}, "weight": n}
            for n in draw(st.lists(st.integers(1, 4), max_size=3))
        ]
    return _document("ServiceEntry", name, namespace, spec)


_DESTINATIONS = st.fixed_dictionaries(
    {"host": _HOSTS},
    optional={
        "subset": st.sampled_from((*SUBSETS, "gone")),
        "port": st.fixed_dictionaries({"number": st.sampled_from(PORTS)}),
    },
)
_RULES = httprules.rules(
    destinations=_DESTINATIONS,
    gateways=st.sampled_from([["mesh"], ["g"], ["shop/h", "mesh"]]),
    ports=PORTS,
    delegates=st.fixed_dictionaries(
        {"name": st.sampled_from(NAMES)}, optional={"namespace": st.sampled_from(NAMESPACES)}
    ),
)
_SHARES = st.lists(
    st.builds(
        lambda destination, weight: {"destination": destination, "weight": weight}, _DESTINATIONS, st.integers(0, 100)
    ),
    min_size=1,
    max_size=3,
).filter(lambda shares: len(shares) == 1 or any(share["weight"] for share in shares))
_CONDITIONS: dict[str, st.SearchStrategy[Any]] = {
    "port": st.sampled_from(PORTS),
    "sourceLabels": st.just({"app": "a"}),
    "sourceNamespace": st.sampled_from(NAMESPACES),
    "gateways": st.sampled_from([["mesh"], ["g"]]),
    "destinationSubnets": st.lists(st.sampled_from(ADDRESSES), min_size=1, max_size=2),
}
_TCP_RULES = st.fixed_dictionaries(
    {"route": _SHARES}, optional={"match": st.lists(st.fixed_dictionaries({}, optional=_CONDITIONS), max_size=2)}
)
_NAMED = st.fixed_dictionaries(
    {"sniHosts": st.lists(_PATTERNS, min_size=1, max_size=2, unique=True)}, optional=_CONDITIONS
)
_TLS_RULES = st.fixed_dictionaries({"route": _SHARES, "match": st.lists(_NAMED, min_size=1, max_size=2)})


@st.composite
def _virtual_services(draw: st.DrawFn, name: str, namespace: str) -> dict[str, Any]:
    spec = {
        "hosts": draw(st.one_of(st.just([]), *[st.lists(_PATTERNS, min_size=1, max_size=2, unique=True)] * 3)),
        "gateways": draw(st.lists(st.sampled_from(["mesh", "g", "default/g", "shop/h"]), max_size=2, unique=True)),
        "http": draw(st.lists(_RULES, min_size=1, max_size=3)),
        "tcp": draw(st.lists(_TCP_RULES, max_size=2)),
        "tls": draw(st.lists(_TLS_RULES, max_size=2)),
        "exportTo": draw(st.sampled_from([[], [], ["."], ["~"]])),
    }
    return _document("VirtualService", name, namespace, spec)


_POLICIES = traffic_policies(PORTS)


@st.composite
def _rules(draw: st.DrawFn, name: str, namespace: str) -> dict[str, Any]:
    subsets = [{"name": item, "labels": {"version": item}} for item in draw(st.sets(st.sampled_from(SUBSETS)))]
    host = draw(st.one_of(_HOSTS, st.just("*.cluster.local")))
    policy = {"trafficPolicy": draw(_POLICIES)} if draw(st.booleans()) else {}
    return _document("DestinationRule", name, namespace, {"host": host, "subsets": subsets, **policy})


@st.composite
def _gateways(draw: st.DrawFn, name: str, namespace: str) -> dict[str, Any]:
    servers = [
        {
            "port": {"number": draw(st.sampled_from([80, 81])), "name": f"s{number}", "protocol": "HTTP"},
            "hosts": draw(st.lists(st.one_of(_SCOPES, _PATTERNS, st.just("*")), min_size=1, max_size=2)),
            "bind": draw(st.sampled_from(["", "10.9.0.1"])),
        }
        for number in range(draw(st.integers(1, 2)))
    ]
    return _document("Gateway", name, namespace, {"servers": servers})


@st.composite
def _sidecars(draw: st.DrawFn, name: str, namespace: str) -> dict[str, Any]:
    egress = [
        {"hosts": draw(st.lists(_SCOPES, max_size=3)), **draw(st.sampled_from(_EGRESS))}
        for _ in range(draw(st.integers(0, 3)))
    ]
    spec: dict[str, Any] = {"egress": egress}
    if draw(st.booleans()):
        spec["workloadSelector"] = {"labels": {"app": draw(st.sampled_from(NAMES))}}
    if draw(st.booleans()):
        spec["ingress"] = draw(
            st.lists(st.sampled_from(_INGRESS), max_size=3, unique_by=lambda item: item["port"]["number"])
        )
    if draw(st.booleans()):
        spec["outboundTrafficPolicy"] = draw(st.sampled_from(_UNKNOWN))
    return _document("Sidecar", name, namespace, spec)


_EGRESS: tuple[dict[str, Any], ...] = (
    {},
    {"port": {"number": 80}},
    {"port": {"number": 9080}, "bind": "127.0.0.7"},
    {"port": {"number": 9080}, "bind": "127.0.0.8"},
    {"port": {"number": 3128, "protocol": "HTTP_PROXY"}},
    {"port": {"number": 3129, "protocol": "HTTP_PROXY"}},
    {"port": {"number": 9443, "protocol": "TLS"}},
    {"port": {"number": 9443, "protocol": "TCP"}, "bind": "127.0.0.7"},
    {"port": {"number": 5000, "protocol": "MYSQL"}, "captureMode": "NONE"},
    {"captureMode": "NONE"},
)
_INGRESS: tuple[dict[str, Any], ...] = (
    {"port": {"number": 7000}, "defaultEndpoint": "127.0.0.1:7001"},
    {"port": {"number": 7002, "protocol": "TCP"}, "captureMode": "NONE"},
    {"port": {"number": 7003, "protocol": "TLS"}, "defaultEndpoint": "unix:///run/app.sock"},
    {
        "port": {"number": 7004, "protocol": "HTTPS"},
        "tls": {"mode": "SIMPLE", "serverCertificate": "/c/tls.crt", "privateKey": "/c/tls.key"},
    },
)
_UNKNOWN: tuple[dict[str, Any], ...] = (
    {"mode": "REGISTRY_ONLY"},
    {"mode": "ALLOW_ANY"},
    {"egressProxy": {"host": "a.shop.svc.cluster.local", "port": {"number": 80}}},
)


_LIMITED = st.one_of(
    st.builds(lambda name: {"workloads": {"labels": {"app": name}}}, st.sampled_from(NAMES)),
    st.builds(lambda name: {"gateway": name}, st.sampled_from(["g", "shop/h"])),
    st.builds(
        lambda place, name, routes: {"virtualService": {"name": f"{place}/{name}", "routes": routes}},
        st.sampled_from(NAMESPACES),
        st.sampled_from(NAMES),
        st.lists(st.sampled_from(NAMES), max_size=1),
    ),
)
_LIMITS = limitspecs.specs(st.fixed_dictionaries({"host": _HOSTS}, optional={"port": st.just({"number": 80})}))


@st.composite
def _limits(draw: st.DrawFn, name: str, namespace: str) -> dict[str, Any]:
    return _document("RateLimit", name, namespace, {"target": draw(_LIMITED), **draw(_LIMITS)})


@st.composite
def _checks(draw: st.DrawFn, name: str, namespace: str) -> dict[str, Any]:
    parts = {"ports": draw(st.sampled_from([[], [80]])), "subsets": draw(st.sampled_from([[], ["v1"]]))}
    return _document("HealthCheck", name, namespace, {"host": draw(_HOSTS), **parts, **draw(checkspecs.specs())})


def _proxies(name: str, namespace: str) -> dict[str, Any]:
    spec = {"workload": name, "admin": "unix:///run/a.sock", "push": {"files": {"directory": f"/e/{namespace}/{name}"}}}
    return _document("Proxy", name, namespace, spec)


_EDGE = _document("Proxy", "edge", "default", {"admin": "unix:///run/e.sock", "push": {"files": {"directory": "/e/g"}}})


_MODES = st.sampled_from([{}, {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}])


@st.composite
def texts(draw: st.DrawFn) -> list[str]:
    """The documents of a mesh with a gateway and some sidecars, each as YAML, in any order."""
    documents = [_EDGE]
    interception = draw(st.sampled_from(["NONE", "REDIRECT"]))
    documents.append(_document("Mesh", "mesh", "default", {"interception": interception, **draw(_MODES)}))
    kinds = (_services, _virtual_services, _rules, _sidecars)
    for namespace in NAMESPACES:
        for name in NAMES:
            documents.extend(draw(kind(name, namespace)) for kind in kinds if draw(st.booleans()))
            if draw(st.booleans()):
                entry = {"address": f"10.0.{NAMESPACES.index(namespace)}.{NAMES.index(name) + 1}"}
                labels = {"app": draw(st.sampled_from(NAMES)), "version": draw(st.sampled_from(SUBSETS))}
                documents.append(_document("WorkloadEntry", name, namespace, {**entry, "labels": labels}))
                documents.append(_proxies(name, namespace))
    documents.extend(draw(_limits(name, "default")) for name in NAMES if draw(st.booleans()))
    documents.extend(draw(_checks(name, "default")) for name in NAMES if draw(st.booleans()))
    documents.append(draw(_gateways("g", "default")))
    documents.append(draw(_gateways("h", "shop")))
    return [dump(document) for document in draw(st.permutations(documents))]
