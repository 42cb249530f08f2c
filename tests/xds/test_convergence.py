"""A law: whatever is published, asked for, refused or lost on the way, a client ends up with what it asks for of what was published."""

from __future__ import annotations

import queue
from functools import cache
from typing import Any

import pytest
from envoy.service.discovery.v3 import discovery_pb2 as discovery
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from reconciler.model.key import Key
from reconciler.model.resource import Resource, ResourceType
from reconciler.xds import Plane
from reconciler.xds.sets import Entry
from reconciler.xds.wire import delta_response, sotw_response
from tests.xds.client import Direct, Got, Peer, node_of, read
from tests.xds.lab import (
    CLUSTER,
    DELTA,
    ENDPOINTS,
    LISTENER,
    ROUTE,
    SOTW,
    VARIANTS,
    cluster,
    endpoints,
    listener,
    route,
)

KEY = Key("default", "model")
NAMES = ("a", "b", "c", "d")
TYPES = (CLUSTER, ENDPOINTS, LISTENER, ROUTE)
BY_SET = {CLUSTER, LISTENER}
VERSIONS = 6
WRONG = {4, 5}
"""Versions that the client refuses."""


@cache
def resource(type_: ResourceType, name: str, version: int) -> Resource:
    if type_ is CLUSTER:
        return cluster(name, connect_timeout=f"{version + 1}s")
    if type_ is ENDPOINTS:
        return endpoints(name, version + 1)
    return listener(name, version + 1, name) if type_ is LISTENER else route(name, f"to-{version}")


@cache
def wrong() -> frozenset[bytes]:
    return frozenset(resource(type_, name, version).body for type_ in TYPES for name in NAMES for version in WRONG)


views = st.dictionaries(st.tuples(st.sampled_from(TYPES), st.sampled_from(NAMES)), st.integers(0, VERSIONS - 1))
types = st.sampled_from(TYPES)
names = st.sampled_from(NAMES)


class Model(RuleBasedStateMachine):
    """A client that does what the protocol says, and refuses some versions; the laws hold once everything is answered."""

    variant = DELTA

    @initialize(named=st.booleans(), partly=st.booleans())
    def begin(self, *, named: bool, partly: bool) -> None:
        self.plane = Plane()
        self.named = named
        self.partly = partly
        self.published: dict[tuple[ResourceType, str], Resource] = {}
        self.has: dict[ResourceType, dict[str, bytes]] = {type_: {} for type_ in TYPES}
        self.asked: dict[ResourceType, set[str]] = {}
        self.texts: dict[ResourceType, str] = {}
        self.peer: Peer | None = None

    @rule(view=views)
    def publish(self, view: dict[tuple[ResourceType, str], int]) -> None:
        self.published = {id_: resource(*id_, version) for id_, version in view.items()}
        self.plane.publish(KEY, self.published.values())

    @rule()
    def connect(self) -> None:
        """With all that it has, and all that it asks for."""
        if self.peer is not None:
            return
        self.peer = Peer(Direct(self.plane, self.variant, node_of(KEY)), self.variant, node_of(KEY))
        for type_, asked in self.asked.items():
            had = {name: resource_version(type_, name, body) for name, body in self.has[type_].items()}
            self.peer.ask(type_, *sorted(asked), had=had, version=self.texts.get(type_, ""))

    @rule(fresh=st.booleans())
    def disconnect(self, *, fresh: bool) -> None:
        """The stream breaks, or the proxy starts afresh: then it has nothing."""
        if self.peer is None:
            return
        self.texts = dict(self.peer.accepted) if self.variant == SOTW else {}
        self.peer.close()
        self.peer = None
        if fresh:
            self.has = {type_: {} for type_ in TYPES}
            self.asked, self.texts = {}, {}

    @rule(type_=types, more=st.sets(names), less=st.sets(names))
    def change(self, type_: ResourceType, more: set[str], less: set[str]) -> None:
        """Ask for names, or for everything that there is, and let go of others."""
        if self.peer is None:
            return
        less -= more
        if type_ in BY_SET:
            if type_ not in self.asked:
                self.asked[type_] = set()
                self.peer.ask(type_)
            return
        asked = self.asked.get(type_, set())
        less &= asked
        if more or less:
            self.asked[type_] = (asked | more) - less
            for name in less:
                self.has[type_].pop(name, None)
            self.peer.ask(type_, *sorted(more), drop=sorted(less))

    @rule(type_=types)
    def retry(self, type_: ResourceType) -> None:
        self.plane.retry(KEY, frozenset({type_}))

    @rule(many=st.integers(1, 3))
    def read_on(self, many: int) -> None:
        """Answer a few responses."""
        for _ in range(many):
            if self.peer is not None:
                self.answer(self.peer)

    @rule(many=st.integers(2, 3))
    def read_late(self, many: int) -> None:
        """Answer a few responses after the last of them was sent."""
        if self.peer is None:
            return
        found = []
        for _ in range(many):
            try:
                found.append(read(self.variant, self.peer.line.receive(0)))
            except queue.Empty:
                break
            self.peer.nonces[found[-1].type] = found[-1].nonce
        for got in found:
            self.take(self.peer, got)

    @rule()
    def converge(self) -> None:
        """Once everything is answered, the laws hold; the machine goes on from there."""
        if self.peer is None:
            return
        for _ in range(200):
            if not self.answer(self.peer):
                break
        else:
            pytest.fail("the server never comes to an end")
        state = self.plane.state(KEY)
        if not state.published or not self.asked:
            return
        assert state.settled, state
        for type_, asked in self.asked.items():
            self.check(type_, asked if type_ not in BY_SET else set(NAMES))
        for id_, hold in state.held.items():
            assert hold.version == self.published[id_.type, id_.name].version
            guessed = not self.named and self.variant == SOTW and id_.type in BY_SET
            assert guessed or self.published[id_.type, id_.name].body in wrong(), "what is good is not held"

    def teardown(self) -> None:
        """However it went, in the end they agree."""
        if hasattr(self, "plane"):
            self.connect()
            self.converge()

    def check(self, type_: ResourceType, asked: set[str]) -> None:
        held = {id_.name: hold for id_, hold in self.plane.state(KEY).held.items() if id_.type is type_}
        says = {id_.name: item.body for id_, item in self.plane.has(KEY).items() if id_.type is type_}
        for name in asked:
            body, wanted = self.has[type_].get(name), self.published.get((type_, name))
            if name in held:
                kept = held[name].kept
                assert body not in wrong()
                assert kept is None or body == kept.body == says[name]
            elif wanted is not None:
                assert body == wanted.body == says[name]
            elif self.variant == DELTA or type_ in BY_SET:
                assert body is None
                assert name not in says

    def answer(self, peer: Peer) -> bool:
        """Take the next response, if there is one."""
        try:
            got = peer.get()
        except AssertionError as error:
            if "no response" in str(error):
                return False
            raise
        self.take(peer, got)
        return True

    def take(self, peer: Peer, got: Got) -> None:
        known = self.has[got.type]
        bad = {name for name, body in got.bodies.items() if body in wrong()}
        whole = self.variant == SOTW and got.type in BY_SET
        asked = set(NAMES) if got.type in BY_SET else self.asked[got.type]
        assert self.variant == SOTW or got.bodies.keys() <= asked
        if not bad or (self.partly and not whole):
            if whole:
                known.clear()
            known |= {name: body for name, body in got.bodies.items() if name not in bad and name in asked}
            for name in got.removed:
                known.pop(name, None)
        if bad:
            peer.nack(got, f"no good: {', '.join(f'{name}: why' for name in sorted(bad))}" if self.named else "no good")
        else:
            peer.ack(got)


