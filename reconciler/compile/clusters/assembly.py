"""One cluster after the other, from a service, its DestinationRule and the template: the table of contents of this package."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster

from reconciler.compile import names
from reconciler.compile.clusters import discovery as discovering
from reconciler.compile.clusters import forwarding, healthchecks, loadbalancing, outliers, recipes
from reconciler.compile.clusters.complaints import complaints
from reconciler.compile.clusters.discovery import Discovery, discovery
from reconciler.compile.clusters.endpoints import assignment, members
from reconciler.compile.clusters.localities import Spread, spread
from reconciler.compile.clusters.pools import HTTP_OPTIONS, HttpOptions, limit, options_of
from reconciler.compile.clusters.security import Security, security, socket
from reconciler.compile.clusters.subject import Subject
from reconciler.compile.effective import effective
from reconciler.compile.index import Index, Rule
from reconciler.compile.instances import found, only_instances
from reconciler.compile.names import ClusterRef
from reconciler.compile.prototypes import Prototypes
from reconciler.compile.tls import Site
from reconciler.compile.viewer import Viewer
from reconciler.model.origin import Finding
from reconciler.model.protos import resource
from reconciler.model.proxy import Interception
from reconciler.model.resource import Resource, ResourceType
from reconciler.model.secrets import Certificate, Root
from reconciler.model.services import Service
from reconciler.model.trafficpolicy import ClientTLSMode, PortTrafficPolicy, TrafficPolicy
from reconciler.model.visibility import visible

_DNS = "envoy.cluster.dns"


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """One cluster on one proxy.

    Attributes:
        endpoints: Pushed apart from it, or None if it finds them by itself.
        secrets: What its TLS refers to.
        findings: What is wrong with it, or should be known.
    """

    cluster: Resource
    endpoints: Resource | None
    secrets: frozenset[Certificate | Root] = frozenset()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """What proxies of one kind have in common of a cluster: all but where its endpoints and certificates are.

    Attributes:
        message: The cluster; shared, not to be filled.
        whole: The finished cluster, if proxies differ in nothing.
        service: What it was made from; None if nobody declares it.
        rule: What it was made from. Kept so that its identity, by which it is looked up, is given to no other.
    """

    service: Service | None
    rule: Rule | None
    message: Any
    whole: Built | None
    endpoints: Resource | None
    security: Security | None
    findings: tuple[Finding, ...]


_Facets = tuple[int, bool, bool, str, tuple[tuple[str, str], ...]]
"""What of a viewer a cluster depends on: rule, visibility, redirection, and locality and labels where they matter."""


class Clusters:
    """The clusters of one mesh, each built when it is first asked for and shared by all proxies for which it is the same."""

    def __init__(self, index: Index, prototypes: Prototypes, *, interception: Interception = Interception.NONE) -> None:
        self._index = index
        self._prototypes = prototypes
        self._redirects = interception is Interception.REDIRECT
        self._options = HttpOptions(prototypes)
        self._rules: dict[tuple[str, Viewer], Rule | None] = {}
        self._local: dict[int, bool] = {}
        self._shared: dict[tuple[ClusterRef, _Facets], _Shared] = {}
        self._built: dict[tuple[ClusterRef, _Facets, Site], tuple[_Shared, Built]] = {}
        self._last: Clusters | None = None

    def after(self, last: Clusters) -> None:
        """Take over what another mesh has of the same, until `forget`: it has the same settings and templates."""
        self._last = last

    def forget(self) -> None:
        """Let go of what was there to be taken over."""
        self._last = None

    def of_service(self, service: Service, port: int, *, viewer: Viewer) -> list[ClusterRef]:
        """The clusters of a service port, as a proxy has them: itself and each subset; none if it doesn't see the service."""
        if not visible(service.export_to, viewer.namespace):
            return []
        rule = self._rule(service.host, viewer)
        subsets = sorted(rule.subsets) if rule else []
        return [ClusterRef(service.host, port, subset) for subset in ("", *subsets)]

    def resources(self, ref: ClusterRef, site: Site, *, viewer: Viewer) -> Built:
        """A cluster on a proxy, and its endpoints if they are pushed.

        A host, port or subset that nobody declares, or that the proxy doesn't see, is a cluster without endpoints: requests
        for it get a 503.
        """
        rule = self._rule(ref.host, viewer)
        facets = self._facets(ref, rule, viewer)
        shared = self._shared.get((ref, facets))
        if shared is None:
            shared = self._known(ref, facets) or self._share(self._subject(ref, rule, viewer))
            self._shared[ref, facets] = shared
        if shared.whole is not None:
            return shared.whole
        key = (ref, facets, site)
        if key not in self._built:
            last = self._last.placed(key) if self._last else None
            if last is not None and last[0].message is shared.message:
                self._built[key] = (shared, replace(last[1], endpoints=shared.endpoints))
            else:
                self._built[key] = (shared, _placed(ref, shared, site))
        return self._built[key][1]

    def made(self, ref: ClusterRef, facets: _Facets) -> _Shared | None:
        """A cluster without its place, if it was made here."""
        return self._shared.get((ref, facets))

    def placed(self, key: tuple[ClusterRef, _Facets, Site]) -> tuple[_Shared, Built] | None:
        """A cluster in its place, if it was made here, and what it was made from."""
        return self._built.get(key)

    def _known(self, ref: ClusterRef, facets: _Facets) -> _Shared | None:
        """What the last mesh had of it, if it was made from the same service; that the rule is the same is in the facets.

        With other instances behind it, where at most these have changed.
        """
        last = self._last.made(ref, facets) if self._last else None
        service = self._index.services.get(ref.host)
        if last is None or last.service is service:
            return last
        if last.service is None or service is None or not only_instances(last.service, service):
            return None
        endpoints = last.endpoints
        if endpoints is not None and endpoints.recipe is not None:
            endpoints = endpoints.recipe.at(found(service))
        return replace(last, service=service, endpoints=endpoints)

    def http_filters(self, refs: Iterable[ClusterRef], *, viewer: Viewer) -> tuple[Any, ...]:
        """The `HttpFilter`s that a listener needs, before its router, to reach these clusters."""
        asked = any(self._discovery(ref, viewer) is Discovery.ASKED for ref in refs)
        return (forwarding.http_filter(self._prototypes),) if asked else ()

    def network_filters(self, ref: ClusterRef, *, viewer: Viewer) -> tuple[Any, ...]:
        """The network `Filter`s that a filter chain needs, before its TCP proxy, to reach a cluster."""
        if self._discovery(ref, viewer) is not Discovery.ASKED:
            return ()
        return (forwarding.server_name_filter(self._prototypes, ref.port),)

    def _discovery(self, ref: ClusterRef, viewer: Viewer) -> Discovery:
        return discovery(self._subject(ref, self._rule(ref.host, viewer), viewer))

    def _rule(self, host: str, viewer: Viewer) -> Rule | None:
        key = (host, viewer)
        if key not in self._rules:
            self._rules[key] = self._index.rule(host, viewer)
        return self._rules[key]

    def _facets(self, ref: ClusterRef, rule: Rule | None, viewer: Viewer) -> _Facets:
        """What of a viewer matters: rules are told apart by identity, for the index merges each set of them once."""
        service = self._index.services.get(ref.host)
        sees = service is not None and visible(service.export_to, viewer.namespace)
        if id(rule) not in self._local:
            self._local[id(rule)] = rule is not None and _is_local(rule)
        near = self._local[id(rule)]
        place = (viewer.locality, viewer.labels) if near else ("", ())
        return (id(rule), sees, viewer.gateway, *place)

    def _subject(self, ref: ClusterRef, rule: Rule | None, viewer: Viewer) -> Subject:
        service = self._index.services.get(ref.host)
        if service is not None and not visible(service.export_to, viewer.namespace):
            service = None
        return Subject(
            ref=ref,
            service=service,
            port=service.port(ref.port) if service else None,
            rule=rule,
            policy=effective(rule, ref.subset, ref.port),
            viewer=viewer,
            redirected=self._redirects and not viewer.gateway,
            domain=self._index.domain,
        )

    def _share(self, subject: Subject) -> _Shared:
        how = discovery(subject)
        near = spread(subject.policy, subject.viewer) if how.balances else None
        message = self._cluster(subject, how, near)
        probe = self._index.probing.of_cluster(subject.ref)
        healthchecks.watch(message, subject, how, probe)
        probed = healthchecks.asked_port(subject, how, probe)
        endpoints = recipes.pushed(subject, near, probed=probed) if how is Discovery.PUSHED else None
        written = (
            assignment(subject.ref.name, members(subject, how), near, probed=probed) if endpoints is None else None
        )
        _discover(message, how, written, self._prototypes, subject)
        findings = (
            *discovering.complaints(subject),
            *healthchecks.complaints(subject, how, probe),
            *complaints(subject, how, near),
        )
        wanted = security(subject)
        whole = None
        if how is not Discovery.PUSHED and wanted is None:
            whole = Built(cluster=resource(ResourceType.CLUSTER, message), endpoints=None, findings=findings)
        return _Shared(
            service=self._index.services.get(subject.ref.host),
            rule=subject.rule,
            message=message,
            whole=whole,
            endpoints=endpoints,
            security=wanted,
            findings=findings,
        )

    def _cluster(self, subject: Subject, found: Discovery, near: Spread | None) -> Any:
        """A cluster as the template and the policy have it, but for its endpoints and certificates."""
        message = Cluster()
        message.CopyFrom(self._prototypes.cluster)
        message.name = subject.ref.name
        policy = subject.policy
        if found.balances:
            loadbalancing.balance(message, policy.load_balancer, shares=near is not None and bool(near.shares))
        limit(message, subject)
        if policy.outlier_detection is not None:
            outliers.detect(message, policy.outlier_detection)
        self._options.apply(message, options_of(subject))
        _describe(message, subject)
        return message


