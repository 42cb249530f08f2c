"""One resource, followed: listed, then watched for as long as that goes, and listed anew where the server has forgotten.

Runs on a thread of its own and tells what it reads to whoever holds the cluster's state. It knows the API's rules for lists and
watches (https://kubernetes.io/docs/reference/using-api/api-concepts/), and nothing of services.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from reconciler.clock import Clock
from reconciler.discovery.contract import AdapterError, Stopping
from reconciler.discovery.platforms.failures import AnswerError
from reconciler.discovery.platforms.kubernetes import records
from reconciler.discovery.platforms.kubernetes.api import METADATA, Api, RefusedError, StatusError
from reconciler.discovery.platforms.kubernetes.cluster import Resource
from reconciler.discovery.platforms.kubernetes.listing import listed
from reconciler.discovery.platforms.kubernetes.records import MalformedError, Name, Record

_STEADY = 5.0
"""Seconds: a watch that breaks after that was no failed attempt to resume it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is followed.

    Attributes:
        resource: Which objects.
        namespace: Theirs, or "" for all.
        selector: Only those with these labels, as the API takes it.
        read: Makes a record of an object; None for one that does not matter.
        optional: Whether it may be forbidden to us: then there is none.
        metadata: Whether their metadata is enough.
    """

    resource: Resource
    namespace: str
    read: Callable[[Any], Record | None]
    selector: str = ""
    optional: bool = False
    metadata: bool = False

    @property
    def path(self) -> str:
        """Where the API has them."""
        group = "/apis/discovery.k8s.io/v1" if self.resource is Resource.SLICES else "/api/v1"
        within = f"/namespaces/{self.namespace}" if self.namespace else ""
        return f"{group}{within}/{self.resource}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """All there is.

    Attributes:
        wrong: What can't be read, and why.
        refused: Why there is nothing, if it was forbidden.
    """

    scope: Scope
    objects: Mapping[Name, Record]
    wrong: Mapping[Name, str]
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One object: None if it is gone, or can't be read, and why not."""

    scope: Scope
    name: Name
    record: Record | None
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """The server has answered, and nothing has changed."""

    scope: Scope


News = Listed | Changed | Heard


class _ExpiredError(Exception):
    """The server has forgotten what happened since the version that was asked for."""


class Reflector:
    """Follows one scope.

    Args:
        api: Whom it asks.
        scope: What it follows.
        tell: Called with all news, in order.
        stopping: When to end.
        clock: Tells a watch that breaks at once from one that lasted.
    """

    def __init__(
        self, api: Api, scope: Scope, *, tell: Callable[[News], None], stopping: Stopping, clock: Clock
    ) -> None:
        self._api = api
        self._clock = clock
        self._scope = scope
        self._tell = tell
        self._stopping = stopping
        self._version = ""

    def run(self) -> None:
        """Follow until `stopping` is set.

        Raises:
            AdapterError: It can't be read. A watch that breaks is resumed a few times before that.
        """
        forgotten, patience = 0, self._api.patience
        while not self._stopping.is_set():
            try:
                self._list()
            except RefusedError as error:
                if not self._scope.optional or error.status != HTTPStatus.FORBIDDEN:
                    raise
                self._tell(Listed(scope=self._scope, objects={}, wrong={}, refused=error.message))
                self._stopping.wait(patience.refused)
                continue
            since = self._clock.monotonic()
            self._follow()
            forgotten = 1 if self._clock.monotonic() - since > _STEADY else forgotten + 1
            if forgotten > patience.attempts:
                raise AdapterError(
                    f"{self._scope.path} can't be watched: the API server forgets at once what it lists",
                    hint="look at the API server's health, and at its watch cache",
                )
            self._stopping.wait(patience.again * 2 ** (forgotten - 1))

    def _list(self) -> None:
        scope = self._scope
        accept = f"application/json;{METADATA.format('PartialObjectMetadataList')}" if scope.metadata else ""
        objects: dict[Name, Record] = {}
        wrong: dict[Name, str] = {}
        for page in listed(self._api, scope.path, selector=scope.selector, accept=accept, wait=self._stopping.wait):
            if page.first:
                objects, wrong = {}, {}
            for item in page.items:
                name, record, why = self._read(item)
                if why:
                    wrong[name] = why
                elif record is not None:
                    objects[name] = record
            self._version = page.version
        self._tell(Listed(scope=scope, objects=objects, wrong=wrong))

    def _follow(self) -> None:
        """Watch, again and again, until the server has forgotten where we were."""
        failures, patience = 0, self._api.patience
        while not self._stopping.is_set():
            heard, since = self._version, self._clock.monotonic()
            try:
                self._watch()
            except _ExpiredError:
                return
            except RefusedError:
                raise
            except AdapterError as error:
                lasted = self._version != heard or self._clock.monotonic() - since > _STEADY
                failures = 1 if lasted else failures + 1
                if failures > patience.attempts:
                    raise
                asked = error.retry_after if isinstance(error, StatusError) else None
                self._stopping.wait(
                    patience.again * 2 ** (failures - 1) if asked is None else min(asked, patience.retry_after)
                )
            else:
                failures = 0
                self._tell(Heard(self._scope))

    def _watch(self) -> None:
        scope = self._scope
        query = {
            "watch": "1",
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(self._api.patience.watch),
        }
        if scope.selector:
            query["labelSelector"] = scope.selector
        accept = f"application/json;{METADATA.format('PartialObjectMetadata')}" if scope.metadata else ""
        try:
            with self._api.lines(scope.path, query, accept=accept) as lines:
                for event in _events(lines, scope.path):
                    self._event(event)
        except StatusError as error:
            if error.status == HTTPStatus.GONE:
                raise _ExpiredError from None
            raise

    def _event(self, event: Mapping[str, Any]) -> None:
        kind, item = event.get("type"), event.get("object")
        if kind == "ERROR":
            raise _error_of(item, self._scope.path)
        if kind not in {"ADDED", "MODIFIED", "DELETED", "BOOKMARK"}:
            raise _nonsense(self._scope.path)
        try:
            version = records.version_of(item)
        except MalformedError:
            raise _nonsense(self._scope.path) from None
        if kind == "BOOKMARK":
            self._tell(Heard(self._scope))
        elif kind == "DELETED":
            self._tell(Changed(scope=self._scope, name=records.name_of(item), record=None))
        else:
            name, record, why = self._read(item)
            self._tell(Changed(scope=self._scope, name=name, record=record, wrong=why))
        self._version = version

    def _read(self, item: Any) -> tuple[Name, Record | None, str]:
        """Whose it is, what it is, and why that can't be said."""
        try:
            name = records.name_of(item)
        except MalformedError:
            raise _nonsense(self._scope.path) from None
        try:
            return name, self._scope.read(item), ""
        except MalformedError as error:
            return name, None, str(error)


def _events(lines: Iterator[bytes], path: str) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except ValueError:
            raise _nonsense(path) from None
        if not isinstance(event, dict):
            raise _nonsense(path)
        yield event


def _error_of(status: Any, path: str) -> Exception:
    """An ERROR event: its object is a Status."""
    said = status if isinstance(status, dict) else {}
    if said.get("code") == HTTPStatus.GONE:
        return _ExpiredError()
    code = said.get("code") if isinstance(said.get("code"), int) else 0
    hint = "look at the API server's health: `kubectl get --raw /readyz?verbose`"
    return StatusError(f"the watch of {path} ended: {said.get('message')}", status=code or 0, hint=hint)


def _nonsense(path: str) -> AnswerError:
    return AnswerError(f"{path} does not answer as Kubernetes does", hint="is the kubeconfig's server an API server?")
