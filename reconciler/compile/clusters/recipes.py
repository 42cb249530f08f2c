"""How the load assignment of a discovered service is made for other instances: all that policies say of it, without asking them again.

The compiler makes its own by the same recipe, so the two can't differ. Pure, and safe from any thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.compile.clusters.encoding import assembled, chosen
from reconciler.compile.clusters.localities import Spread
from reconciler.compile.clusters.security import trusted
from reconciler.compile.clusters.subject import Subject
from reconciler.compile.instances import found, own
from reconciler.model.resource import Resource
from reconciler.model.services import Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """The recipe of one load assignment (`model.resource.Recipe`).

    Attributes:
        host: The service.
        cluster: What it is the load assignment of.
        port: Name of the service's port; endpoints that don't have it are left out.
        labels: What endpoints of the subset carry; none for all.
        near: How requests spread over localities, or None.
        probed: The port at which health checks ask each endpoint; 0 for its own.
        own: The endpoints that Git declares, in order of address, port and weight.
        accounts: Service accounts that the cluster trusts; None for any. Who says that it has another one is left out, until a pass
            has brought the cluster that trusts that one.
    """

    host: str
    cluster: str
    port: str
    labels: Mapping[str, str]
    near: Spread | None
    probed: int
    own: tuple[Endpoint, ...]
    accounts: frozenset[str] | None = None

    def at(self, endpoints: Sequence[Endpoint]) -> Resource:
        """The load assignment where registries list these, in this order.

        Of several endpoints at one address and port the first is taken, and Git's own go first.
        """
        items = chosen((*self.own, *self._trusted(endpoints)), port=self.port, labels=self.labels, probed=self.probed)
        return assembled(self.cluster, items, self.near, self)

    def _trusted(self, endpoints: Sequence[Endpoint]) -> Sequence[Endpoint]:
        known = self.accounts
        if known is None:
            return endpoints
        return [item for item in endpoints if not item.service_account or item.service_account in known]


def pushed(subject: Subject, near: Spread | None, *, probed: int = 0) -> Resource:
    """The load assignment of a cluster whose endpoints are pushed; with a recipe if registries have a part in it.

    One for a host, port or subset that nobody declares, or that the proxy doesn't see, is empty whatever they list.

    Args:
        subject: The cluster.
        near: How requests spread over localities.
        probed: The port at which health checks ask each endpoint; 0 for its own.
    """
    service, port, labels = subject.service, subject.port, subject.labels
    if service is None or port is None or labels is None:
        return assembled(subject.ref.name, (), near)
    name = port.name
    declared = tuple(sorted(own(service), key=lambda item: (item.address, item.ports.get(name, 0), item.weight)))
    if not service.discovered:
        return assembled(subject.ref.name, chosen(declared, port=name, labels=labels, probed=probed), near)
    recipe = Members(
        host=service.host,
        cluster=subject.ref.name,
        port=name,
        labels=labels,
        near=near,
        probed=probed,
        own=declared,
        accounts=trusted(subject),
    )
    return recipe.at(found(service))