def _is_local(rule: Rule) -> bool:
    """Whether anything in a rule could depend on where the viewer is."""
    policies = [rule.traffic_policy, *(subset.traffic_policy for subset in rule.subsets.values())]
    blocks: list[TrafficPolicy | PortTrafficPolicy] = []
    for policy in policies:
        blocks.extend((policy, *policy.port_level_settings) if policy else ())
    return any(
        item.outlier_detection is not None
        or (item.load_balancer is not None and item.load_balancer.locality_lb_setting is not None)
        for item in blocks
    )


def _describe(message: Any, subject: Subject) -> None:
    """Say in the cluster's metadata where its settings come from."""
    rule, subset = subject.rule, subject.ref.subset
    if rule is not None:
        origin = {"config": names.config_path("destination-rule", rule.key)}
        known = {"subset": subset} if subset in rule.subsets else {}
        message.metadata.filter_metadata["istio"].update(origin | known)


def _discover(message: Any, found: Discovery, given: Any, prototypes: Prototypes, subject: Subject) -> None:
    """Set how a cluster's endpoints are found, and those that are written into it."""
    if found is Discovery.PUSHED:
        message.type = Cluster.EDS
        _dont_panic(message, subject)
    elif found is Discovery.ORIGINAL:
        message.type = Cluster.ORIGINAL_DST
        loadbalancing.leave_to_cluster(message)
    elif found is Discovery.ASKED:
        forwarding.forward(message, prototypes, unchecked=_is_unchecked(message, subject))
    elif found is Discovery.NOWHERE or not given.endpoints:
        message.type = Cluster.STATIC
        message.load_assignment.cluster_name = subject.ref.name
    else:
        settings = type(prototypes.cluster_dns)()
        settings.CopyFrom(prototypes.cluster_dns)
        settings.all_addresses_in_single_endpoint = found is Discovery.FIRST_NAME
        message.cluster_type.name = _DNS
        message.cluster_type.typed_config.Pack(settings, deterministic=True)
        message.load_assignment.CopyFrom(given)


