"""How the API server of the tests answers: lists in pages, watches in chunks, bookmarks, expiry, discovery and errors.

Written from the API's public description (https://kubernetes.io/docs/reference/using-api/api-concepts/).
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.kubernetes.store import Gone, Kind, Object, Selection

if TYPE_CHECKING:
    from tests.kubernetes.server import ApiServer, Fault

_PATH = re.compile(
    r"/api(?:s/(?P<group>[^/]+))?/(?P<version>[^/]+)(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[^/]+)"
)


@dataclass(frozen=True, slots=True)
class Request:
    """One question, as it came."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]

    @property
    def watch(self) -> bool:
        return self.query.get("watch") in {"1", "true"}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    api: ApiServer
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self) -> None:
        plain = self.request
        self.api.connection(plain, is_open=True)
        if self.api.tls is not None:
            try:
                plain.getpeername()  # raises for who is gone already; wrapping such a socket leaks it in CPython
                self.request = self.api.tls.wrap_socket(plain, server_side=True)
                self.api.connection(self.request, is_open=True)
            finally:
                self.api.connection(plain, is_open=False)
        try:
            super().setup()
        except OSError:  # who has asked is gone already, and the base class would not come to `finish`
            self.api.connection(self.request, is_open=False)
            self.request.close()
            raise

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
        self.api.connection(self.request, is_open=False)
        self.request.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- its name in the base class
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        request = Request(parts.path, query, {name.lower(): value for name, value in self.headers.items()})
        self.api.requests.append(request)
        with contextlib.suppress(OSError):
            self._answer(request)

    def _answer(self, request: Request) -> None:
        if self._wait(lambda: not self.api.silent, 30) and self.api.delay:
            self._wait(lambda: False, self.api.delay)
        token = request.headers.get("authorization", "").removeprefix("Bearer ").removeprefix("bearer ")
        if self.api.tokens is not None and token not in self.api.tokens:
            self._status(401, "Unauthorized", "Unauthorized")
            return
        fault = self.api.taken(request)
        if fault is not None and fault.status:
            extra = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            self._status(fault.status, "InternalError", "as the test wants it", extra)
            return
        if fault is not None and fault.body is not None and not fault.watch:
            self._send(200, fault.body, "text/html")
            return
        found = self._selection(request)
        if found is None:
            return
        if request.watch:
            self._watch(request, found, fault)
        else:
            self._list(request, found, fault)

    def _selection(self, request: Request) -> Selection | None:
        document = _discovery(self.api.store.kinds, request.path)
        if document is not None:
            self._send(200, json.dumps(document).encode())
            return None
        match = _PATH.fullmatch(request.path)
        kind = match and next(
            (
                each
                for each in self.api.store.kinds
                if (each.group, each.version, each.plural) == (match["group"] or "", match["version"], match["plural"])
            ),
            None,
        )
        if not match or not kind:
            self._send(404, b"404 page not found\n", "text/plain")
            return None
        if kind.plural in self.api.forbidden:
            text = f'{kind.plural} is forbidden: User "system:serviceaccount:mesh:reconcile" cannot list resource "{kind.plural}"'
            self._status(403, "Forbidden", text)
            return None
        return Selection(kind, match["namespace"] or "", request.query.get("labelSelector", ""))

    def _list(self, request: Request, selection: Selection, fault: Fault | None) -> None:
        limit, token = int(request.query.get("limit") or 0), request.query.get("continue", "")
        try:
            items, version, follow, left = self.api.store.page(selection, limit, token)
        except Gone:
            text = "The provided continue parameter is too old to display a consistent list result."
            self._status(410, "Expired", text)
            return
        metadata: Object = {"resourceVersion": str(version)}
        if follow:
            metadata |= {"continue": follow, "remainingItemCount": left}
        kind, api_version = f"{selection.kind.kind}List", selection.kind.api_version
        if "as=PartialObjectMetadataList" in request.headers.get("accept", ""):
            items = [_partial(item) for item in items]
            kind, api_version = "PartialObjectMetadataList", "meta.k8s.io/v1"
        else:  # items of a list don't say what they are, except custom ones
            items = [_bare(item, selection.kind) for item in items]
        body = json.dumps({"kind": kind, "apiVersion": api_version, "metadata": metadata, "items": items}).encode()
        self._send(200, body, cut=None if fault is None else fault.cut)

    def _watch(self, request: Request, selection: Selection, fault: Fault | None) -> None:
        version = int(request.query.get("resourceVersion") or 0) or self.api.store.version
        partial = "as=PartialObjectMetadata;" in request.headers.get("accept", "")
        try:
            self.api.store.since(selection, version)
        except Gone:
            self._status(410, "Expired", f"too old resource version: {version} ({self.api.store.version})")
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        if fault is not None and (fault.body is not None or fault.event is not None):
            self._chunk(fault.body if fault.body is not None else json.dumps(fault.event).encode() + b"\n")
        else:
            self._events(request, selection, version, partial=partial, cut=None if fault is None else fault.cut)
        if not self.close_connection:
            self._chunk(b"")

    def _events(self, request: Request, selection: Selection, version: int, *, partial: bool, cut: int | None) -> None:
        end = time.monotonic() + float(request.query.get("timeoutSeconds") or 1800)
        marked = time.monotonic()
        while not self.api.stopped and time.monotonic() < end:
            news, position = ([], version) if self.api.silent else self.api.store.since(selection, version)
            for kind, item in news:
                shown = _partial(item) if partial else item
                line = json.dumps({"type": kind, "object": shown}).encode() + b"\n"
                if cut is not None:
                    self.wfile.write(f"{len(line):x}\r\n".encode() + line[:cut])
                    self.wfile.flush()
                    self.close_connection = True
                    self.request.shutdown(socket.SHUT_RDWR)
                    return
                self._chunk(line)
            version = position  # a watch that is under way forgets nothing; only who comes back may be too late
            due = marked + self.api.bookmarks
            if request.query.get("allowWatchBookmarks") == "true" and time.monotonic() >= due and not self.api.silent:
                marked = time.monotonic()
                mark: Object = {"kind": selection.kind.kind, "apiVersion": selection.kind.api_version}
                mark |= {"metadata": {"resourceVersion": str(version), "creationTimestamp": None}}
                self._chunk(json.dumps({"type": "BOOKMARK", "object": mark}).encode() + b"\n")
            if not news:
                self._sleep(version, min(end, due, time.monotonic() + 0.2))

    def _sleep(self, version: int, until: float) -> None:
        """Until something happens, the client leaves, or a time."""
        with self.api.store.changed:
            if self.api.store._version == version or self.api.silent:
                self.api.store.changed.wait(max(0.0, until - time.monotonic()))
        self.request.setblocking(False)  # noqa: FBT003 -- its name in the library
        try:
            if self.request.recv(1, *(() if self.api.tls else (socket.MSG_PEEK,))) == b"":
                raise ConnectionResetError
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        finally:
            self.request.setblocking(True)  # noqa: FBT003 -- as above

    def _wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait for something, or as long as the server runs; whether it came."""
        end = time.monotonic() + seconds
        while not condition():
            if self.api.stopped or time.monotonic() >= end:
                return False
            time.sleep(0.01)
        return True

    def _status(self, code: int, reason: str, message: str, headers: dict[str, str] | None = None) -> None:
        self._send(code, json.dumps(_status(code, reason, message)).encode(), headers=headers)

    def _send(
        self,
        code: int,
        body: bytes,
        kind: str = "application/json",
        *,
        headers: dict[str, str] | None = None,
        cut: int | None = None,
    ) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:cut])
        self.wfile.flush()
        if cut is not None:
            self.close_connection = True

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


def _status(code: int, reason: str, message: str) -> Object:
    return {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason,
        "code": code,
    }  # fmt: skip


def _partial(item: Object) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"]}


def _bare(item: Object, kind: Kind) -> Object:
    if "istio" in kind.group:
        return item
    return {name: value for name, value in item.items() if name not in {"kind", "apiVersion"}}


def _discovery(kinds: Sequence[Kind], path: str) -> Object | None:
    """`/apis`, `/apis/GROUP` and `/apis/GROUP/VERSION`."""
    groups: dict[str, list[str]] = {}
    for kind in kinds:
        if kind.group and kind.version not in groups.setdefault(kind.group, []):
            groups[kind.group].append(kind.version)
    described = {
        group: {
            "name": group,
            "versions": [{"groupVersion": f"{group}/{each}", "version": each} for each in versions],
            "preferredVersion": {"groupVersion": f"{group}/{versions[0]}", "version": versions[0]},
        }
        for group, versions in groups.items()
    }
    if path == "/apis":
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": list(described.values())}
    parts = path.removeprefix("/apis/").split("/")
    if not path.startswith("/apis/") or parts[0] not in groups or len(parts) > 2:
        return None
    if len(parts) == 1:
        return {"kind": "APIGroup", "apiVersion": "v1", **described[parts[0]]}
    own = [kind for kind in kinds if [kind.group, kind.version] == parts]
    resources = [
        {"name": f"{kind.plural}{sub}", "kind": kind.kind, "namespaced": kind.namespaced, "verbs": verbs}
        for kind in own
        for sub, verbs in (("", ["get", "list", "watch"]), ("/status", ["get"]))
    ]
    return (
        {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": path[6:], "resources": resources}
        if own
        else None
    )
