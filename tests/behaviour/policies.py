"""A row as documents: its shorthands written out, with its own names in place. Pure.

Names that a row may use anywhere: `$host` (`<row>.example.com`), `$name` (the row's own, for metadata and namespaces),
`$port`, `$port2`, ... (free ports on 127.0.0.1), `$address` (a loopback address of the row's own), `$away`
(an address of its own that this machine does not have), `$certs` (a folder, where
`X.example.pem` and `.key` for some names lie beside `ca.pem`), and the ports of backends: `$blue`, `$tls_blue` and so on.
A sidecar of the row's own has a proxying listener at `$own`; where connections are redirected, `$own_out` and `$own_in` take
the place of ports 15001 and 15006, as `$client_out` and the like do for the shared sidecars.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from reconciler.yamldoc import dump
from tests.behaviour.table import GATEWAY, OwnSidecar, Row

BACKENDS = ("blue", "green", "red")
"""HTTP/1.1 backends; each is a service of its name too, and an endpoint of rows' own services."""

_NAME = re.compile(r"\$([a-z][a-z0-9_]*)")
_OURS = {"Mesh", "Proxy", "RateLimit"}
_LOOPBACK = "127.0.0.1"

Lookup = Callable[[str], str | int]
"""What a `$name` stands for; raises KeyError if for nothing."""


def filled(value: Any, names: Lookup) -> Any:
    """A value with every `$name` replaced; one that is nothing else keeps its type."""
    if isinstance(value, str):
        whole = _NAME.fullmatch(value)
        return names(whole[1]) if whole else _NAME.sub(lambda found: str(names(found[1])), value)
    if isinstance(value, Mapping):
        return {filled(name, names): filled(item, names) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [filled(item, names) for item in value]
    return value


def documents(row: Row, names: Lookup) -> list[dict[str, Any]]:
    """The documents of a row."""
    found: list[Mapping[str, Any]] = []
    owns = row.traffic_policy is not None or row.subsets or row.service is not None
    if owns:
        spec = {**_service(), **(row.service or {})}
        found.append({"kind": "ServiceEntry", "spec": {name: item for name, item in spec.items() if item is not None}})
    if row.traffic_policy is not None or row.subsets:
        policy = {"trafficPolicy": row.traffic_policy} if row.traffic_policy is not None else {}
        subsets = {"subsets": row.subsets} if row.subsets else {}
        found.append({"kind": "DestinationRule", "spec": {"host": "$host", **policy, **subsets}})
    rules = {kind: getattr(row, kind) for kind in ("http", "tls", "tcp") if getattr(row, kind)}
    if (
        owns
        and not rules
        and GATEWAY in row.through
        and not any(item["kind"] == "VirtualService" for item in row.policies)
    ):
        rules = {"http": [{"route": [{"destination": {"host": "$host"}}]}]}
    if rules:
        found.append({"kind": "VirtualService", "spec": {"hosts": ["$host"], "gateways": ["mesh", "edge"], **rules}})
    own = _own(row.own) if row.own is not None else ()
    return [filled(_complete(item), names) for item in (*found, *row.policies, *own)]


def _own(own: OwnSidecar) -> Iterator[dict[str, Any]]:
    labels = {"app": "$name"}
    port = {"number": "$own", "name": "proxy", "protocol": "HTTP_PROXY"}
    egress = [{"port": port, "bind": _LOOPBACK, "hosts": ["*/$host", "*/*.$host"]}]
    specs = {
        "WorkloadEntry": {"address": "$away", "labels": labels, **own.workload},
        "Sidecar": {"workloadSelector": {"labels": labels}, "egress": egress, **own.sidecar},
        "Proxy": {"workload": "$name", "certificates": own.certificates, **reached("$name", "$folder")},
    }
    for kind, spec in specs.items():
        yield {"kind": kind, "metadata": {"namespace": own.namespace}, "spec": spec}


def reached(name: str, folder: str) -> dict[str, Any]:
    """How a proxy is reached and pushed to."""
    return {"admin": f"unix://{folder}/{name}.sock", "push": {"files": {"directory": f"{folder}/{name}"}}}


def text(items: list[dict[str, Any]]) -> str:
    """Documents as one YAML file."""
    return "---\n".join(dump(item) for item in items)


def _complete(item: Mapping[str, Any]) -> dict[str, Any]:
    group = "reconciler/v1alpha1" if item["kind"] in _OURS else "networking.istio.io/v1"
    metadata = {"name": "$name", **item.get("metadata", {})}
    return {"apiVersion": group, **item, "metadata": metadata}


def _service() -> dict[str, Any]:
    """Blue, green and red as endpoints of one service."""
    return {
        "hosts": ["$host"],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "endpoints": [endpoint(name) for name in BACKENDS],
    }


def endpoint(name: str, backend: str = "") -> dict[str, Any]:
    """A backend as an endpoint of a port called http."""
    return {"address": _LOOPBACK, "ports": {"http": f"${backend or name}"}, "labels": {"backend": name}}
