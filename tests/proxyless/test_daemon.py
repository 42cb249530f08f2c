"""gRPC applications in a fleet: policies in Git, the daemon, and receipts that count them by their own word."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.compile.applications import TARGET, application
from tests.e2e.sidecars import Sidecars
from tests.proxyless.lab import Client, Process, reviews, split
from tests.xds.lab import eventually

_MESH = "kind: Mesh\nmetadata: {name: mesh}\nspec: {verifyDeadline: 5s, guards: {maxWeightIncrease: 100, maxDeletePercent: 100}}\n"


def _written(*texts: str) -> str:
    """Documents as a policy repository has them."""
    documents = [item.strip() for text in texts for item in text.split("---\n")]
    ours = ("kind: Mesh", "kind: Proxy")
    versions = ["reconciler/v1alpha1" if item.startswith(ours) else "networking.istio.io/v1" for item in documents]
    return "\n---\n".join(f"apiVersion: {version}\n{item}" for version, item in zip(versions, documents, strict=True))


class _Fleet(Sidecars):
    """The daemon and its repository, with gRPC applications in place of Envoys."""

    def files(self, v1: int = 100, v2: int = 0) -> dict[str, str]:
        """No document but the mesh's, until the backends are there."""
        del v1, v2
        return {"policies/mesh.yaml": _written(_MESH)}

    def application(self, stack: ExitStack) -> Client:
        """A client that is started as the product says."""
        ran = self.command("bootstrap", "--proxy", "app", "--ads", f"127.0.0.1:{self.ads}")
        assert ran.code == 0, ran.err
        process = Process("client.py", bootstrap=json.loads(ran.out))
        stack.callback(process.end)
        return Client(process)

    def recorded(self) -> Any:
        """What the newest receipt says of the application."""
        (said,) = self.status()["proxies"]
        return said["recorded"]

    def status(self) -> Any:
        """What `reconcile status` says of the application."""
        ran = self.command("status", "--output", "json")
        return json.loads(ran.out)


@pytest.fixture
def fleet(short_path: Path) -> Iterator[_Fleet]:
    """A daemon over an empty mesh."""
    with _Fleet(short_path, instances=()) as found:
        yield found


def test_a_commit_is_live_when_the_application_has_answered(fleet: _Fleet) -> None:
    """A weight in Git is followed by calls, and the receipt says that the application took it, by its own word."""
    with ExitStack() as stack:
        ports = {}
        for name in ("v1", "v2"):
            process = Process("server.py", "127.0.0.1:0", name)
            stack.callback(process.end)
            ports[name] = int(process.line())
        files = {"policies/app.yaml": _written(application()), "policies/b.yaml": _written(reviews(**ports))}
        fleet.commit(files | {"policies/routes.yaml": _written(split(100, 0))}, "Start")
        fleet.daemon.start()
        client = fleet.application(stack)
        eventually(lambda: client.call(20, timeout=5.0) == {"v1": 20})
        fleet.applied(fleet.head())
        changed = fleet.commit({"policies/routes.yaml": _written(split(0, 100))}, "All to v2")
        eventually(lambda: client.call(20, target=TARGET) == {"v2": 20})
        fleet.applied(changed)
        # A receipt is made good soon if the application asked for something while it was written.
        fleet.wait(lambda: fleet.recorded()["proof"] == "acked", "the application's word to be recorded")
        (said,) = fleet.status()["proxies"]
        assert said["daemon"]["connection"]["connected"]
        assert said["daemon"]["connection"]["held"] == []
