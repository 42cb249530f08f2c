"""A tree in memory, and texts that mark where a message should point."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from reconciler.model.tree import FileKind, TreeFile
from reconciler.policy import load

MARK = "^"

BASE = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec:
  hosts: [a.default.svc.cluster.local]
  resolution: STATIC
  ports: [{name: http, number: 80}]
  workloadSelector: {labels: {app: a}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: two-ports}
spec:
  hosts: [two.default.svc.cluster.local]
  resolution: STATIC
  ports: [{name: http, number: 80}, {name: other, number: 81}]
  endpoints: [{address: 10.0.0.1}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: secure}
spec:
  hosts: [secure.default.svc.cluster.local]
  addresses: [10.1.0.1]
  resolution: STATIC
  ports: [{name: tls, number: 443, protocol: TLS}]
  endpoints: [{address: 10.0.0.2}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a}
spec: {host: a, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: a-v1}
spec: {address: 127.0.0.1, labels: {app: a, version: v1}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {role: edge}
  servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ["*.example.com"]}]
---
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: edge}
spec: {labels: {role: edge}, admin: "http://127.0.0.1:9901", push: {files: {directory: /var/lib/envoy/edge}}}
"""
"""A small mesh without a fault, for cases to add one to."""


class MemoryTree:
    """Files by path; contents that are a `FileKind` stand for links and submodules."""

    def __init__(self, files: Mapping[str, str | bytes | FileKind]) -> None:
        self._files = {path: text.encode() if isinstance(text, str) and not isinstance(text, FileKind) else text
                       for path, text in files.items()}  # fmt: skip
        self.reads: list[str] = []

    @property
    def commit(self) -> str:
        return ""

    def files(self, folder: str) -> Sequence[TreeFile]:
        below = [path for path in sorted(self._files) if path.startswith(f"{folder}/")]
        return [self._entry(path) for path in below]

    def read(self, file: TreeFile) -> bytes:
        self.reads.append(file.path)
        content = self._files[file.path]
        assert isinstance(content, bytes)
        return content

    def _entry(self, path: str) -> TreeFile:
        content = self._files[path]
        if isinstance(content, FileKind):
            return TreeFile(path, "", 0, content)
        return TreeFile(path, hashlib.sha1(content, usedforsecurity=False).hexdigest(), len(content))


def found(files: Mapping[str, str | bytes | FileKind]) -> list[str]:
    """`place severity[code]` of every diagnostic of these files."""
    return [f"{item.place} {item.severity}[{item.code}]" for item in load(MemoryTree(files)).diagnostics]


def marked(text: str) -> tuple[str, list[str]]:
    """The text without its marks, and `line:column` of each."""
    places = []
    lines = []
    for number, line in enumerate(text.split("\n"), 1):
        rest = line
        while MARK in rest:
            places.append(f"{number}:{rest.index(MARK) + 1}")
            rest = rest.replace(MARK, "", 1)
        lines.append(rest)
    return "\n".join(lines), places
