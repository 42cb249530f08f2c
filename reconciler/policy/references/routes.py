"""What VirtualServices and DestinationRules refer to: hosts, subsets, ports, gateways."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.destinationrule import DestinationRule
from reconciler.model.gateway import Gateway
from reconciler.model.hosts import covers
from reconciler.model.mesh import Policy
from reconciler.model.origin import Finding
from reconciler.model.services import Service, selected
from reconciler.model.virtualservice import MESH_GATEWAY, Destination, VirtualService
from reconciler.policy.findings import Report, close
from reconciler.policy.references.index import Index


def check_virtual_services(index: Index) -> Iterator[Finding]:
    """Of every VirtualService: its gateways, its hosts, its destinations."""
    for policy in index.mesh.virtual_services:
        report = Report(policy.origin)
        _check_gateways(policy, index, report)
        _check_hosts(policy, index, report)
        for position, rule in enumerate(policy.spec.http):
            for share, item in enumerate(rule.route):
                path = ("http", position, "route", share, "destination")
                _check_destination(policy, item.destination, path, index, report)
        yield from report.findings


def _check_gateways(policy: Policy[VirtualService], index: Index, report: Report) -> None:
    for position, name in enumerate(policy.spec.gateways):
        if name == MESH_GATEWAY:
            continue
        key = policy.resolve(name)
        gateway = index.gateways.get(key)
        if gateway is None:
            if not index.failed_key("Gateway", key):
                hint = close(name, (str(item.short()) for item in index.gateways))
                hint = hint or "add a Gateway of this name, or write `namespace/name`"
                report.error("ref-gateway", f"there is no Gateway {key}", "gateways", position, hint=hint)
            continue
        for host_position, host in enumerate(policy.spec.hosts):
            if not _takes(gateway, policy, index.host(host, policy.key)):
                message = f"the Gateway {name} takes no requests for {host}"
                hint = "add the host to one of its servers, or remove it here"
                report.warning("ref-gateway-host", message, "hosts", host_position, hint=hint)


def _takes(gateway: Policy[Gateway], policy: Policy[VirtualService], host: str) -> bool:
    for server in gateway.spec.servers:
        for text in server.hosts:
            namespace, slash, name = text.rpartition("/")
            namespace = gateway.key.namespace if namespace == "." else namespace
            if slash and namespace not in {"*", policy.key.namespace}:
                continue
            if covers(name, host) or covers(host, name):
                return True
    return False


def _check_hosts(policy: Policy[VirtualService], index: Index, report: Report) -> None:
    if policy.spec.gateways and MESH_GATEWAY not in policy.spec.gateways:
        return
    for position, name in enumerate(policy.spec.hosts):
        host = index.host(name, policy.key)
        if not index.served(host):
            message = f"no service has the host {host}, so sidecars use these rules for it on port 80 and HTTP_PROXY ports only"
            hint = (
                close(host, index.services)
                or "add a ServiceEntry if requests come in on other ports, or remove the host"
            )
            report.warning("ref-host", message, "hosts", position, hint=hint)
        elif (
            (wild := index.service(host)) is not None
            and wild.host != host
            and {port.number for port in wild.ports} != {80}
        ):
            message = (
                f"sidecars use these rules for {host} on port 80 and HTTP_PROXY ports only; elsewhere it is {wild.host}"
            )
            hint = f"add {host} to the hosts of the ServiceEntry"
            report.warning("ref-host", message, "hosts", position, hint=hint)


def _check_destination(
    policy: Policy[VirtualService], destination: Destination, path: tuple[str | int, ...], index: Index, report: Report
) -> None:
    host = index.host(destination.host, policy.key)
    service = index.service(host)
    if service is None or service.host != host:
        if not index.may_be_service(host):
            hint = close(host, index.services) or "add a ServiceEntry with this host"
            if service is not None:
                hint = f"{service.host} takes requests for it, but only a host by name can be sent to: add {host} to its hosts"
            report.error("ref-host", f"no service has the host {host}", *path, "host", hint=hint)
        return
    if destination.subset:
        subsets = index.subsets(host, policy.key.namespace, service.namespace)
        if subsets is not None and destination.subset not in subsets:
            known = f"its subsets are {', '.join(subsets)}" if subsets else "add a DestinationRule with this subset"
            hint = close(destination.subset, subsets) or known
            report.error("ref-subset", f"{host} has no subset {destination.subset}", *path, "subset", hint=hint)
        elif subsets is not None:
            _check_clients(policy, destination, service, path, index, report)
    _check_port(policy, destination, service, path, index, report)


def _check_clients(
    policy: Policy[VirtualService],
    destination: Destination,
    service: Service,
    path: tuple[str | int, ...],
    index: Index,
    report: Report,
) -> None:
    """Warn of proxies whose own namespace has another DestinationRule for the host, or can't see the one with the subset."""
    for client in sorted(index.clients(policy)):
        if destination.subset not in index.client_subsets(service, client):
            message = f"for proxies in namespace {client}, {service.host} has no subset {destination.subset}"
            hint = "they use the DestinationRule of their own namespace, or else the service's: add the subset there"
            report.warning("ref-subset", message, *path, "subset", hint=hint)
            return


