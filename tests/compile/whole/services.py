"""Services, their instances, and what DestinationRules say of them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.compile.trafficpolicies import resolutions, traffic_policies
from tests.compile.whole.world import (
    APPS,
    EXPORTS,
    LOCALITIES,
    NAMESPACES,
    PORTS,
    TCP,
    VERSIONS,
    Host,
    Values,
    World,
    document,
)


def mended(value: Any) -> Any:
    """A traffic policy without the few combinations that Envoy can be asked for, but that nobody may write."""
    if isinstance(value, list):
        return [mended(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {key: mended(item) for key, item in value.items()}
    if "http2KeepAlive" in out:
        out["http2KeepAlive"] = {"interval": "1h", "timeout": "1s"}
    if out.get("maglev") == {}:
        out["maglev"] = {"tableSize": 1009}
    if "consecutiveLocalOriginFailures" in out:
        out["splitExternalLocalOriginErrors"] = True
    if out.get("h2UpgradePolicy") == "UPGRADE":
        out.pop("useClientProtocol", None)
    return out


_ODD = st.sampled_from(
    [
        {"tunnel": {"protocol": "POST", "targetHost": "t.example.com", "targetPort": 443}},
        {"tunnel": {"targetHost": "t.example.com", "targetPort": 443}},
        {"loadBalancer": {"simple": "ROUND_ROBIN", "warmupDurationSecs": "30s"}},
        {"loadBalancer": {"consistentHash": {"httpCookie": {
            "name": "c", "ttl": "1h", "attributes": [{"name": "SameSite", "value": "Strict"}, {"name": "Secure"}]}}}},
        {"outlierDetection": {"consecutiveErrors": 3}},
        {"tls": {"mode": "SIMPLE", "caCertificates": "/ca.pem", "caCrl": "/crl.pem"}},
    ]
)  # fmt: skip
POLICIES = st.one_of(*[traffic_policies(tuple(PORTS)).map(mended)] * 4, _ODD)
_SELECTED = st.sampled_from([*[{}] * 5, {"workloadSelector": {"matchLabels": {"app": "a"}}}])


@st.composite
def service_entries(draw: st.DrawFn, host: Host, number: int, world: World) -> Values:
    """The ServiceEntry of a host. Services of the mesh select workloads, mostly."""
    ports = [
        {"number": port, "name": f"p{port}", "protocol": protocol}
        | draw(st.sampled_from([{}, {}, {"targetPort": 8000 + port % 1000}]))
        for port, protocol in host.ports.items()
    ]
    spec: Values = {"hosts": [host.name], "ports": ports, "exportTo": draw(EXPORTS)}
    if host.wildcard:
        named = not set(host.ports.values()) & set(TCP)
        spec["resolution"] = draw(st.sampled_from(["NONE", "DYNAMIC_DNS"] if named else ["NONE"]))
    elif host.app and draw(st.sampled_from([True, True, False])):
        spec |= {"resolution": "STATIC", "workloadSelector": {"labels": {"app": host.app}}, "location": "MESH_INTERNAL"}
    else:
        spec |= draw(resolutions())
    if len(host.ports) > 1 and "endpoints" in spec:
        spec["endpoints"] = [item for item in spec["endpoints"] if not item["address"].startswith("unix:")]
    tcp = set(host.ports.values()) & set(TCP)
    if not host.wildcard and (tcp or draw(st.booleans())):
        spec["addresses"] = [f"10.8.{number}.1"]
        if world.interception and spec["resolution"] in {"STATIC", "NONE"} and draw(st.booleans()):
            spec["addresses"].append(f"10.9.{number}.0/24")
    for endpoint in spec.get("endpoints", []):
        if not endpoint["address"].startswith("unix:") and draw(st.sampled_from([False, False, True])):
            endpoint["ports"] = {f"p{next(iter(host.ports))}": 7777}
    return document("ServiceEntry", f"s{number}", host.namespace, spec)


@st.composite
def workload_entries(draw: st.DrawFn, number: int) -> Values:
    """One instance, of some app."""
    namespace = draw(st.sampled_from(NAMESPACES))
    labels = {"app": draw(st.sampled_from(APPS)), "version": draw(st.sampled_from(VERSIONS))}
    optional: dict[str, st.SearchStrategy[Any]] = {
        "locality": st.sampled_from(LOCALITIES),
        "weight": st.integers(0, 3),
        "serviceAccount": st.sampled_from(["one", "two"]),
        "ports": st.sampled_from([{"p80": 18080}, {"p9080": 19080, "p443": 18443}]),
    }
    more = draw(st.fixed_dictionaries({}, optional=optional))
    return document("WorkloadEntry", f"w{number}", namespace, {"address": f"10.0.0.{number}", "labels": labels, **more})


@st.composite
def destination_rules(draw: st.DrawFn, host: Host, number: int) -> Values:
    """The DestinationRule that brings a host's subsets; in its namespace, so that everybody finds it."""
    subsets = [
        {"name": name, "labels": {"version": name}} | ({"trafficPolicy": draw(POLICIES)} if draw(st.booleans()) else {})
        for name in host.subsets
    ]
    spec: Values = {"host": host.name, "subsets": subsets}
    if draw(st.booleans()) or not subsets:
        spec["trafficPolicy"] = draw(POLICIES)
    if not subsets:
        spec |= draw(st.one_of(_SELECTED, EXPORTS.map(lambda found: {"exportTo": found})))
    return document("DestinationRule", f"d{number}", host.namespace, spec)


@st.composite
def wide_rules(draw: st.DrawFn, number: int) -> Values:
    """A DestinationRule for many hosts at once, or for one from another namespace."""
    host = draw(st.sampled_from(["*.shop.svc.cluster.local", "*.cluster.local", "*.example.com"]))
    namespace = draw(st.sampled_from(NAMESPACES))
    return document("DestinationRule", f"e{number}", namespace, {"host": host, "trafficPolicy": draw(POLICIES)})
