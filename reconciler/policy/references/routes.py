"""Of every VirtualService: what it refers to, and where it is carried out. The checks of one ask nothing that another's weights say."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.origin import Finding
from reconciler.model.visibility import exported, visible
from reconciler.policy.findings import Report
from reconciler.policy.references.bindings import check_bindings, listeners
from reconciler.policy.references.delegates import check_delegates
from reconciler.policy.references.destinations import Sending, check_destination
from reconciler.policy.references.index import Index
from reconciler.policy.references.parts import destinations
from reconciler.policy.references.sources import check_sources


def check_virtual_services(index: Index) -> Iterator[Finding]:
    """Gateways, delegates, callers and destinations of all VirtualServices."""
    for policy in index.mesh.virtual_services:
        report = Report(policy.origin)
        check_bindings(policy, index, report)
        check_delegates(policy, index, report)
        check_sources(policy, index, report)
        to = exported(policy.spec.export_to, policy.key.namespace)
        clients = {client for client in index.clients(policy) if visible(to, client)}
        ports = listeners(policy, index)
        for carried, path, destination in destinations(policy.spec):
            sending = Sending(policy=policy, carried=carried, clients=clients, listeners=ports)
            check_destination(destination, sending, index, report.below(*path))
        yield from report.findings
