"""A mesh with a cluster as its registry, and target files beside it: for what is not a matter of the kind of registry."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from reconciler.discovery.conformance import Member, Mood
from tests.discovery.groups import groups
from tests.e2e.instances import Instance
from tests.e2e.listed import Listed, member, rules
from tests.kubernetes.platform import Platform, kubeconfig

B = "b.default.svc.cluster.local"
C = "c.default.svc.cluster.local"


class Clustered(Listed):
    """Service `b` is the cluster's alone; Git has rules for it. Files are for tests to write; there are none at first.

    Args:
        folder: A new folder with a short path.
        protection: Of both registries.
        documents: Beside the rules for `b`.

    Attributes:
        platform: The cluster.
        one: An instance of v1 that it lists from the start, as does
        two: one of v2.
        three: An instance that it does not list.
    """

    def __init__(
        self, folder: Path, *, protection: Mapping[str, Any] | None = None, documents: Mapping[str, str] | None = None
    ) -> None:
        self.targets = folder / "targets"
        self.targets.mkdir()
        own = folder / "cluster"
        own.mkdir()
        self.platform = Platform(own)
        more = {"protection": dict(protection)} if protection else {}
        self.cluster = {"name": "cluster", "kubernetes": {"kubeconfig": str(kubeconfig(own, self.platform.server.url))}}
        self.listing = {"name": "files", "fileSd": {"files": [f"{self.targets}/*.json"]}}
        registries = [self.cluster | more, self.listing | more]
        documents = {"b.yaml": rules("b", "b")} | dict(documents or {})
        super().__init__(folder, registries=registries, documents=documents, verbose=True)
        self.stack.callback(self.platform.server.stop)
        self.one = self.serve("one")
        self.two, self.three = (self.serve(name, self.one.port) for name in ("two", "three"))  # so they share a slice
        self.as_ever()

    @property
    def both(self) -> list[Member]:
        """What it lists from the start."""
        return [member(self.one, "v1"), member(self.two, "v2")]

    def as_ever(self) -> None:
        """The cluster answers, and lists what it listed at first."""
        if self.platform.server.stopped:
            self.platform.be(Mood.WELL)
        self.publish(b=self.both)

    def is_live(self) -> None:
        """Wait until the daemon has heard what the cluster lists now: what it listed last looks the same while it is away."""

        def heard() -> bool:
            ran = self.command("status", "--output", "json")
            found = {item["registry"]: item for item in json.loads(ran.out)["registries"]} if ran.out else {}
            return "cluster" in found and (found["cluster"]["state"], found["cluster"]["instances"]) == ("live", 2)

        self.until(heard, "the cluster to be heard again")

    def publish(self, **services: Sequence[Member]) -> None:
        """Have the cluster have these Services, and no others."""
        self.platform.publish(services)

    def empty(self) -> None:
        """The cluster answers, after a moment, that it has no instances of b: at once, not one after the other."""
        self.platform.be(Mood.DOWN)
        self.publish(b=[])
        self.platform.be(Mood.WELL)

    def target(self, name: str, *members: Member) -> None:
        """Have a file list these as instances of a service."""
        file = self.targets / f"{name}.json"
        new = file.with_suffix(".new")
        new.write_text(json.dumps(groups({name: members})))
        new.replace(file)

    @property
    def memory(self) -> Path:
        """The file in which it is remembered what registries listed last."""
        return next(item for item in (self.folder / "cache").rglob("*.sqlite") if item.parent.name == "registries")

    def remembers(self, host: str, *instances: Instance) -> None:
        """Wait until it is on disk that the cluster lists these instances: it is written once a second."""
        wanted = {item.address for item in instances}

        def written() -> bool:
            with closing(sqlite3.connect(f"file:{self.memory}?mode=ro", uri=True)) as file:
                rows = file.execute("SELECT found FROM service WHERE registry = 'cluster' AND host = ?", (host,))
                return any({each["address"] for each in json.loads(row)["instances"]} == wanted for (row,) in rows)

        self.until(written, f"{host} to be remembered")

    def log_has(self, text: str, since: int) -> None:
        """Wait until the daemon has said something, from a place in its log on."""
        self.until(lambda: any(text in line for line in self.said(since)), f"{text!r} in the log")

    def asked(self, *instances: Instance, path: str = "/") -> None:
        """Wait until each of these has had a request from now on."""
        before = {item.name: len(item.since(0, path)) for item in instances}
        self.until(
            lambda: all(len(item.since(0, path)) > before[item.name] for item in instances),
            f"requests for {path} at {sorted(before)}",
        )
