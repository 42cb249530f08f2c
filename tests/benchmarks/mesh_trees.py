"""Large meshes as trees: in memory, or as commits of a real repository."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from reconciler.gitrepo import Repository, open_repository
from reconciler.model.tree import Tree, TreeFile
from reconciler.settings import GitSettings

PER_NAMESPACE = 100

SERVICE = """\
# Service %(name)s: what it is, its versions, and how it is called.
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: %(name)s
  namespace: %(namespace)s
  labels:
    app: %(name)s
spec:
  hosts:
  - %(name)s.%(namespace)s.svc.cluster.local
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
  - number: 80
    name: http
    protocol: HTTP
    targetPort: 8080
  endpoints:
  - address: %(net)s.1
    labels:
      app: %(name)s
      version: v1
  - address: %(net)s.2
    labels:
      app: %(name)s
      version: v1
  - address: %(net)s.3
    labels:
      app: %(name)s
      version: v2
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: %(name)s
  namespace: %(namespace)s
spec:
  host: %(name)s
  subsets:
  - name: v1
    labels:
      version: v1
  - name: v2
    labels:
      version: v2
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: %(name)s
  namespace: %(namespace)s
spec:
  hosts:
  - %(name)s
  http:
  - name: testers
    match:
    - headers:
        x-tester:
          exact: "true"
    route:
    - destination:
        host: %(name)s
        subset: v2
  - name: api
    match:
    - uri:
        prefix: /api/
    timeout: 5s
    route:
    - destination:
        host: %(name)s
        subset: v1
      weight: %(v1)d
    - destination:
        host: %(name)s
        subset: v2
      weight: %(v2)d
  - name: rest
    route:
    - destination:
        host: %(name)s
        subset: v1
"""

PROXY = """\
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata:
  name: caller
spec:
  address: 127.0.0.1
  labels:
    app: caller
---
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata:
  name: caller
spec:
  workload: caller
  admin: http://127.0.0.1:9901
  push:
    files:
      directory: /var/lib/envoy/caller
"""


def service(number: int, v2: int = 10) -> str:
    """The documents of one service, with v2's share of its `api` route in hundredths of a percent."""
    return SERVICE % {
        "name": f"service-{number:05}",
        "namespace": f"team-{number // PER_NAMESPACE:03}",
        "net": f"10.{number // 256}.{number % 256}",
        "v1": 10_000 - v2,
        "v2": v2,
    }


class Texts:
    """The files of a mesh of services, one weight of which can be changed at a time.

    Args:
        services: How many.
        per_file: Services in one file.
    """

    def __init__(self, services: int, *, per_file: int = 1) -> None:
        self._services = services
        self._per_file = per_file
        self._shares: dict[int, int] = {}

    def all(self) -> dict[str, str]:
        """Every file by path."""
        groups = range((self._services + self._per_file - 1) // self._per_file)
        return {"policies/caller.yaml": PROXY, **{self._path(group): self._text(group) for group in groups}}

    def change(self, number: int, v2: int) -> tuple[str, str]:
        """Give a service another split: the path and the new text of its file."""
        self._shares[number] = v2
        group = number // self._per_file
        return self._path(group), self._text(group)

    def _path(self, group: int) -> str:
        first = group * self._per_file
        return f"policies/team-{first // PER_NAMESPACE:03}/service-{first:05}.yaml"

    def _text(self, group: int) -> str:
        first = group * self._per_file
        numbers = range(first, min(first + self._per_file, self._services))
        return "---\n".join(service(number, self._shares.get(number, 1000)) for number in numbers)


class MemoryTree:
    """Files that have their blob ids already, as those of a commit have."""

    def __init__(self, commit: str, entries: Mapping[str, TreeFile], blobs: Mapping[str, bytes]) -> None:
        self._commit = commit
        self._entries = tuple(entries.values())
        self._blobs = blobs

    @property
    def commit(self) -> str:
        return self._commit

    def files(self, folder: str) -> Sequence[TreeFile]:
        return self._entries if folder == "policies" else ()

    def read(self, file: TreeFile) -> bytes:
        return self._blobs[file.blob]


class MemoryTrees:
    """Commits in memory."""

    def __init__(self) -> None:
        self._entries: dict[str, TreeFile] = {}
        self._blobs: dict[str, bytes] = {}
        self._commits = 0

    def commit(self, files: Mapping[str, str]) -> Tree:
        """The next commit, with these files added or replaced."""
        for path, text in files.items():
            entry, content = _blob(path, text)
            self._entries[path], self._blobs[entry.blob] = entry, content
        self._commits += 1
        return MemoryTree(f"{self._commits:040x}", dict(sorted(self._entries.items())), dict(self._blobs))

    def close(self) -> None:
        """Nothing is open."""


class GitTrees:
    """Commits of a new bare repository, written by `git fast-import` and read as the daemon reads them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._git("init", "--quiet", "--bare", "--initial-branch=main")
        self._repository: Repository | None = None

    def commit(self, files: Mapping[str, str]) -> Tree:
        """The next commit, with these files added or replaced."""
        self._git("fast-import", "--quiet", given="".join(self._commands(files)).encode())
        if self._repository is None:
            self._repository = open_repository(str(self._folder), GitSettings(cache=self._folder))
        return self._repository.tree(self._repository.resolve("main"))

    def close(self) -> None:
        """End the processes that read for it."""
        if self._repository is not None:
            self._repository.close()

    def _commands(self, files: Mapping[str, str]) -> Iterator[str]:
        yield "commit refs/heads/main\ncommitter bench <bench@example.com> 0 +0000\ndata 6\nchange"
        if self._repository is not None:
            yield "from refs/heads/main^0\n"
        for path, text in files.items():
            yield f"M 100644 inline {path}\ndata {len(text.encode())}\n{text}\n"

    def _git(self, *arguments: str, given: bytes = b"") -> None:
        subprocess.run(["git", *arguments], cwd=self._folder, input=given, check=True, capture_output=True)


def _blob(path: str, text: str) -> tuple[TreeFile, bytes]:
    content = text.encode()
    digest = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    return TreeFile(path, digest, len(content)), content
