"""Stand-ins for the proxies of a mesh that names none, so that any folder of policies can be shown to an Envoy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.origin import Origin
from reconciler.model.proxy import Certificates, FilesPush, Proxy, Push

NOWHERE = Origin("", -1)
"""The origin of a stand-in, which no document has."""

_ADMIN = "http://127.0.0.1:9901"
_FOLDER = "/var/lib/envoy"


def with_proxies(mesh: Mesh) -> Mesh:
    """The mesh, with stand-ins if it has no Proxy of its own.

    A sidecar without a workload in each namespace, one for each kind of workload (namespace and labels), and a gateway for
    each selector.
    """
    if mesh.proxies:
        return mesh
    found: dict[Key, Policy[Proxy]] = {}
    for policy in (*_sidecars(mesh), *_gateways(mesh)):
        found.setdefault(policy.key, policy)
    return replace(mesh, proxies=tuple(found[key] for key in sorted(found)))


def _sidecars(mesh: Mesh) -> Iterator[Policy[Proxy]]:
    for namespace in sorted({policy.key.namespace for policy in mesh.policies()}):
        yield _proxy(Key(namespace, "any-sidecar"), workload="any-sidecar")
    seen: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
    for entry in mesh.workload_entries:
        kind = (entry.key.namespace, tuple(sorted(entry.spec.labels.items())))
        if kind not in seen:
            seen.add(kind)
            yield _proxy(Key(entry.key.namespace, f"sidecar-of-{entry.key.name}"), workload=entry.key.name)


def _gateways(mesh: Mesh) -> Iterator[Policy[Proxy]]:
    seen: set[tuple[tuple[str, str], ...]] = set()
    for gateway in mesh.gateways:
        selector = tuple(sorted(gateway.spec.selector.items()))
        if selector not in seen:
            seen.add(selector)
            key = Key(gateway.key.namespace, f"gateway-of-{gateway.key.name}")
            yield _proxy(key, labels=dict(selector))


def _proxy(key: Key, **fields: Any) -> Policy[Proxy]:
    pem = f"{_FOLDER}/certificates"
    spec = Proxy(
        admin=_ADMIN,
        push=Push(files=FilesPush(directory=f"{_FOLDER}/{key.namespace}/{key.name}")),
        certificates=Certificates(
            directory=pem,
            certificate_chain=f"{pem}/tls.crt",
            private_key=f"{pem}/tls.key",
            root_certificate=f"{pem}/ca.crt",
        ),
        **fields,
    )
    return Policy("Proxy", key, spec, NOWHERE)