def _dont_panic(message: Any, subject: Subject) -> None:
    """Send nothing to instances of which a registry says that they are not well.

    Below Envoy's panic threshold, 50% by default, UNHEALTHY and even DRAINING ones get requests like all others (tried on Envoy
    1.40); Istio switches it off where it ejects. What the template or a policy says of it goes before.
    """
    config = message.common_lb_config
    discovered = subject.service is not None and subject.service.discovered
    if discovered and not config.HasField("healthy_panic_threshold"):
        config.healthy_panic_threshold.value = 0


def _is_unchecked(message: Any, subject: Subject) -> bool:
    """Whether hosts that requests ask for are not checked by their own names; without TLS there is nothing to check."""
    tls = subject.policy.tls
    secured = tls is not None and tls.mode is not ClientTLSMode.DISABLE
    spoken = HTTP_OPTIONS in message.typed_extension_protocol_options
    return (secured or spoken) and not options_of(subject).auto_san


def _placed(ref: ClusterRef, shared: _Shared, site: Site) -> Built:
    """A cluster on one proxy."""
    message = Cluster()
    message.CopyFrom(shared.message)
    if shared.endpoints is not None:
        site.source.fill(message.eds_cluster_config.eds_config, ResourceType.ENDPOINTS, ref.name)
    findings = shared.findings
    secrets: frozenset[Certificate | Root] = frozenset()
    if shared.security is not None:
        given = shared.message.transport_socket if shared.message.HasField("transport_socket") else None
        secured = socket(shared.security, site, given)
        message.ClearField("transport_socket")
        if secured.socket is not None:
            message.transport_socket.CopyFrom(secured.socket)
        secrets = secured.secrets
        findings = (*findings, *secured.findings)
    cluster = resource(ResourceType.CLUSTER, message)
    return Built(cluster=cluster, endpoints=shared.endpoints, secrets=secrets, findings=findings)