def _check_port(
    policy: Policy[VirtualService],
    destination: Destination,
    service: Service,
    path: tuple[str | int, ...],
    index: Index,
    report: Report,
) -> None:
    numbers = {port.number for port in service.ports}
    known = ", ".join(str(number) for number in sorted(numbers))
    if destination.port is not None:
        if destination.port.number not in numbers:
            message = f"{service.host} has no port {destination.port.number}"
            report.error("ref-port", message, *path, "port", "number", hint=f"it has {known}")
    elif len(numbers) > 1:
        unclear = sorted(_listeners(policy, index) - numbers)
        if unclear:
            message = f"{service.host} has several ports ({known}); which is meant for requests to port {unclear[0]}?"
            report.error("ref-port", message, *path, hint="add `port: {number: ...}`", key=True)


def _listeners(policy: Policy[VirtualService], index: Index) -> set[int]:
    """The ports that requests under this VirtualService come in at."""
    out: set[int] = set()
    for name in policy.spec.gateways or (MESH_GATEWAY,):
        if name == MESH_GATEWAY:
            services = [index.service(index.host(host, policy.key)) for host in policy.spec.hosts]
            out.update(port.number for service in services if service for port in service.ports)
        elif gateway := index.gateways.get(policy.resolve(name)):
            out.update(server.port.number for server in gateway.spec.servers)
    return out


def check_destination_rules(index: Index) -> Iterator[Finding]:
    """Of every DestinationRule: whether its host is a service's, and its subsets have endpoints."""
    for policy in index.mesh.destination_rules:
        report = Report(policy.origin)
        host = index.host(policy.spec.host, policy.key)
        if not index.served(host):
            hint = close(host, index.services) or "add a ServiceEntry, or remove the rule"
            report.warning("ref-host", f"no service has the host {host}, so this rule does nothing", "host", hint=hint)
        service = index.services.get(host)
        if service is not None and not index.failed("WorkloadEntry"):
            _check_subsets(policy, service, report)
        yield from report.findings


def _check_subsets(policy: Policy[DestinationRule], service: Service, report: Report) -> None:
    for position, subset in enumerate(policy.spec.subsets):
        if not any(selected(endpoint.labels, subset.labels) for endpoint in service.endpoints):
            labels = ", ".join(f"{name}={value}" for name, value in subset.labels.items()) or "any labels"
            message = f"the subset {subset.name} selects no endpoint of {service.host} ({labels})"
            hint = "requests to it fail with 503 until there is one"
            report.warning("ref-endpoints", message, "subsets", position, "labels", hint=hint)
