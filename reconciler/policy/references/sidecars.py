"""What Sidecars refer to: the hosts that a workload calls, the ports that its callers use, and the workloads themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from reconciler.model.hosts import covers
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.origin import Finding
from reconciler.model.sidecar import Sidecar, SidecarProtocol
from reconciler.policy.findings import LISTED, Report, close
from reconciler.policy.references.claims import other_words
from reconciler.policy.references.destinations import Carried, Sending, check_destination
from reconciler.policy.references.index import Index
from reconciler.policy.references.sources import check_namespace

_NOBODY = "~"
_HTTP = 80
_REQUESTS = frozenset({SidecarProtocol.HTTP, SidecarProtocol.HTTP2, SidecarProtocol.GRPC, SidecarProtocol.GRPC_WEB})


def check_sidecars(index: Index) -> Iterator[Finding]:
    """Of every Sidecar: egress hosts that no service has, and ingress ports that no caller uses."""
    if not index.mesh.sidecars:
        return
    ports = {port.number for service in index.services.values() for port in service.ports}
    used = _used(index)
    for policy in index.mesh.sidecars:
        report = Report(policy.origin)
        _check_egress(policy, index, report)
        if not index.failed("ServiceEntry") and not index.providers.any:
            _check_egress_ports(policy, ports, report)
        if not index.failed("ServiceEntry", "WorkloadEntry"):
            _check_ingress(policy, used, index, report)
        _check_egress_proxy(policy, index, report)
        yield from report.findings
    yield from _check_workloads(index)


def _check_egress(policy: Policy[Sidecar], index: Index, report: Report) -> None:
    for position, listener in enumerate(policy.spec.egress):
        for number, text in enumerate(listener.hosts):
            namespace, _, host = text.partition("/")
            if namespace == _NOBODY:
                continue
            namespace = policy.key.namespace if namespace == "." else namespace
            if host == "*":
                if namespace != "*" and not index.providers.any:
                    check_namespace(namespace, index, report.below("egress", position, "hosts", number))
                continue
            if not index.may_be_service(host):
                _check_egress_host(host, namespace, index, report.below("egress", position, "hosts", number))


def _check_egress_host(host: str, namespace: str, index: Index, report: Report) -> None:
    """One host that is let through, at the report's own path."""
    known = index.services.get(host)
    if known is not None and namespace in {"*", known.namespace}:
        return
    near = [item.host for item in index.services.values() if namespace in {"*", item.namespace}]
    if any(covers(host, item) or covers(item, host) for item in near):
        return
    hint = close(host, near) or "write a service's full host, and the namespace of its ServiceEntry"
    if known is not None or not index.providers.may_list(host):
        message = f"no service in namespace {namespace} has the host {host}, so nothing is let through by it"
        report.warning("ref-host", message, hint=hint)
    elif not host.startswith("*"):  # which hosts there are under it is for registries to know
        message = f"no document declares the host {host}; unless a registry lists it, nothing is let through by it"
        report.awaiting(host, "ref-host", message, hint=hint if hint.startswith("did you mean") else LISTED)


def _check_egress_ports(policy: Policy[Sidecar], ports: Collection[int], report: Report) -> None:
    """Listeners that route by a port that no service has; port 80 has the hosts of VirtualServices too."""
    for position, listener in enumerate(policy.spec.egress):
        port = listener.port
        if port is None or port.protocol is SidecarProtocol.HTTP_PROXY or port.number == _HTTP:
            continue
        if port.number not in ports and not all(text.startswith(_NOBODY) for text in listener.hosts):
            effect = "answers every request with 502" if port.protocol in _REQUESTS else "leads to no service"
            message = f"no service has port {port.number}, so this listener {effect}"
            hint = (
                "give it the port of the services that it is for, or the protocol HTTP_PROXY, which routes to any port"
            )
            report.warning("ref-port", message, "egress", position, "port", "number", hint=hint)


def _used(index: Index) -> Mapping[Key, set[int]]:
    """The ports that services send requests to, by workload."""
    out: dict[Key, set[int]] = {}
    for service in index.services.values():
        for endpoint in service.endpoints:
            if endpoint.workload:
                out.setdefault(Key(service.namespace, endpoint.workload), set()).update(endpoint.ports.values())
    return out


def _check_ingress(policy: Policy[Sidecar], known: Mapping[Key, set[int]], index: Index, report: Report) -> None:
    if not policy.spec.ingress:
        return
    workloads = index.workloads(policy.key.namespace, policy.spec.workload_selector)
    used = {port for workload in workloads for port in known.get(workload.key, ())}
    for position, listener in enumerate(policy.spec.ingress if used else ()):
        if listener.port.number not in used:
            message = f"no service sends requests to port {listener.port.number} of these workloads"
            hint = f"their endpoints' ports are {', '.join(map(str, sorted(used)))}"
            report.warning("ref-port", message, "ingress", position, "port", "number", hint=hint)


def _check_egress_proxy(policy: Policy[Sidecar], index: Index, report: Report) -> None:
    unknown = policy.spec.outbound_traffic_policy
    if unknown is not None and unknown.egress_proxy is not None:
        sending = Sending(policy=policy, carried=Carried.TCP, clients={policy.key.namespace}, listeners=())
        below = report.below("outboundTrafficPolicy", "egressProxy")
        check_destination(unknown.egress_proxy, sending, index, below)


def _check_workloads(index: Index) -> Iterator[Finding]:
    """Workloads that two Sidecars select: one of the two holds."""
    chosen: dict[Key, Policy[Sidecar]] = {}
    for policy in index.mesh.sidecars:
        selector = policy.spec.workload_selector
        for workload in index.workloads(policy.key.namespace, selector):
            other = chosen.setdefault(workload.key, policy)
            same = other.spec.workload_selector
            if other is not policy and same is not None and selector is not None and same.labels != selector.labels:
                report = Report(policy.origin)
                message = (
                    f"{other_words(other, policy)} selects the workload {workload.key.short()} too, and holds for it"
                )
                hint = "let each workload be selected by one Sidecar; of several, the first by name holds"
                report.warning("ref-duplicate-sidecar", message, "workloadSelector", hint=hint)
                yield from report.findings
                break
