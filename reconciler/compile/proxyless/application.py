"""One gRPC application after the other: what it calls, and what it serves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from reconciler.compile import applications, inbound, names
from reconciler.compile.clusters import Built, Clusters
from reconciler.compile.configurations import Configurations
from reconciler.compile.inbound import Inbound
from reconciler.compile.index import Index
from reconciler.compile.names import ClusterRef
from reconciler.compile.prototypes import Prototypes
from reconciler.compile.proxyless import clusters as clusters_
from reconciler.compile.proxyless import listeners, tls, unsupported
from reconciler.compile.proxyless.clusters import Taken
from reconciler.compile.proxyless.targets import Targets
from reconciler.compile.sidecars import applying
from reconciler.compile.tls import Site
from reconciler.compile.viewer import Viewer
from reconciler.errors import Severity
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.origin import Finding
from reconciler.model.proxy import Interception, Proxy
from reconciler.model.resource import Resource, View
from reconciler.model.serviceentry import WorkloadEntry
from reconciler.model.sidecar import Sidecar


@dataclass(frozen=True, slots=True)
class Application:
    """One gRPC application's view, apart from its routes.

    Attributes:
        keys: Of its targets, in `Targets`.
        fixed: Everything that no rule of a VirtualService has a part in.
        unsupported: What is asked for in vain apart from rules.
        known: The keys again, to look among.
    """

    key: Key
    keys: tuple[object, ...]
    fixed: tuple[Resource, ...]
    unsupported: tuple[Finding, ...]
    known: frozenset[object]

    def view(self, targets: Targets) -> View:
        """The whole."""
        routes = (targets[key].resource for key in self.keys)
        return View.of(self.key, [*self.fixed, *routes], self._said(targets))

    def edited(self, view: View, before: Targets, after: Targets) -> View:
        """The same view with targets that have other rules; itself if none of its own has."""
        changed = self.known & after.changed  # of many names few change
        if not changed:
            return view
        made = view.exchanged(after[key].resource for key in changed)
        same = all(after[key].unsupported == before[key].unsupported for key in changed)
        return made if same else replace(made, unsupported=self._said(after))

    def _said(self, targets: Targets) -> tuple[Finding, ...]:
        found = dict.fromkeys(self.unsupported)
        for key in self.keys:
            found.update(dict.fromkeys(targets[key].unsupported))
        return tuple(found)

    def findings(self, targets: Targets) -> Iterator[Finding]:
        """What is wrong with its rules, for whomever."""
        for key in self.keys:
            yield from targets[key].host.translated.findings


class Applications:
    """The gRPC applications of one mesh.

    Attributes:
        targets: What they call.
        made: By proxy.
        findings: What is wrong with the clusters they call.
    """

    def __init__(
        self,
        *,
        index: Index,
        prototypes: Prototypes,
        clusters: Clusters,
        configurations: Configurations,
        interception: Interception,
    ) -> None:
        self._index = index
        self._interception = interception
        self._prototypes = prototypes
        self._clusters = clusters
        self.targets = Targets(index, configurations)
        self.made: dict[Key, Application] = {}
        self.findings: list[Finding] = []
        self._taken: dict[tuple[object, ...], tuple[Built, Taken]] = {}
        self._alike: dict[tuple[object, ...], tuple[tuple[Resource, ...], tuple[Finding, ...], frozenset[object]]] = {}

    def view(self, proxy: Policy[Proxy], site: Site) -> View:
        """The view of one application."""
        workload = self._index.workloads.get(Key(proxy.key.namespace, proxy.spec.workload))
        viewer = replace(Viewer.of(proxy, workload), gateway=True)  # nothing intercepts its connections
        sidecar = applying(self._index, workload) if workload else None
        keys = tuple(self.targets.of(sidecar, viewer))
        said: list[Finding] = []
        alike = (keys, viewer, site)
        if alike not in self._alike:
            calls = tuple(self._called(keys, viewer, site, said))
            self._alike[alike] = (calls, tuple(said), frozenset(keys))
        calls, heard, known = self._alike[alike]
        said, fixed = [*heard], [*calls]
        if workload is not None:
            fixed.extend(self._served(workload, sidecar, site, said))
        made = self.made[proxy.key] = Application(proxy.key, keys, tuple(fixed), tuple(said), known)
        return made.view(self.targets)

    def _called(self, keys: Iterable[object], viewer: Viewer, site: Site, said: list[Finding]) -> Iterator[Resource]:
        """The listeners of a client, and every cluster that its routes lead to, or may after the next change."""
        refs: set[ClusterRef] = set()
        for key in keys:
            target = self.targets[key]
            yield listeners.called(target.host.name)
            refs |= target.host.translated.clusters
            host, port = target.host.name.rsplit(":", 1)
            service = self._index.services.get(host)
            if service is not None:
                refs.update(self._clusters.of_service(service, int(port), viewer=viewer))
        for ref in sorted(refs):
            built = self._clusters.resources(ref, site, viewer=viewer)
            self.findings.extend(built.findings)
            taken = self._reworded(built, site)
            said.extend(unsupported.of_cluster(ref, self._index.rule(ref.host, viewer), taken, self._index))
            yield taken.cluster
            if taken.endpoints is not None:
                yield taken.endpoints

    def _reworded(self, built: Built, site: Site) -> Taken:
        # Equal load assignments may have recipes that give different ones tomorrow.
        endpoints = (built.endpoints.version, id(built.endpoints.recipe)) if built.endpoints else None
        key = (built.cluster.version, endpoints, site)
        if key not in self._taken:
            self._taken[key] = (built, clusters_.taken(built, site))
        return self._taken[key][1]

    def _served(
        self, workload: Policy[WorkloadEntry], sidecar: Policy[Sidecar] | None, site: Site, said: list[Finding]
    ) -> Iterator[Resource]:
        """A server's listeners, for each port at which its workload is called: at the workload's address, and at all addresses."""
        items, findings = inbound.inbound_listeners(self._index, workload, sidecar, interception=self._interception)
        self.findings.extend(findings)
        wildcard = names.ANY_ADDRESS_6 if inbound.is_ipv6(workload) else names.ANY_ADDRESS
        for item in items:
            socket, problem = self._secured(item, site)
            if problem:
                said.append(_not_served(item, problem))
                continue
            for address in dict.fromkeys((item.bind, wildcard, names.ANY_ADDRESS_6)):
                yield listeners.served(address, item.port, socket)
            if item.pool is not None and any(unsupported.of_pool(item.pool)):
                said.append(_idle(item, "limits of connections"))
        limiting = self._index.limits.of_workload(workload.key.namespace, workload.spec.labels)
        if items and limiting is not None:
            said.append(_idle(items[0], f"RateLimit {limiting.key}"))

    def _secured(self, item: Inbound, site: Site) -> tuple[Any, str]:
        """The TLS of a server's port, or None, and why it can't be served, or "".

        Where the policy doesn't ask for TLS there is none: gRPC can't take both as Envoys do.
        """
        if not item.is_http:
            return None, "it doesn't speak HTTP/2"
        if item.tls is None:
            return None, ""
        served = applications.served(item, self._prototypes, site=site)
        self.findings.extend(served.findings)
        given = next((chain.transport_socket for chain in served.chains), None)
        socket = tls.downstream(given, site) if given is not None else None
        return socket, "" if socket is not None else "gRPC can't secure it as `tls` asks, and it is not served without"


def _not_served(item: Inbound, problem: str) -> Finding:
    return Finding(
        code="grpc-not-served",
        message=f"a gRPC server gets nothing for port {item.port}: {problem}",
        hint="declare the port as GRPC, and secure it with ISTIO_MUTUAL and the certificates of the Proxy or not at all",
        severity=Severity.WARNING,
        origin=item.origin,
        path=item.path,
    )


def _idle(item: Inbound, what: str) -> Finding:
    return Finding(
        code="grpc-unsupported-field",
        message=f"{what} have no effect on a gRPC server at port {item.port}: no proxy stands before it",
        hint="limit calls in the application, or put a sidecar before it",
        severity=Severity.WARNING,
        origin=item.origin,
        path=item.path,
    )
