"""Everything that can be referred to, by name: what was loaded, and what failed to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from reconciler.model.destinationrule import DestinationRule, Subset
from reconciler.model.hosts import covers, fqdn
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.proxy import Proxy
from reconciler.model.serviceentry import WorkloadEntry, WorkloadSelector
from reconciler.model.services import Service, declared, selected
from reconciler.model.virtualservice import MESH_GATEWAY, VirtualService
from reconciler.policy.documents import Failed


class Index:
    """One mesh, looked up by name.

    Args:
        mesh: What was read.
        failed: What could not be read.
        known: What the mesh declares, if the caller has worked it out.

    Attributes:
        services: By full host.
    """

    def __init__(self, mesh: Mesh, failed: Sequence[Failed], *, known: Sequence[Service] | None = None) -> None:
        self.mesh = mesh
        declares = declared(mesh) if known is None else known
        self.services: dict[str, Service] = {service.host: service for service in declares}
        self.gateways = {policy.key: policy for policy in mesh.gateways}
        self.virtual_services = {policy.key: policy for policy in mesh.virtual_services}
        self._wildcards = [service for service in self.services.values() if service.host.startswith("*")]
        self._failed = failed
        self._failed_hosts = frozenset(self._hosts_of("ServiceEntry", "hosts"))
        self._failed_rules = frozenset(self._hosts_of("DestinationRule", "host"))
        self._labelled: dict[tuple[str, str, str], list[Policy[WorkloadEntry]]] = {}
        for workload in mesh.workload_entries:
            for name, value in workload.spec.labels.items():
                self._labelled.setdefault((workload.key.namespace, name, value), []).append(workload)
        self._rules: dict[str, list[Policy[DestinationRule]]] = {}
        for rule in mesh.destination_rules:
            self._rules.setdefault(self.host(rule.spec.host, rule.key), []).append(rule)
        self._patterns = sorted((item for item in self._rules if item.startswith("*")), key=len, reverse=True)
        self._sidecars = {
            proxy.key.namespace for proxy in mesh.proxies if proxy.spec.workload and proxy.spec.push.files
        }
        edges = [proxy for proxy in mesh.proxies if _is_gateway(proxy)]
        self._gateway_clients = {
            key: {proxy.key.namespace for proxy in edges if selected(proxy.spec.labels, gateway.spec.selector)}
            for key, gateway in self.gateways.items()
        }

    def host(self, name: str, key: Key) -> str:
        """The full name of a host written in the document of this key."""
        return fqdn(name, namespace=key.namespace, domain=self.mesh.settings.domain)

    def service(self, host: str) -> Service | None:
        """The service of a full host; a wildcard service if it has no own."""
        return self.services.get(host) or next((item for item in self._wildcards if covers(item.host, host)), None)

    def served(self, host: str) -> bool:
        """Whether a host, or one under a wildcard, is a service's; True if a broken document may say so."""
        if self.service(host) is not None or self.may_be_service(host):
            return True
        return host.startswith("*") and any(covers(host, item) for item in (*self.services, *self._failed_hosts))

    def may_be_service(self, host: str) -> bool:
        """Whether a document that failed to load may declare this host."""
        if self.failed("ServiceEntry") and not self._failed_hosts:
            return True
        return any(covers(item, host) for item in self._failed_hosts)

    def subsets(self, host: str, *namespaces: str) -> dict[str, Subset] | None:
        """The subsets of a full host that a client in one of these namespaces can use; None if a broken rule may have more.

        As in Istio, the rules of the client's and the service's namespace count, and the most specific host wins.
        """
        if any(covers(item, host) for item in self._failed_rules):
            return None
        if self.failed("DestinationRule") and not self._failed_rules:
            return None
        exact = [rule for rule in self._rules.get(host, ()) if rule.key.namespace in namespaces]
        for pattern in (item for item in self._patterns if covers(item, host)):
            exact = exact or [rule for rule in self._rules[pattern] if rule.key.namespace in namespaces]
        return {subset.name: subset for rule in exact for subset in rule.spec.subsets}

    def client_subsets(self, service: Service, client: str) -> set[str]:
        """The subsets that proxies in a namespace have: of its own rules for the host, or if it has none, of the service's."""
        for namespace in (client, service.namespace):
            for pattern in (service.host, *(item for item in self._patterns if covers(item, service.host))):
                rules = [rule for rule in self._rules.get(pattern, ()) if rule.key.namespace == namespace]
                if rules:
                    return {subset.name for rule in rules for subset in rule.spec.subsets}
        return set()

    def clients(self, policy: Policy[VirtualService]) -> set[str]:
        """The namespaces of the proxies that carry out a VirtualService, as far as the Gateways and Proxies here say."""
        names = policy.spec.gateways or (MESH_GATEWAY,)
        found = set(self._sidecars) if MESH_GATEWAY in names else set()
        opened = [self.gateways.get(policy.resolve(name)) for name in names if name != MESH_GATEWAY]
        for gateway in opened:
            if gateway is not None:
                found.update(self._gateway_clients[gateway.key])
        return found

    def workloads(self, namespace: str, selector: WorkloadSelector | None) -> list[Policy[WorkloadEntry]]:
        """The WorkloadEntries of a namespace that a selector selects; none without one."""
        if selector is None:
            return []
        known = [self._labelled.get((namespace, name, value), []) for name, value in selector.labels.items()]
        found = (
            min(known, key=len) if known else [w for w in self.mesh.workload_entries if w.key.namespace == namespace]
        )
        return [workload for workload in found if selected(workload.spec.labels, selector.labels)]

    def failed(self, *kinds: str) -> bool:
        """Whether any document of these kinds failed to load."""
        return any(item.kind in kinds for item in self._failed)

    def failed_key(self, kind: str, key: Key) -> bool:
        """Whether a document that failed to load may be this one."""
        return any(item.kind == kind and item.key in {key, None} for item in self._failed)

    def _hosts_of(self, kind: str, name: str) -> Iterator[str]:
        for item in self._failed:
            if item.kind == kind and isinstance(item.spec, dict):
                for host in _texts(item.spec.get(name)):
                    yield fqdn(host, namespace=item.namespace, domain=self.mesh.settings.domain)


def _is_gateway(proxy: Policy[Proxy]) -> bool:
    return not proxy.spec.workload and proxy.spec.push.files is not None


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, str)]
