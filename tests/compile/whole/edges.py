"""Where traffic comes in and goes out: Gateways, Sidecars, Proxies, and what holds for all of them."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.compile.whole.services import POLICIES
from tests.compile.whole.world import (
    HTTP,
    LOCALITIES,
    NAMESPACES,
    TCP,
    TLS,
    Values,
    World,
    destinations,
    document,
)

_FILES = {"serverCertificate": "/c/tls.crt", "privateKey": "/c/tls.key"}
_SPKI, _HASH = (
    "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
)
_ENDED: tuple[Values, ...] = (
    {"mode": "SIMPLE", **_FILES},
    {"mode": "SIMPLE", "credentialName": "edge", "minProtocolVersion": "TLSV1_3"},
    {"mode": "SIMPLE", "credentialNames": ["rsa", "ecdsa"]},
    {"mode": "SIMPLE", "tlsCertificates": [_FILES, {"serverCertificate": "/c/2.crt", "privateKey": "/c/2.key"}]},
    {"mode": "MUTUAL", **_FILES, "caCertificates": "/c/ca.crt", "caCrl": "/c/crl.pem", "subjectAltNames": ["client"]},
    {"mode": "MUTUAL", "credentialName": "edge", "caCertCredentialName": "ca", "verifyCertificateSpki": [_SPKI]},
    {"mode": "OPTIONAL_MUTUAL", "credentialName": "edge", "insecureSkipVerify": True},
    {"mode": "ISTIO_MUTUAL"},
    {"mode": "MUTUAL", **_FILES, "caCertificates": "/c/ca.crt", "verifyCertificateHash": [_HASH], "maxProtocolVersion": "TLSV1_2",
     "cipherSuites": ["ECDHE-RSA-AES128-GCM-SHA256", "[AES128-SHA|AES256-SHA]"]},
)  # fmt: skip
_PATTERNS = ("*", "*.example.com", "x.example.com", "y.example.com", "*.wild.example.net", "*.cluster.local")
_SCOPED = ("shop/*", "./*", "*/x.example.com", "default/*.example.com", "shop/y.example.com")


@st.composite
def _servers(draw: st.DrawFn, number: int, port: int) -> Values:
    kind = draw(st.sampled_from(["http", "http", "ended", "ended", "passed", "tcp"]))
    protocols = {"http": HTTP, "ended": ("HTTPS", "TLS"), "passed": TLS, "tcp": TCP}[kind]
    named = st.one_of(st.sampled_from(_PATTERNS), st.sampled_from(_SCOPED))
    server: Values = {
        "port": {"number": port, "name": f"n{number}", "protocol": draw(st.sampled_from(protocols))},
        "hosts": ["*"] if kind == "tcp" else draw(st.lists(named, min_size=1, max_size=1)),
        **draw(st.sampled_from([{}, {}, {"bind": "10.9.9.9"}, {"name": f"server-{number}"}])),
    }
    if kind == "http":
        server |= draw(st.sampled_from([{}, {}, {"tls": {"httpsRedirect": True}}]))
    elif kind != "tcp":
        server["tls"] = {"mode": "PASSTHROUGH"} if kind == "passed" else draw(st.sampled_from(_ENDED))
    return server


@st.composite
def gateways(draw: st.DrawFn, name: str, namespace: str) -> Values:
    """Servers on several ports, some shared."""
    ports = draw(st.lists(st.sampled_from([80, 8080, 443, 8443, 5432]), min_size=1, max_size=3))
    servers = [draw(_servers(number, port)) for number, port in enumerate(ports)]
    selector = draw(st.sampled_from([{"istio": "edge"}, {"istio": "edge"}, {}]))
    return document("Gateway", name, namespace, {"selector": selector, "servers": servers})


@st.composite
def _scopes(draw: st.DrawFn, world: World) -> list[str]:
    hosts = ["*", "*.example.com", "*.shop.svc.cluster.local", *(host.name for host in world.hosts)]
    one = st.builds(
        lambda place, host: f"{place}/{host}", st.sampled_from([".", "*", *NAMESPACES]), st.sampled_from(hosts)
    )
    return draw(st.one_of(st.lists(one, min_size=1, max_size=3, unique=True), st.sampled_from([["*/*"], ["~/*"]])))


_EGRESS = {
    80: ["HTTP", "HTTP2"], 9080: ["HTTP", "GRPC"], 3128: ["HTTP_PROXY"], 443: ["TLS", "HTTPS"],
    5432: ["TCP", "MYSQL"], 6000: ["HTTP", "TCP"],
}  # fmt: skip
_INGRESS: tuple[Values, ...] = (
    {"port": {"number": 7000, "name": "http"}, "defaultEndpoint": "127.0.0.1:7001"},
    {"port": {"number": 80, "protocol": "HTTP"}},
    {"port": {"number": 7002, "protocol": "TCP"}, "captureMode": "NONE", "defaultEndpoint": "0.0.0.0:7012"},
    {"port": {"number": 7003, "protocol": "TLS"}, "defaultEndpoint": "unix:///run/app.sock"},
    {"port": {"number": 7004, "protocol": "HTTPS"}, "tls": {"mode": "SIMPLE", **_FILES}},
    {"port": {"number": 7005, "protocol": "HTTPS"},
     "tls": {"mode": "MUTUAL", **_FILES, "caCertificates": "/c/ca.crt", "minProtocolVersion": "TLSV1_3"}},
    {"port": {"number": 7006, "protocol": "GRPC"}, "bind": "10.0.0.200", "defaultEndpoint": "unix://@app"},
)  # fmt: skip
_POOLS = POLICIES.filter(lambda policy: "connectionPool" in policy).map(lambda policy: policy["connectionPool"])


@st.composite
def outbound_policies(draw: st.DrawFn, world: World) -> Values:
    """What becomes of traffic for hosts that no service has."""
    if bool(world.of((*HTTP, *TCP))) and draw(st.booleans()):
        proxy = draw(destinations(world, "default", HTTP))
        hosts = {host.name: host for host in world.hosts}
        if "port" in proxy and proxy["host"] in hosts:
            return {"mode": "ALLOW_ANY", "egressProxy": proxy}
    return draw(st.sampled_from([{"mode": "ALLOW_ANY"}, {"mode": "REGISTRY_ONLY"}]))


@st.composite
def sidecars(draw: st.DrawFn, namespace: str, app: str, world: World) -> Values:
    """For one app, or with "" for all of a namespace."""
    spec: Values = {"workloadSelector": {"labels": {"app": app}}} if app else {}
    ports = draw(st.lists(st.sampled_from(sorted(_EGRESS)), max_size=3, unique=True))
    egress = []
    for port in ports:
        listener: Values = {"port": {"number": port, "protocol": draw(st.sampled_from(_EGRESS[port]))}}
        listener["hosts"] = draw(_scopes(world))
        modes = [
            {},
            {"bind": f"127.0.0.{port % 200 + 2}"},
            {"captureMode": "NONE", "bind": f"127.0.1.{port % 200 + 2}"},
        ]
        modes += [{"captureMode": "IPTABLES"}] if world.interception else []
        egress.append(listener | draw(st.sampled_from(modes)))
    if draw(st.booleans()) or not egress:
        egress.append({"hosts": draw(_scopes(world))} | draw(st.sampled_from([{}, {}, {"captureMode": "DEFAULT"}])))
    spec["egress"] = egress
    if app and draw(st.booleans()):
        found = draw(
            st.lists(st.sampled_from(_INGRESS), min_size=1, max_size=3, unique_by=lambda item: item["port"]["number"])
        )
        spec["ingress"] = [
            item
            | (
                {"connectionPool": draw(_POOLS)}
                if draw(st.booleans()) and item["port"].get("protocol") not in TCP
                else {}
            )
            for item in found
        ]
    if draw(st.booleans()):
        spec["outboundTrafficPolicy"] = draw(outbound_policies(world))
    if draw(st.sampled_from([False, False, True])):
        spec["inboundConnectionPool"] = draw(_POOLS)
    return document("Sidecar", f"sidecar-{app or 'all'}", namespace, spec)


def proxies(workloads: list[Values], names: list[str], *, certified: bool) -> list[Values]:
    """A sidecar for each of these workloads, and two gateways."""
    found: list[tuple[str, str, Values]] = [
        ("edge", "default", {"labels": {"istio": "edge"}, "locality": LOCALITIES[0]})
    ]
    found.append(("side", "shop", {"labels": {"istio": "edge", "zone": "b"}}))
    for workload in workloads:
        meta = workload["metadata"]
        if meta["name"] in names:
            found.append((meta["name"], meta["namespace"], {"workload": meta["name"]}))
    files = {"directory": "/own", "certificateChain": "/own/c", "privateKey": "/own/k", "rootCertificate": "/own/r"}
    out = []
    for number, (name, namespace, spec) in enumerate(found):
        push = {"files": {"directory": f"/e/{namespace}/{name}"}}
        own = {"certificates": files} if certified or number == 0 else {}
        out.append(
            document("Proxy", name, namespace, {"admin": f"unix:///run/{number}.sock", "push": push, **own, **spec})
        )
    return out


@st.composite
def settings(draw: st.DrawFn, world: World, *, certified: bool) -> Values:
    """The Mesh document."""
    spec: Values = {"interception": "REDIRECT" if world.interception else "NONE"}
    if draw(st.booleans()):
        spec["outboundTrafficPolicy"] = draw(outbound_policies(world))
    if not certified:  # Or every proxy has its own
        spec["certificates"] = {
            "directory": "/mesh", "certificateChain": "/mesh/c", "privateKey": "/mesh/k", "rootCertificate": "/mesh/r",
            **draw(st.sampled_from([{}, {"systemCertificates": "/mesh/ca.pem"}])),
        }  # fmt: skip
    return document("Mesh", "mesh", "default", spec)
