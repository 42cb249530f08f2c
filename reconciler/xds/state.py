"""What the plane tells others about a proxy: frozen values, read from any thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from reconciler.model.key import Key
from reconciler.model.proxy import Client
from reconciler.model.resource import Resource, ResourceId, ResourceType


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A resource that a proxy refused, and what it has instead.

    Attributes:
        version: The version that was refused.
        words: The proxy's own, or why it is taken to have refused.
        at: When, UTC.
        kept: What is sent in its place; None if the proxy has never accepted one.
    """

    version: str
    words: str
    at: datetime
    kept: Resource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """Who a proxy says it is, when it connects.

    Attributes:
        workload: The WorkloadEntry (same namespace) that a sidecar says it belongs to.
        labels: A gateway's.
        locality: `region/zone/subzone`, as much of it as it says.
        admin: Where it says its admin endpoint is; not to be believed by itself.
        address: The IP address that it connects from; "" for a Unix socket.
        connected: Whether a stream is open.
    """

    key: Key
    workload: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    locality: str = ""
    admin: str = ""
    address: str = ""
    client: Client = Client.ENVOY
    connected: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """What a change of endpoints came to.

    Attributes:
        resources: What each proxy is to have in another version now, and is being sent if it is connected; proxies without any are
            not in it.
    """

    resources: Mapping[Key, tuple[Resource, ...]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """One proxy, as its streams show it. What it says is a hint; its admin endpoint is the truth.

    Attributes:
        connected: Whether a stream is open.
        since: When the newest stream was opened, or the last one was lost; None if there has never been one.
        peer: `address:port` of the newest stream.
        client: Name and version of what connected: `envoy/1.40.0`.
        variant: `delta` or `sotw`.
        published: Whether there is anything that it is to have.
        fresh: It is connected, says that it has nothing, and nothing was published for it yet: it has just started.
        commit: The policy commit of what was published last.
        sets: Version of the set that it is to have now, by type: of what was published, less what is held.
        settled: Everything that was published and that it asks for was sent, and answered.
        blocked: Seconds for which a response has been waiting for the proxy to read; 0 if none is.
        texts: Version texts sent since the last publish, by type: what Envoy's stats show as `version_text`. Of very many, the last.
        acked: Version text of the last ACK, by type.
        waiting: Types of which something was sent and not answered yet.
        held: What it refused, and has not got since.
        resources_sent: Since the last publish.
        bytes_sent: Of responses, since the last publish.
        streams: Streams that were opened so far.
    """

    connected: bool = False
    since: datetime | None = None
    peer: str = ""
    client: str = ""
    variant: str = ""
    published: bool = False
    fresh: bool = False
    commit: str = ""
    sets: Mapping[ResourceType, str] = field(default_factory=lambda: MappingProxyType({}))
    settled: bool = False
    blocked: float = 0.0
    texts: Mapping[ResourceType, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    acked: Mapping[ResourceType, str] = field(default_factory=lambda: MappingProxyType({}))
    waiting: frozenset[ResourceType] = frozenset()
    held: Mapping[ResourceId, Hold] = field(default_factory=lambda: MappingProxyType({}))
    resources_sent: int = 0
    bytes_sent: int = 0
    streams: int = 0
