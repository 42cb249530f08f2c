"""The mesh that all rows share: a gateway, a client's sidecar, a server's sidecar, and a service for each backend. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tests.behaviour.policies import BACKENDS, Lookup, filled, reached, text

PROXIES = ("edge", "client", "server")
"""The gateway, which all Gateways with the selector `gateway: edge` are for, and the two sidecars."""

LOCALITY = "near/zone/rack"
"""Where the gateway and the client's workload are."""

SERVER = "127.78.0.1"
"""Address of the server's workload; its sidecar is called at `$inbound` there and hands on to the backend called app."""

_API, _OURS = "networking.istio.io/v1", "reconciler/v1alpha1"


def base(
    names: Lookup, *, mesh: Mapping[str, Any] | None = None, egress: Iterable[Any] = (), ingress: Iterable[Any] = ()
) -> str:
    """The shared documents, with rows' listeners on the sidecars. With interception the client has the default ones too."""
    redirected = mesh is not None and mesh.get("interception") == "REDIRECT"
    rest = [{"hosts": ["*/*"]}] if redirected else []
    documents = [
        *([_document("Mesh", "mesh", **mesh)] if mesh else []),
        *(_service(f"{name}", "HTTP") for name in BACKENDS),
        _service("h2", "HTTP2"),
        _service("app", "HTTP", address=SERVER, port="$inbound"),
        _document("Gateway", "edge", selector={"gateway": "edge"}, servers=[_server("$edge")]),
        *_sidecar("client", "$away", LOCALITY, egress=[_proxying("$client", "*/*"), *egress, *rest]),
        *_sidecar("server", SERVER, "", egress=[_proxying("$server", "~/*")], ingress=[_ingress(), *ingress]),
        *(_proxy(name) for name in PROXIES),
    ]
    return text([filled(item, names) for item in documents])


def _document(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    group = _OURS if kind in {"Proxy", "Mesh"} else _API
    return {"apiVersion": group, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _service(name: str, protocol: str, *, address: str = "127.0.0.1", port: str = "") -> dict[str, Any]:
    endpoint = {"address": address, "ports": {"http": port or f"${name}"}}
    ports = [{"number": 80, "name": "http", "protocol": protocol}]
    host = f"{name}.default.svc.cluster.local"
    return _document("ServiceEntry", name, hosts=[host], resolution="STATIC", ports=ports, endpoints=[endpoint])


def _server(port: str) -> dict[str, Any]:
    return {"port": {"number": port, "name": "http", "protocol": "HTTP"}, "bind": "127.0.0.1", "hosts": ["*"]}


def _sidecar(name: str, address: str, locality: str, **spec: Any) -> Iterable[dict[str, Any]]:
    labels = {"app": f"{name}-workload"}
    yield _document("WorkloadEntry", name, address=address, labels=labels, locality=locality)
    yield _document("Sidecar", name, workloadSelector={"labels": labels}, **spec)


def _proxying(port: str, hosts: str) -> dict[str, Any]:
    return {"port": {"number": port, "name": "proxy", "protocol": "HTTP_PROXY"}, "bind": "127.0.0.1", "hosts": [hosts]}


def _ingress() -> dict[str, Any]:
    return {"port": {"number": "$inbound", "name": "http", "protocol": "HTTP"}, "defaultEndpoint": "127.0.0.1:$app"}


def _proxy(name: str) -> Mapping[str, Any]:
    way = {"labels": {"gateway": "edge"}, "locality": LOCALITY} if name == "edge" else {"workload": name}
    return _document("Proxy", name, **way, **reached(name, "$folder"))
