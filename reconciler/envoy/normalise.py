"""From a part of a config dump to a resource in canonical form, remembering what was seen.

Parsing JSON into a protobuf costs about 0.1 ms a resource, and most dumps are what they were at the last pass. So whole
answers are remembered by their bytes, and single resources by their JSON: an unchanged proxy costs one hash, a changed one
only what changed.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import Any, Generic, TypeVar

from google.protobuf import descriptor_pool, json_format

from reconciler.model import protos
from reconciler.model.resource import Resource, ResourceId, ResourceType, content_hash

V = TypeVar("V")

# json_format raises more than its own errors where JSON has another shape than the protobuf.
_INEXPRESSIBLE = (json_format.Error, AttributeError, LookupError, TypeError, ValueError)
_STRUCT = "type.googleapis.com/google.protobuf.Struct"


class Normaliser:
    """What has been read before, for all proxies and passes of one process. May be used from several threads.

    Args:
        answers: How many answers are remembered; one proxy has four. The ones not used for longest go first.
        resources: How many single resources are; one of about 1 KB each.
    """

    def __init__(self, *, answers: int = 8192, resources: int = 100_000) -> None:
        self._answers: _Memo[Any] = _Memo(answers)
        self._resources: _Memo[Resource] = _Memo(resources)

    def answer(self, kind: str, body: bytes, read: Callable[[bytes], V]) -> V:
        """What `read` makes of a body, which it makes the same of every time.

        Args:
            kind: Tells different readers of one body apart.
            body: An answer of an admin endpoint.
            read: Called if this body is new; what it raises is passed on.
        """
        found: V = self._answers.get((kind, hashlib.sha256(body).digest()), lambda: read(body))
        return found

    def resource(self, type_: ResourceType, value: Mapping[str, Any], version: str = "") -> Resource:
        """The canonical resource that a part of a dump describes.

        One that our protobufs can't express has a body that shows what they can, and a version that no compiled resource
        can have.

        Args:
            type_: Of the resource.
            value: As it stands in the dump.
            version: Its `version_info`. What Envoy was told is not what it runs, so this counts for nothing here.
        """
        del version
        text = json.dumps(value).encode()
        return self._resources.get((type_, hashlib.sha256(text).digest()), lambda: _resource(type_, value, text))


class Expecting:
    """A normaliser that knows a resource by its version, if it is the expected one, without reading its content.

    Only where a version is the resource's own, and nobody else can have given it: with incremental ADS, Envoy shows for each
    resource the version that it came with, and that is the hash of what we sent.

    Args:
        inner: Reads everything else.
        expected: By id.
    """

    def __init__(self, inner: Normaliser, expected: Mapping[ResourceId, Resource]) -> None:
        self._inner = inner
        self._expected = expected

    def resource(self, type_: ResourceType, value: Mapping[str, Any], version: str = "") -> Resource:
        """As `Normaliser.resource`."""
        if version:
            known = self._expected.get(ResourceId(type_, str(value.get("name", ""))))
            if known is not None and known.version == version:
                return known
        return self._inner.resource(type_, value)


class _Memo(Generic[V]):
    """A mapping of bounded size that computes what it lacks. Two threads may compute one value twice; both get one."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._known: OrderedDict[Hashable, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, compute: Callable[[], V]) -> V:
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        value = compute()
        with self._lock:
            value = self._known.setdefault(key, value)
            while len(self._known) > self._capacity:
                self._known.popitem(last=False)
        return value

    def __len__(self) -> int:
        return len(self._known)


def _resource(type_: ResourceType, value: Mapping[str, Any], text: bytes) -> Resource:
    message = {key: part for key, part in value.items() if key != "@type"}
    try:
        parsed = protos.from_dict(type_, _settled(type_, message))
    except _INEXPRESSIBLE:
        return _unreadable(type_, message, text)
    return protos.resource(type_, parsed)


def _settled(type_: ResourceType, value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without the health that Envoy mixes into the endpoints it shows: it is what is, not what was configured."""
    if type_ is not ResourceType.ENDPOINTS:
        return value
    groups = [
        {
            **group,
            "lb_endpoints": [
                {key: part for key, part in host.items() if key != "health_status"}
                for host in group.get("lb_endpoints", ())
            ],
        }
        for group in value.get("endpoints", ())
    ]
    return {**value, "endpoints": groups}


def _unreadable(type_: ResourceType, value: Mapping[str, Any], text: bytes) -> Resource:
    """A resource with fields, or extensions, that our protobufs don't know: of a newer Envoy, or written by hand.

    Its body has what can be expressed, to show in a plan: unknown fields are left out, unknown extensions are shown as a
    Struct. Its version is the hash of all of its JSON, with a mark that no compiled resource has.
    """
    try:
        message = json_format.ParseDict(_without_unknown(value), protos.MESSAGES[type_](), ignore_unknown_fields=True)
        shown = protos.resource(type_, protos.canonical(message))
    except _INEXPRESSIBLE:
        name = "cluster_name" if type_ is ResourceType.ENDPOINTS else "name"
        shown = protos.resource(type_, protos.MESSAGES[type_](**{name: str(value.get(name, ""))}))
    return replace(shown, version=content_hash(b"unreadable", type_.encode(), text))


def _without_unknown(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_unknown(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "@type" in value and not _known(value["@type"]):
        return {"@type": _STRUCT, "value": value}
    return {key: _without_unknown(part) for key, part in value.items()}


def _known(type_url: object) -> bool:
    if not isinstance(type_url, str):
        return False
    try:
        descriptor_pool.Default().FindMessageTypeByName(type_url.rpartition("/")[2])
    except KeyError:
        return False
    return True
