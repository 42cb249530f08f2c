"""One destination: whether those who would send to it see its service, subset and port, and speak its language."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from reconciler.model.destinationrule import DestinationRule
from reconciler.model.mesh import Policy
from reconciler.model.services import Port, Service
from reconciler.model.trafficpolicy import ClientTLS, ClientTLSMode
from reconciler.model.virtualservice import Destination
from reconciler.model.visibility import visible
from reconciler.policy.findings import Report, close
from reconciler.policy.references.index import Index


class Carried(StrEnum):
    """What is sent to a destination: requests, TLS as it came, or any connections."""

    HTTP = "http"
    TLS = "tls"
    TCP = "tcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """Who sends what.

    Attributes:
        clients: The namespaces of the proxies that send; empty if there are no proxies to know them by.
        listeners: The ports that what is sent comes in at.
    """

    policy: Policy[Any]
    carried: Carried
    clients: Collection[str]
    listeners: Collection[int]


def check_destination(destination: Destination, sending: Sending, index: Index, report: Report) -> None:
    """One destination; the report's paths begin at it. A host that no service has is another check's (`hosts`)."""
    policy = sending.policy
    host = index.host(destination.host, policy.key)
    service = index.services.get(host)
    if service is None:
        if destination.subset and index.providers.may_list(host) and not index.may_be_service(host):
            _check_awaited(destination.subset, host, index, report)
        return
    _check_visible(service, sending, report)
    if destination.subset:
        subsets = index.subsets(host, policy.key.namespace, service.namespace)
        if subsets is not None and destination.subset not in subsets:
            known = f"its subsets are {', '.join(subsets)}" if subsets else "add a DestinationRule with this subset"
            hint = close(destination.subset, subsets) or known
            report.error("ref-subset", f"{host} has no subset {destination.subset}", "subset", hint=hint)
        elif subsets is not None:
            _check_clients(destination, sending, service, index, report)
    _check_port(destination, sending, service, index, report)


def _check_awaited(subset: str, host: str, index: Index, report: Report) -> None:
    """A subset of a host that a registry may list: whoever lists it, subsets are in DestinationRules."""
    known = {item.name for rule in index.rules_for(host) for item in rule.spec.subsets}
    if subset not in known and not index.may_have_rule(host):
        hint = close(subset, known) or "add a DestinationRule with this subset"
        report.error("ref-subset", f"no DestinationRule gives {host} a subset {subset}", "subset", hint=hint)


def _check_visible(service: Service, sending: Sending, report: Report) -> None:
    users = sending.clients or {sending.policy.key.namespace}
    if not any(visible(service.export_to, namespace) for namespace in users):
        names = ", ".join(sorted(users))
        message = f"{service.host} is not exported to namespace {names}, where it would be sent to from"
        hint = f"add it to exportTo of the ServiceEntry in namespace {service.namespace}"
        report.error("ref-host", message, "host", hint=hint)


def _check_clients(destination: Destination, sending: Sending, service: Service, index: Index, report: Report) -> None:
    """Warn of proxies whose own namespace has another DestinationRule for the host, or can't see the one with the subset."""
    for client in sorted(sending.clients):
        if destination.subset not in index.client_subsets(service, client):
            message = f"for proxies in namespace {client}, {service.host} has no subset {destination.subset}"
            hint = "they use the DestinationRule of their own namespace, or else the service's: add the subset there"
            report.warning("ref-subset", message, "subset", hint=hint)
            return


def _check_port(destination: Destination, sending: Sending, service: Service, index: Index, report: Report) -> None:
    numbers = {port.number for port in service.ports}
    known = ", ".join(str(number) for number in sorted(numbers))
    port = service.ports[0] if len(service.ports) == 1 else None
    if destination.port is not None:
        port = service.port(destination.port.number)
        if port is None:
            message = f"{service.host} has no port {destination.port.number}"
            report.error("ref-port", message, "port", "number", hint=f"it has {known}")
    elif port is None:
        unclear = sorted(set(sending.listeners) - numbers)
        if unclear:
            what = "requests" if sending.carried is Carried.HTTP else "connections"
            message = f"{service.host} has several ports ({known}); which is meant for {what} to port {unclear[0]}?"
            report.error("ref-port", message, hint="add `port: {number: ...}`", key=True)
    if port is not None:
        _check_protocol(port, sending, service, index, report)


def _check_protocol(port: Port, sending: Sending, service: Service, index: Index, report: Report) -> None:
    """Requests for a port that expects TLS, or a protocol without requests; TLS for one that expects requests."""
    where = f"port {port.number} of {service.host} is {port.protocol}"
    if sending.carried is Carried.HTTP and not port.protocol.is_http:
        if not port.protocol.is_tls:
            hint = "route connections with `tcp`, or give the port of the ServiceEntry a protocol of HTTP"
            report.warning("ref-protocol", f"{where}, and requests are sent to it", "host", hint=hint)
        elif not _secured(service, index):
            message = f"{where}, and requests are sent to it in plain text"
            hint = "add a DestinationRule with `tls: {mode: SIMPLE}` for the host, or pass TLS on with a `tls` rule"
            report.warning("ref-protocol", message, "host", hint=hint)
    elif sending.carried is Carried.TLS and port.protocol.is_http:
        message = f"{where}, and TLS is passed on to it as it comes"
        hint = "route to a port of protocol HTTPS or TLS, or give this one that protocol"
        report.warning("ref-protocol", message, "host", hint=hint)


def _secured(service: Service, index: Index) -> bool:
    """Whether any DestinationRule may say that connections to a service are TLS."""
    if index.may_have_rule(service.host):
        return True
    return any(
        tls is not None and tls.mode is not ClientTLSMode.DISABLE
        for rule in index.rules_for(service.host)
        for tls in _tls_of(rule.spec)
    )


def _tls_of(spec: DestinationRule) -> Iterator[ClientTLS | None]:
    for policy in (spec.traffic_policy, *(subset.traffic_policy for subset in spec.subsets)):
        if policy is not None:
            yield policy.tls
            yield from (settings.tls for settings in policy.port_level_settings)
