"""Which hosts registries may list, as far as `Mesh.discovery` tells: what no document declares is not wrong then.

A host that none of them can list is a slip, as it is where there are no registries.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.discovery import Naming, Registry
from reconciler.model.hosts import covers, fqdn
from reconciler.model.mesh import Mesh

_ANY = "*"


class Providers:
    """The registries of a mesh.

    Attributes:
        any: Whether there are registries at all.
        clusters: Whether one of them is a Kubernetes cluster.
    """

    def __init__(self, mesh: Mesh) -> None:
        registries, domain = mesh.settings.discovery, mesh.settings.domain
        self.any = bool(registries)
        self.clusters = any(item.kubernetes is not None for item in registries)
        patterns = {pattern for item in registries for pattern in _patterns(item, domain)}
        self._wild = frozenset(item for item in patterns if item.startswith("*"))
        self._hosts = frozenset(patterns - self._wild)

    def may_list(self, host: str) -> bool:
        """Whether a registry may list this full host, or one under it if it is a wildcard."""
        if host in self._hosts or any(covers(pattern, host) or covers(host, pattern) for pattern in self._wild):
            return True
        return host.startswith("*") and any(covers(host, item) for item in self._hosts)


def _patterns(registry: Registry, domain: str) -> Iterator[str]:
    """The hosts that a registry may list: full ones, and wildcards."""
    namings: tuple[Naming | None, ...] = (registry.file_sd, registry.http_sd, registry.etcd)
    for naming in namings:
        if naming is not None:
            yield fqdn(naming.host, namespace=naming.namespace, domain=domain).lower() if naming.host else _ANY
    if registry.dns is not None:
        for service in registry.dns.services:
            yield fqdn(service.host, namespace=registry.dns.namespace, domain=domain).lower()
    if registry.kubernetes is not None:
        suffix = f"svc.{registry.kubernetes.domain or domain}".lower()
        yield from (f"*.{name}.{suffix}" for name in registry.kubernetes.namespaces or ())
        if not registry.kubernetes.namespaces:
            yield f"*.{suffix}"
    if registry.consul is not None:
        yield f"*.{registry.consul.domain}".lower()
    if registry.plugin is not None:
        yield _ANY