@cache
def resource_version(type_: ResourceType, name: str, body: bytes) -> str:
    return Resource.of(type_, name, body).version


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_client_converges_to_what_it_asks_for_of_what_was_published(variant: str, *, full: bool) -> None:
    """Both variants: minus what it refuses, of which it keeps what it had; nothing good is held; and the server comes to rest."""

    class Machine(Model):
        pass

    Machine.variant = variant
    run_state_machine_as_test(
        Machine, settings=settings(max_examples=1500 if full else 250, stateful_step_count=40 if full else 25)
    )


@given(
    put=st.lists(st.tuples(types, names, st.integers(0, VERSIONS - 1)), max_size=6),
    removed=st.sets(st.text(max_size=300)),
    text=st.text(max_size=20),
)
def test_encoded_responses_mean_what_protobuf_would_write(
    put: list[tuple[ResourceType, str, int]], removed: set[str], text: str
) -> None:
    """Responses are joined from bytes that were encoded once; a parser sees no difference."""
    entries = [Entry(resource(*item)) for item in put]
    head: dict[str, Any] = {"type_url": CLUSTER.type_url, "nonce": "7"}
    delta = discovery.DeltaDiscoveryResponse(**head, system_version_info=text, removed_resources=sorted(removed))
    sotw = discovery.DiscoveryResponse(**head, version_info=text)
    for message in (delta, sotw):
        message.control_plane.identifier = text
    for entry in entries:
        item = entry.resource
        packed = {"type_url": item.id.type.type_url, "value": item.body}
        delta.resources.add(name=item.id.name, version=item.version, resource=packed)
        sotw.resources.add(**packed)
    head |= {"version": text, "identifier": text}
    found = delta_response(**head, entries=[entry.delta for entry in entries], removed=removed)
    assert discovery.DeltaDiscoveryResponse.FromString(found) == delta
    found = sotw_response(**head, entries=[entry.sotw for entry in entries])
    assert discovery.DiscoveryResponse.FromString(found) == sotw
