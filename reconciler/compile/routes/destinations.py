"""From destinations to clusters: which port is meant, which cluster that is, and by what its clients are told apart.

One `Destinations` belongs to one translation and collects what the translation asked for.
"""

from __future__ import annotations

from reconciler.compile.destinations import target
from reconciler.compile.effective import effective
from reconciler.compile.index import Index
from reconciler.compile.names import ClusterRef
from reconciler.compile.viewer import Place
from reconciler.model.mesh import Policy
from reconciler.model.origin import FieldPath, Finding
from reconciler.model.trafficpolicy import ConsistentHashLB
from reconciler.model.virtualservice import Destination, VirtualService


class Destinations:
    """The destinations of one translation.

    Attributes:
        clusters: Every one that was asked for.
        findings: What is wrong with them.
    """

    def __init__(self, *, index: Index, place: Place) -> None:
        self._index = index
        self._place = place
        self.clusters: set[ClusterRef] = set()
        self.findings: list[Finding] = []

    def cluster(self, destination: Destination, *, owner: Policy[VirtualService], path: FieldPath) -> ClusterRef:
        """The cluster of a destination. Its port: the one it names, the service's only one, or the listener's."""
        ref, finding = target(owner, destination, port=self._place.port, index=self._index, path=path)
        if finding is not None:
            self.findings.append(finding)
        self.clusters.add(ref)
        return ref

    def hash_key(self, ref: ClusterRef) -> ConsistentHashLB | None:
        """By what the cluster's load balancer tells clients apart, if it does."""
        return hash_key(self._index, self._place, ref)


def hash_key(index: Index, place: Place, ref: ClusterRef) -> ConsistentHashLB | None:
    """By what a cluster's load balancer tells clients apart, as a proxy sees its DestinationRules."""
    rule = index.rule(ref.host, place.viewer)
    balancer = effective(rule, ref.subset, ref.port).load_balancer
    return balancer.consistent_hash if balancer else None
