"""Everything that can be referred to, by name: what was loaded, and what failed to.

After a change that concerns one VirtualService alone, that one is checked again with the index that is there (`rechecking`). So
whatever checks ask about VirtualServices other than the one in hand is worked out here, from what no such change touches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.model.destinationrule import DestinationRule, Subset
from reconciler.model.gateway import Gateway
from reconciler.model.hosts import covers, fqdn
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.proxy import Proxy
from reconciler.model.serviceentry import Resolution, WorkloadEntry, WorkloadSelector
from reconciler.model.services import Service, declared, selected
from reconciler.model.virtualservice import MESH_GATEWAY, Delegate, VirtualService
from reconciler.policy.documents import Failed
from reconciler.policy.references.offered import Offered
from reconciler.policy.references.providers import Providers


class Index:
    """One mesh, looked up by name.

    Args:
        mesh: What was read.
        failed: What could not be read.
        known: What the mesh declares, if the caller has worked it out.

    Attributes:
        services: By full host.
        roots: The VirtualServices that delegate to another, by the other's key.
        compiled: Whether there are proxies to compile for: what they can't have is then said of each of them by `compile`, which
            knows what each of them sees. Without any, it is said here as far as all documents together tell.
        namespaces: Those that a document is in; None if one that failed to load may be in any.
        peopled: Whether labels of proxies are known: there are workloads or gateways, and none that failed to load.
        sidecar_ports: What Sidecars open on the callers' side.
        providers: Registries, which may list hosts that no document declares.
    """

    def __init__(self, mesh: Mesh, failed: Sequence[Failed], *, known: Sequence[Service] | None = None) -> None:
        self.mesh = mesh
        declares = declared(mesh) if known is None else known
        self.services: dict[str, Service] = {service.host: service for service in declares}
        self.gateways = {policy.key: policy for policy in mesh.gateways}
        self.virtual_services = {policy.key: policy for policy in mesh.virtual_services}
        self.analysis_templates = {policy.key: policy for policy in mesh.analysis_templates}
        self.roots: dict[Key, list[Policy[VirtualService]]] = {}
        for policy in mesh.virtual_services:
            for target in {delegated(rule.delegate, policy) for rule in policy.spec.http if rule.delegate}:
                self.roots.setdefault(target, []).append(policy)
        self.compiled = any(proxy.spec.push.whole for proxy in mesh.proxies)
        self._wildcards = [service for service in self.services.values() if service.host.startswith("*")]
        self._failed = failed
        self._failed_hosts = frozenset(self._hosts_of("ServiceEntry", "hosts"))
        self._failed_rules = frozenset(self._hosts_of("DestinationRule", "host"))
        self._labelled: dict[tuple[str, str, str], list[Policy[WorkloadEntry]]] = {}
        for workload in mesh.workload_entries:
            for name, value in workload.spec.labels.items():
                self._labelled.setdefault((workload.key.namespace, name, value), []).append(workload)
        self._carriers: dict[tuple[str, str], list[Mapping[str, str]]] = {}
        for carried in _distinct(mesh):
            for item in carried.items():
                self._carriers.setdefault(item, []).append(carried)
        self.peopled = bool(self._carriers) and not self.failed("WorkloadEntry", "Proxy")
        self.sidecar_ports = {
            item.port.number for sidecar in mesh.sidecars for item in sidecar.spec.egress if item.port is not None
        }
        self.namespaces = _namespaces(mesh, failed)
        self.providers = Providers(mesh)
        self._rules: dict[str, list[Policy[DestinationRule]]] = {}
        for rule in mesh.destination_rules:
            self._rules.setdefault(self.host(rule.spec.host, rule.key), []).append(rule)
        self._patterns = sorted((item for item in self._rules if item.startswith("*")), key=len, reverse=True)
        self._offered: dict[Key, Offered] = {}
        self._bound: dict[Key, tuple[bool, list[Key]]] = {}
        self._subsets: dict[tuple[str, ...], dict[str, Subset]] = {}
        self._client_subsets: dict[tuple[str, str], set[str]] = {}
        self._sidecars = {
            proxy.key.namespace for proxy in mesh.proxies if proxy.spec.workload and proxy.spec.push.whole
        }
        self._applications = {proxy.key.namespace for proxy in mesh.proxies if proxy.spec.push.proxyless}
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

    def takes(self, service: Service) -> bool:
        """Whether registries may add instances to a service: under its own host, or since a `workloadSelector` selects them."""
        if not self.providers.any or service.resolution is not Resolution.STATIC:
            return False
        written = bool(service.endpoints) and not any(endpoint.workload for endpoint in service.endpoints)
        return not written or self.providers.may_list(service.host)

    def subsets(self, host: str, *namespaces: str) -> dict[str, Subset] | None:
        """The subsets of a full host that a client in one of these namespaces can use; None if a broken rule may have more.

        As in Istio, the rules of the client's and the service's namespace count, and the most specific host wins.
        """
        if self._failed and self.may_have_rule(host):
            return None
        key = (host, *namespaces)
        if key not in self._subsets:
            self._subsets[key] = self._subsets_of(host, namespaces)
        return self._subsets[key]

    def _subsets_of(self, host: str, namespaces: tuple[str, ...]) -> dict[str, Subset]:
        exact = [rule for rule in self._rules.get(host, ()) if rule.key.namespace in namespaces]
        for pattern in (item for item in self._patterns if covers(item, host)):
            exact = exact or [rule for rule in self._rules[pattern] if rule.key.namespace in namespaces]
        return {subset.name: subset for rule in exact for subset in rule.spec.subsets}

    def client_subsets(self, service: Service, client: str) -> set[str]:
        """The subsets that proxies in a namespace have: of its own rules for the host, or if it has none, of the service's."""
        key = (service.host, client)
        if key not in self._client_subsets:
            self._client_subsets[key] = self._client_subsets_of(service, client)
        return self._client_subsets[key]

    def _client_subsets_of(self, service: Service, client: str) -> set[str]:
        for namespace in (client, service.namespace):
            for pattern in (service.host, *(item for item in self._patterns if covers(item, service.host))):
                rules = [rule for rule in self._rules.get(pattern, ()) if rule.key.namespace == namespace]
                if rules:
                    return {subset.name for rule in rules for subset in rule.spec.subsets}
        return set()

    def clients(self, policy: Policy[VirtualService]) -> set[str]:
        """The namespaces of the proxies that carry out a VirtualService, as far as the Gateways and Proxies here say."""
        mesh, keys = self.bound(policy)
        found = self._sidecars | self._applications if mesh else set()
        for key in keys:
            found.update(self._gateway_clients.get(key, ()))
        return found

    def offered(self, gateway: Policy[Gateway]) -> Offered:
        """What a Gateway offers."""
        if gateway.key not in self._offered:
            self._offered[gateway.key] = Offered(gateway)
        return self._offered[gateway.key]

    def opened_in(self, key: Key) -> set[str]:
        """The namespaces of the proxies that open a Gateway, as far as the Proxies here say."""
        return self._gateway_clients.get(key, set())

    @property
    def has_sidecars(self) -> bool:
        """Whether there are sidecars to compile for."""
        return bool(self._sidecars)

    def bound(self, policy: Policy[VirtualService]) -> tuple[bool, list[Key]]:
        """Whether a VirtualService is for sidecars, and the Gateways that it is for; a delegate has those of its roots."""
        if policy.key not in self._bound:
            self._bound[policy.key] = self._bound_of(policy)
        return self._bound[policy.key]

    def _bound_of(self, policy: Policy[VirtualService]) -> tuple[bool, list[Key]]:
        owners = [policy] if policy.spec.hosts else self.roots.get(policy.key, [])
        names = [(owner, name) for owner in owners for name in owner.spec.gateways or (MESH_GATEWAY,)]
        keys = dict.fromkeys(owner.resolve(name) for owner, name in names if name != MESH_GATEWAY)
        return any(name == MESH_GATEWAY for _, name in names), [*keys]

    def called(self, policy: Policy[VirtualService]) -> list[str]:
        """The hosts that a VirtualService is for, in full; a delegate has those of its roots."""
        owners = [policy] if policy.spec.hosts else self.roots.get(policy.key, [])
        return [*dict.fromkeys(self.host(host, owner.key) for owner in owners for host in owner.spec.hosts)]

    def rules_for(self, host: str) -> list[Policy[DestinationRule]]:
        """The DestinationRules whose host is this one, or covers it."""
        patterns = (host, *(item for item in self._patterns if item != host and covers(item, host)))
        return [rule for pattern in patterns for rule in self._rules.get(pattern, ())]

    def may_have_rule(self, host: str) -> bool:
        """Whether a document that failed to load may be a DestinationRule of this host."""
        if self.failed("DestinationRule") and not self._failed_rules:
            return True
        return any(covers(item, host) for item in self._failed_rules)

    def carried(self, labels: Mapping[str, str]) -> bool:
        """Whether any workload or gateway carries all of these labels."""
        lists = [self._carriers.get(item, []) for item in labels.items()]
        return not lists or any(selected(item, labels) for item in min(lists, key=len))

    def carried_in(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether any workload or gateway of a namespace carries all of these labels."""
        if self.workloads(namespace, WorkloadSelector(labels=labels)):
            return True
        edges = (proxy for proxy in self.mesh.proxies if not proxy.spec.workload and proxy.key.namespace == namespace)
        return any(selected(proxy.spec.labels, labels) for proxy in edges)

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


def delegated(delegate: Delegate, owner: Policy[VirtualService]) -> Key:
    """The VirtualService that a rule delegates to."""
    return Key(delegate.namespace or owner.key.namespace, delegate.name)


def _distinct(mesh: Mesh) -> list[Mapping[str, str]]:
    """What workloads and gateways carry; each set of labels once."""
    found = [workload.spec.labels for workload in mesh.workload_entries]
    found += [proxy.spec.labels for proxy in mesh.proxies if not proxy.spec.workload]
    return [*{tuple(sorted(item.items())): item for item in found}.values()]


def _namespaces(mesh: Mesh, failed: Sequence[Failed]) -> frozenset[str] | None:
    if any(item.key is None for item in failed):
        return None
    known = {policy.key.namespace for policy in mesh.policies()}
    return frozenset(known | {item.namespace for item in failed})


def _is_gateway(proxy: Policy[Proxy]) -> bool:
    return not proxy.spec.workload and proxy.spec.push.whole


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, str)]
