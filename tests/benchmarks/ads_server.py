"""The product's ADS server in a process of its own, told what to publish through a pipe, and what it costs."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from reconciler.model.key import Key
from reconciler.model.protos import decode, resource
from reconciler.model.resource import Resource, ResourceType
from reconciler.settings import AdsSettings
from reconciler.xds import Plane
from reconciler.xds.server import AdsServer
from tests.benchmarks.raw_streams import proxy_id
from tests.benchmarks.views import Mesh

PATIENCE = 60.0


class Served:
    """A server of a plane on which many proxies have the view of one mesh.

    Args:
        services: Of the mesh; none at all for proxies that have nothing.
        proxies: How many.
        own: Each proxy has a cluster of its own besides, as sidecars have, so that no two views are equal.
    """

    def __init__(self, *, services: int, proxies: int, own: bool) -> None:
        self._keys = [Key(*proxy_id(number).split("/")) for number in range(proxies)]
        self._mesh = Mesh(services)
        self._own = self._clusters(proxies) if own and services else []
        self._plane = Plane()
        self._server = AdsServer(self._plane, AdsSettings())
        self._changes = count(1)
        self.address = self._server.start()

    def names(self) -> dict[str, tuple[str, ...]]:
        """What proxies ask for by name: type URL and names."""
        view = self._mesh.view
        types = (ResourceType.ENDPOINTS, ResourceType.ROUTE)
        return {type_.type_url: tuple(item.id.name for item in view if item.id.type is type_) for type_ in types}

    def publish(self) -> dict[str, float]:
        """Give every proxy the view, with a weight that it has not had before; then wait for the last ACK."""
        view = self._mesh.changed(next(self._changes))
        views = [(*view, item) for item in self._own] if self._own else [view] * len(self._keys)
        started = time.perf_counter()
        for key, resources in zip(self._keys, views, strict=True):
            self._plane.publish(key, resources, commit="c0ffee")
        published = time.perf_counter()
        return {"started": started, "published": published, **self.settled()}

    def settled(self) -> dict[str, float]:
        """Wait until every proxy has answered everything."""
        for key in self._keys:
            if not self._plane.wait(key, timeout=PATIENCE).settled:
                raise SystemExit(f"{key} is not settled: {self._plane.state(key)}")
        return {"acked": time.perf_counter()}

    def sent(self) -> dict[str, float]:
        """Of one proxy, since the last publish."""
        state = self._plane.state(self._keys[0])
        return {"resources": state.resources_sent, "bytes": state.bytes_sent}

    def stop(self) -> dict[str, float]:
        """End all streams."""
        self._server.stop()
        return {}

    def _clusters(self, proxies: int) -> list[Resource]:
        clusters = (item for item in self._mesh.view if item.id.type is ResourceType.CLUSTER)
        message: Any = decode(next(clusters))
        found = []
        for number in range(proxies):
            message.name = message.eds_cluster_config.service_name = f"own-{number:05}"
            found.append(resource(ResourceType.CLUSTER, message))
        return found


def usage(pid: int | str = "self") -> dict[str, float]:
    """Memory of a process in KB: resident, and what is its own (not shared with others)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    found = {line.split()[0]: float(line.split()[1]) for line in lines}
    return {"rss": found["Rss:"], "own": found["Private_Clean:"] + found["Private_Dirty:"]}


def serve(pipe: Connection, services: int, proxies: int, own: bool) -> None:  # noqa: FBT001 -- of a process
    """A server process: answers the name of a method with what it returns, and what this process has used."""
    served = Served(services=services, proxies=proxies, own=own)
    pipe.send((served.address, served.names()))
    while True:
        command = pipe.recv()
        if command == "usage":
            gc.collect()
            answer: dict[str, float] = {}
        else:
            answer = getattr(served, command)()
        pipe.send(answer | usage() | {"cpu": time.process_time()})
        if command == "stop":
            return


@contextmanager
def process(target: Any, *arguments: object) -> Iterator[Connection]:
    """A new Python process and our end of its pipe."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=target, args=(theirs, *arguments))
    child.start()
    theirs.close()
    try:
        yield ours
    finally:
        child.terminate()
        child.join()
        ours.close()


def quantile(values: Sequence[float], part: float) -> float:
    """The value below which so much of them is."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]
