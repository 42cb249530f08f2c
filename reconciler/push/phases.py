"""What is sent in which order: a pure plan from what a proxy serves to what it should serve.

Stands first in the push: `files` and other ways carry the steps out, `fleet` holds all proxies together at the end of each
phase. Nothing here reads or writes anything.

The phases are make-before-break across the fleet. ADD only creates, so nothing that serves changes: the listener of a new
callee is there before any caller is told of it. REPOINT changes what exists, callers included, so from its end on nobody
needs what goes. REMOVE only takes away. A changed load assignment or cluster belongs to REPOINT, since it moves traffic:
the address it gains may be that of a listener that another proxy has only since ADD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from envoy.config.core.v3.address_pb2 import Address
from envoy.config.listener.v3.listener_pb2 import Listener

from reconciler.model.endpoints import alike
from reconciler.model.observation import Observation
from reconciler.model.protos import decode
from reconciler.model.resource import Resource, ResourceId, ResourceType
from reconciler.xds import Fresh

State = Mapping[ResourceId, Resource]
"""What a proxy serves or should serve: secrets, clusters, endpoints, listeners and routes; never RUNTIME keys."""

# Secrets are with what comes first and goes last: clusters refer to them, and so do listeners.
_UPSTREAM = frozenset({ResourceType.SECRET, ResourceType.CLUSTER, ResourceType.ENDPOINTS})
_DOWNSTREAM = frozenset({ResourceType.LISTENER, ResourceType.ROUTE})


class Phase(StrEnum):
    """The three parts of a push, in order; every proxy ends one before any begins the next."""

    ADD = "add"
    REPOINT = "repoint"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One move of one proxy, confirmed before the next begins.

    Clusters, their endpoints and secrets are a step before listeners and routes when things come, and after them when things go: Envoy
    reads each file when it likes, and refuses an inline route to a cluster that it does not know yet.

    Attributes:
        before: What serves when it begins.
        after: What serves when it is confirmed.
    """

    phase: Phase
    before: State
    after: State

    @property
    def put(self) -> tuple[Resource, ...]:
        """What is new or changed, by id."""
        return tuple(item for id_, item in sorted(self.after.items()) if self.before.get(id_) != item)

    @property
    def gone(self) -> tuple[ResourceId, ...]:
        """What is taken away, by id."""
        return tuple(sorted(id_ for id_ in self.before if id_ not in self.after))

    @property
    def types(self) -> frozenset[ResourceType]:
        """Every type that differs."""
        return frozenset({item.id.type for item in self.put} | {id_.type for id_ in self.gone})


def state(resources: State, foreign: frozenset[ResourceId] = frozenset()) -> State:
    """Only what a full push manages: no RUNTIME keys, nothing static."""
    return MappingProxyType(
        {id_: item for id_, item in resources.items() if id_.type is not ResourceType.RUNTIME and id_ not in foreign}
    )


def live_state(observation: Observation) -> State:
    """What a proxy serves, as far as a full push manages it."""
    return state(observation.resources, observation.foreign)


def renewed(resources: State, fresh: Fresh) -> State:
    """The same with the endpoints that are known now."""
    return MappingProxyType(
        {id_: item if item.recipe is None else fresh(item) for id_, item in resources.items()}
    )  # fmt: skip


def as_sent(live: State, wanted: State) -> State:
    """What serves, with load assignments as they were sent, which a dump can't show: it has no health of endpoints."""
    moving = ((id_, item) for id_, item in wanted.items() if item.recipe is not None and id_ in live)
    return MappingProxyType({**live, **{id_: item for id_, item in moving if alike(live[id_], item)}})


def steps(live: State, wanted: State) -> tuple[Step, ...]:
    """The moves from one state to the other, in order; none if they are equal.

    A new listener whose address another one gives up can't be made before that is broken: Envoy refuses two listeners on
    one address, but takes removals of an update first. Both happen in one step of REPOINT.
    """
    new = frozenset(id_ for id_ in wanted if id_ not in live)
    changed = frozenset(id_ for id_ in wanted if id_ in live and live[id_] != wanted[id_])
    gone = frozenset(id_ for id_ in live if id_ not in wanted)
    late, yielding = _handed_over(live, wanted, new, gone)
    moves = (
        (Phase.ADD, _of(new, _UPSTREAM), frozenset[ResourceId]()),
        (Phase.ADD, _of(new, _DOWNSTREAM) - late, frozenset[ResourceId]()),
        (Phase.REPOINT, _of(changed, _UPSTREAM), frozenset[ResourceId]()),
        (Phase.REPOINT, _of(changed, _DOWNSTREAM) | late, yielding),
        (Phase.REMOVE, frozenset[ResourceId](), _of(gone, _DOWNSTREAM) - yielding),
        (Phase.REMOVE, frozenset[ResourceId](), _of(gone, _UPSTREAM)),
    )
    found: list[Step] = []
    before = live
    for phase, put, taken in moves:
        if put or taken:
            kept = {id_: item for id_, item in before.items() if id_ not in taken}
            after = MappingProxyType(kept | {id_: wanted[id_] for id_ in put})
            found.append(Step(phase=phase, before=before, after=after))
            before = after
    return tuple(found)


def _of(ids: frozenset[ResourceId], types: frozenset[ResourceType]) -> frozenset[ResourceId]:
    return frozenset(id_ for id_ in ids if id_.type in types)


def _handed_over(
    live: State, wanted: State, new: frozenset[ResourceId], gone: frozenset[ResourceId]
) -> tuple[frozenset[ResourceId], frozenset[ResourceId]]:
    """New listeners that must wait for an address, and listeners that go early to give theirs up."""
    arriving = [id_ for id_ in new if id_.type is ResourceType.LISTENER]
    held = [id_ for id_ in live if id_.type is ResourceType.LISTENER and live[id_] != wanted.get(id_)]
    if not arriving or not held:
        return frozenset(), frozenset()
    given_up = {id_: _addresses(live[id_]) - (_addresses(wanted[id_]) if id_ in wanted else set()) for id_ in held}
    asked = {id_: _addresses(wanted[id_]) for id_ in arriving}
    late = frozenset(id_ for id_ in arriving if any(asked[id_] & free for free in given_up.values()))
    yielding = frozenset(id_ for id_ in gone & given_up.keys() if any(asked[other] & given_up[id_] for other in late))
    return late, yielding


def _addresses(resource: Resource) -> set[bytes]:
    listener = decode(resource)
    assert isinstance(listener, Listener)  # noqa: S101 -- callers select by type
    found: list[Address] = [listener.address, *(item.address for item in listener.additional_addresses)]
    return {address.SerializeToString(deterministic=True) for address in found}
