"""One stream of one proxy: requests in, responses out, types in order. Knows bytes and no transport; not for two threads at once.

The next response is worked out when it can be written, from what the proxy is to have then: a stream that is read slowly
skips what was replaced in the meantime.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DiscoveryRequest
from google.protobuf.message import DecodeError

from reconciler.model.resource import ResourceType
from reconciler.model.variant import Variant
from reconciler.xds.delta import DeltaSubscription
from reconciler.xds.sets import TYPES, Names, Shelf
from reconciler.xds.sotw import SotwSubscription
from reconciler.xds.subscription import Refusal, RequestError, Sent, Subscription, Turn
from reconciler.xds.want import Want, endpoints_of
from reconciler.xds.wire import delta_response, sotw_response

_REQUESTS: dict[Variant, Any] = {Variant.DELTA: DeltaDiscoveryRequest, Variant.SOTW: DiscoveryRequest}
_BY_URL = MappingProxyType({type_.type_url: type_ for type_ in TYPES})
_NO_WORDS = "refused without a reason"
_FOREIGN = "type.googleapis.com/envoy."
"""Of types with this beginning Envoy may ask for more than we have: there is no answer, and it goes on without."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request said about a response.

    Attributes:
        taken: What the peer has now, if it was an ACK.
        refusal: What is refused, if it was a NACK.
    """

    type: ResourceType
    taken: Sent | None = None
    refusal: Refusal | None = None


def parse(variant: Variant, data: bytes) -> Any:
    """A request.

    Raises:
        RequestError: It is none.
    """
    try:
        return _REQUESTS[variant].FromString(data)
    except DecodeError as error:
        raise RequestError("this is no discovery request") from error


class Stream:
    """One stream.

    Args:
        want: What its proxy is to have.
        shelf: Where sets come from.
        only: The type of a stream for a single one; None for an aggregated stream.
        wake: Called when there may be something to send; from any thread.

    Attributes:
        begun: Whether there has been a request.
        writing: When the response that is being written was begun, on the plane's monotonic scale; None if none is.
    """

    __slots__ = (
        "_counter", "_only", "_shelf", "_subscriptions", "_want", "begun", "client", "opened", "peer", "variant", "wake", "writing",
    )  # fmt: skip

    def __init__(
        self,
        want: Want,
        shelf: Shelf,
        *,
        variant: Variant,
        only: ResourceType | None,
        wake: Callable[[], None],
        peer: str,
        client: str,
        opened: datetime,
    ) -> None:
        self._want = want
        self._shelf = shelf
        self._only = only
        self._subscriptions: dict[ResourceType, Subscription] = {}
        self._counter = 0
        self.variant = variant
        self.wake = wake
        self.peer = peer
        self.client = client
        self.opened = opened
        self.writing: float | None = None
        self.begun = False

    def receive(self, request: Any) -> Answer | None:
        """Take a request; says what it answered, if it answered something.

        Raises:
            RequestError: No client of the protocol sends this.
        """
        self.begun = True
        type_ = self._type(request.type_url)
        if type_ is None:
            return None
        subscription = self._subscription(type_)
        answer = None
        if request.response_nonce:
            words = (request.error_detail.message or _NO_WORDS) if request.HasField("error_detail") else ""
            current = not isinstance(subscription, SotwSubscription) or subscription.current(request.response_nonce)
            has = request.version_info if isinstance(subscription, SotwSubscription) else ""
            found = subscription.answer(request.response_nonce, words, has=has)
            answer = Answer(type_, refusal=found) if isinstance(found, Refusal) else Answer(type_, taken=found)
            if not current:
                return answer  # in this variant, what a stale request asks for is out of date too
        subscription.receive(request)
        return answer

    def next(self) -> tuple[ResourceType, Turn, bytes] | None:
        """The next response; None if there is nothing to say. What is returned counts as sent."""
        if not self._want.published:
            return None
        for type_ in TYPES:
            subscription = self._subscriptions.get(type_)
            if subscription is None or not subscription.seen:
                continue
            subscription.aim(self._want[type_])
            turn = subscription.turn()
            if turn is not None:
                return type_, turn, self._respond(type_, subscription, turn)
        return None

    def settle(self, type_: ResourceType, names: frozenset[str]) -> None:
        """What is held was not taken: the peer has what is wanted in its place."""
        self._subscription(type_).settle(self._want[type_], names)

    def demand(self, type_: ResourceType, names: frozenset[str]) -> None:
        """Send these, or that they are gone, once more."""
        subscription = self._subscription(type_)
        subscription.aim(self._want[type_])
        subscription.demand(names)

    def insist(self, type_: ResourceType) -> None:
        """Send everything of a type that the peer should have asked for by now."""
        subscription = self._subscription(type_)
        if self._only is None and self.begun and not subscription.seen:
            subscription.insist()

    def text(self, type_: ResourceType) -> str:
        """Version text of the last response."""
        return self._subscription(type_).text

    def at_rest(self, type_: ResourceType) -> bool:
        """Whether the peer has answered everything of a type that it asks for, and there is no more to say."""
        subscription = self._subscriptions.get(type_)
        if subscription is None or not subscription.seen or not self._want.published:
            return False
        subscription.aim(self._want[type_])
        return subscription.idle and not subscription.waiting

    def asks(self, type_: ResourceType) -> bool:
        """Whether the peer has asked for anything of a type."""
        subscription = self._subscriptions.get(type_)
        return subscription is not None and subscription.seen

    def asked(self, type_: ResourceType) -> Names | None:
        """The names that the peer asks for; None if it asks for everything."""
        subscription = self._subscription(type_)
        return None if subscription.wildcard else subscription.names

    @property
    def fresh(self) -> bool:
        """Whether the peer has asked for something, and has said that it has nothing. Only before something was published."""
        return self.begun and all(item.bare for _, item in self._items())

    @property
    def settled(self) -> bool:
        """Whether that holds for all types that the peer asks for, which has to have asked for something."""
        return (
            self._want.published
            and self.begun
            and all(self.at_rest(type_) for type_, item in self._items() if item.seen)
        )

    @property
    def waiting(self) -> frozenset[ResourceType]:
        """Types of which something was sent and not answered."""
        return frozenset(type_ for type_, item in self._items() if item.waiting)

    @property
    def acked(self) -> dict[ResourceType, str]:
        """Version text of the last ACK, by type."""
        return {type_: item.acked for type_, item in self._items() if item.acked}

    def subscriptions(self) -> tuple[Subscription, ...]:
        """What the peer asks for, in order."""
        return tuple(item for _, item in self._items())

    def _items(self) -> list[tuple[ResourceType, Subscription]]:
        return [(type_, self._subscriptions[type_]) for type_ in TYPES if type_ in self._subscriptions]

    def _type(self, url: str) -> ResourceType | None:
        if self._only is not None and url in {"", self._only.type_url}:
            return self._only
        if self._only is None and url in _BY_URL:
            return _BY_URL[url]
        if self._only is None and url.startswith(_FOREIGN):
            return None
        raise RequestError(f"{url!r} is no type of this service" if url else "the request has no type_url")

    def _subscription(self, type_: ResourceType) -> Subscription:
        if type_ not in self._subscriptions:
            made = DeltaSubscription if self.variant is Variant.DELTA else SotwSubscription
            self._subscriptions[type_] = made(type_, self._shelf)
        return self._subscriptions[type_]

    def _respond(self, type_: ResourceType, subscription: Subscription, turn: Turn) -> bytes:
        self._counter += 1
        nonce = str(self._counter)
        subscription.record(nonce, turn)
        if type_ is ResourceType.CLUSTER and self._only is None:
            self._subscription(ResourceType.ENDPOINTS).demand(endpoints_of(turn.put))
        version, identifier = subscription.text, self._identifier()
        if self.variant is Variant.DELTA:
            return delta_response(
                type_url=type_.type_url,
                version=version,
                nonce=nonce,
                identifier=identifier,
                entries=[entry.delta for entry in turn.put],
                removed=turn.removed,
            )
        entries = sorted((*turn.put, *turn.also), key=lambda entry: entry.resource.id)
        return sotw_response(
            type_url=type_.type_url,
            version=version,
            nonce=nonce,
            identifier=identifier,
            entries=[entry.sotw for entry in entries],
        )

    def _identifier(self) -> str:
        """Shown by Envoy as `control_plane.identifier`; it rides along and is never a reason to send."""
        return f"envoy-reconciler commit={self._want.commit}" if self._want.commit else "envoy-reconciler"
