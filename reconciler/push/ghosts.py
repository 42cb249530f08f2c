"""Clusters that Envoy has refused without a word, and that keep it from hearing of any other: finding them, and taking them away.

Envoy (1.40, and open upstream as envoyproxy/envoy#34334) notices some faults of a cluster only when it is built: it counts a refusal,
goes on to list the cluster as warming, and answers nothing that has to do with clusters while one is warming, which is for ever.
It does not even ask for clusters again on a new stream. Being sent the version that it has, or that the cluster is gone, heals it,
and only then it says what was wrong. A refusal that it does tell leaves the same trace behind, which the next change runs into.
"""

from __future__ import annotations

from collections.abc import Collection

from reconciler.clock import Clock
from reconciler.envoy import Admin
from reconciler.model.key import Key
from reconciler.model.resource import Resource, ResourceId, ResourceType
from reconciler.push.verify import Confirmation
from reconciler.xds import Hold, NodeState, Plane

SILENCE = 0.2
"""Seconds between a refusal that was counted and the conclusion that it is not going to be told; one that is takes 2 to 12 ms."""

WORDS = "envoy counted a refusal when it got this cluster, and then left it warming; its log has the reason"


class Ghosts:
    """One proxy's, during one push."""

    def __init__(self, plane: Plane, key: Key, admin: Admin, clock: Clock) -> None:
        self._plane = plane
        self._key = key
        self._admin = admin
        self._clock = clock
        self._since: float | None = None
        self._seen: set[tuple[ResourceId, str]] = set()

    def lay(self, holds: Collection[tuple[ResourceId, Hold]]) -> None:
        """Take away the trace that refused clusters leave behind."""
        for id_, hold in holds:
            if id_.type is ResourceType.CLUSTER and (id_, hold.version) not in self._seen:
                self._seen.add((id_, hold.version))
                self._plane.hold(self._key, id_, hold.words)

    def find(self, put: Collection[Resource], look: Confirmation, state: NodeState) -> frozenset[ResourceId]:
        """What has become one of what was sent: taken as refused from now on. Nothing, as long as it may be something else.

        Args:
            put: What is new or changed in this step.
            look: The last look.
            state: What the streams say.

        Returns:
            Warming clusters that nobody wants, from before: they have to be taken away by name.

        Raises:
            AdminError: It can't be read.
        """
        asked = ResourceType.CLUSTER in state.waiting or ResourceType.CLUSTER in state.acked
        silent = look.versions is not None and look.versions.warming > 0
        silent = silent and (ResourceType.CLUSTER in state.waiting or not asked)
        now = self._clock.monotonic()
        self._since = (self._since or now) if silent else None
        if self._since is None or now - self._since < SILENCE:
            return frozenset()
        warming = {ResourceId(ResourceType.CLUSTER, name) for name in self._admin.warming_clusters()}
        if ResourceType.CLUSTER in look.grown:
            sent = {item.id: item.version for item in put}
            for id_ in sorted(warming & sent.keys() - state.held.keys()):
                if (id_, sent[id_]) not in self._seen:
                    self._seen.add((id_, sent[id_]))
                    self._plane.hold(self._key, id_, WORDS)
        self._since = None
        if not asked:
            self._plane.insist(self._key, ResourceType.CLUSTER)
        return frozenset(warming - self._plane.published(self._key).keys())

    def suspected(self, state: NodeState) -> frozenset[ResourceId]:
        """What was taken as refused and was not: Envoy has told since whom it had refused, and named others."""
        mine = [(id_, hold.words) for id_, hold in state.held.items() if (id_, hold.version) in self._seen]
        told = any(words != WORDS for _, words in mine)
        return frozenset(id_ for id_, words in mine if words == WORDS) if told else frozenset()
