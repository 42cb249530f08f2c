"""What an API server's etcd is to it: objects with versions, a history that can be forgotten, and pages of lists.

Written from the API's public description (https://kubernetes.io/docs/reference/using-api/api-concepts/). Versions are numbers
here, which clients must not know.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A resource of the API.

    Attributes:
        group: "" for the core.
    """

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


CORE = (
    Kind("", "v1", "Service", "services"),
    Kind("", "v1", "Pod", "pods"),
    Kind("", "v1", "Node", "nodes", namespaced=False),
    Kind("", "v1", "Namespace", "namespaces", namespaced=False),
    Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
)


def istio(version: str) -> tuple[Kind, ...]:
    """The custom resources of Istio, as one version of its API."""
    names = {
        "VirtualService": "virtualservices", "DestinationRule": "destinationrules", "ServiceEntry": "serviceentries",
        "WorkloadEntry": "workloadentries", "Gateway": "gateways", "Sidecar": "sidecars", "EnvoyFilter": "envoyfilters",
    }  # fmt: skip
    return tuple(Kind("networking.istio.io", version, kind, plural) for kind, plural in names.items())


SECURITY = Kind("security.istio.io", "v1", "PeerAuthentication", "peerauthentications")


class Gone(Exception):  # noqa: N818 -- as HTTP calls it
    """410."""


@dataclass(frozen=True, slots=True)
class Happened:
    """One change; `before` and `after` are None at the ends of an object's life."""

    version: int
    kind: Kind
    before: Object | None
    after: Object | None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects are meant.

    Attributes:
        labels: As `labelSelector`: `a=b`, `a!=b`, `a`, `!a`, by commas.
    """

    kind: Kind
    namespace: str = ""
    labels: str = ""

    def has(self, item: Object | None) -> bool:
        if item is None:
            return False
        metadata = item["metadata"]
        if self.namespace and metadata.get("namespace") != self.namespace:
            return False
        return all(_selects(term, metadata.get("labels") or {}) for term in self.labels.split(",") if term)


def _selects(term: str, labels: Mapping[str, str]) -> bool:
    if "!=" in term:
        name, _, value = term.partition("!=")
        return labels.get(name) != value
    if "=" in term:
        name, _, value = term.replace("==", "=").partition("=")
        return labels.get(name) == value
    return term[1:] not in labels if term.startswith("!") else term in labels


@dataclass(slots=True)
class Listing:
    """A list that is handed out page by page, as it was when its first page was."""

    items: list[Object]
    version: int


class Store:
    """Objects of one cluster. Safe for any thread.

    Attributes:
        kinds: What the API has.
        changed: Notified at each change, and whenever a server wants its watches to look up.
    """

    def __init__(self, *kinds: Kind) -> None:
        self.kinds = kinds or CORE
        self.changed = threading.Condition()
        self._version = 1000
        self._forgotten = 1000
        self._objects: dict[tuple[Kind, str, str], Object] = {}
        self._history: list[Happened] = []
        self._listings: dict[str, Listing] = {}
        self._tokens = 0

    @property
    def version(self) -> int:
        with self.changed:
            return self._version

    def put(self, *items: Object) -> None:
        """Create or update objects; server-side fields are added."""
        with self.changed:
            for item in items:
                self._put(copy.deepcopy(item))
            self.changed.notify_all()

    def delete(self, kind: str, namespace: str, name: str) -> None:
        with self.changed:
            found = self._kind(kind)
            before = self._objects.pop((found, namespace, name))
            self._version += 1
            gone = copy.deepcopy(before)
            gone["metadata"]["resourceVersion"] = str(self._version)
            self._history.append(Happened(self._version, found, gone, None))
            self.changed.notify_all()

    def names(self, kind: str) -> list[tuple[str, str]]:
        """Namespaces and names of all objects of a kind."""
        with self.changed:
            return [(namespace, name) for own, namespace, name in self._objects if own.kind == kind]

    def compact(self) -> None:
        """Forget the history, and the lists that are being handed out: as etcd does every five minutes."""
        with self.changed:
            self._forgotten = self._version
            self._history.clear()
            self._listings.clear()
            self.changed.notify_all()

    def bump(self) -> None:
        """Something that nobody follows has changed."""
        with self.changed:
            self._version += 1
            self.changed.notify_all()

    def page(self, selection: Selection, limit: int, token: str) -> tuple[list[Object], int, str, int]:
        """Items, version, token of the next page or "", and how many are left."""
        with self.changed:
            if token:
                if token not in self._listings:
                    raise Gone
                listing = self._listings.pop(token)
            else:
                listing = Listing(self._selected(selection), self._version)
            items, rest = (listing.items[:limit], listing.items[limit:]) if limit else (listing.items, [])
            follow = ""
            if rest:
                self._tokens += 1
                follow = f"t{self._tokens}"
                self._listings[follow] = Listing(rest, listing.version)
            return items, listing.version, follow, len(rest)

    def since(self, selection: Selection, version: int) -> tuple[list[tuple[str, Object]], int]:
        """Events after a version, each a type and an object, and the version that they lead to."""
        with self.changed:
            if version < self._forgotten:
                raise Gone
            news, position = self._history[self._first_after(version) :], self._version
        return [event for each in news if each.kind == selection.kind for event in _event(selection, each)], position

    def _first_after(self, version: int) -> int:
        low, high = 0, len(self._history)
        while low < high:
            middle = (low + high) // 2
            if self._history[middle].version <= version:
                low = middle + 1
            else:
                high = middle
        return low

    def _put(self, item: Object) -> None:
        kind = self._kind(item["kind"])
        metadata = item.setdefault("metadata", {})
        if kind.namespaced:
            metadata.setdefault("namespace", "default")
        key = (kind, metadata.get("namespace", ""), metadata["name"])
        before = self._objects.get(key)
        self._version += 1
        metadata["resourceVersion"] = str(self._version)
        metadata["uid"] = before["metadata"]["uid"] if before else f"uid-{self._version}"
        metadata["creationTimestamp"] = "2026-01-01T00:00:00Z"
        metadata["managedFields"] = [{"manager": "test", "operation": "Update", "apiVersion": kind.api_version}]
        item["apiVersion"] = kind.api_version
        self._objects[key] = item
        self._history.append(Happened(self._version, kind, before, item))

    def _selected(self, selection: Selection) -> list[Object]:
        found = [
            (key[1:], item) for key, item in self._objects.items() if key[0] == selection.kind and selection.has(item)
        ]
        return [item for _, item in sorted(found, key=lambda each: each[0])]

    def _kind(self, name: str) -> Kind:
        return next(kind for kind in self.kinds if kind.kind == name)


def _event(selection: Selection, change: Happened) -> Iterator[tuple[str, Object]]:
    """What a change is to somebody who sees only a selection: an object that leaves it is deleted."""
    was, now = selection.has(change.before), selection.has(change.after)
    if now and change.after is not None:
        yield "MODIFIED" if was else "ADDED", change.after
    elif was and change.before is not None:
        gone = copy.deepcopy(change.after or change.before)
        gone["metadata"]["resourceVersion"] = str(change.version)
        yield "DELETED", gone
