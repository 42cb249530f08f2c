"""The API server as a platform for the conformance test of adapters, and kubeconfigs that lead to it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from reconciler.clock import SystemClock
from reconciler.discovery.conformance import Member, Mood
from reconciler.discovery.contract import Adapter, Surroundings
from reconciler.discovery.platforms.kubernetes import KubernetesAdapter, Patience
from reconciler.model.discovery import Kubernetes
from reconciler.model.services import Health
from tests.kubernetes.objects import endpoint, endpoint_slice, pod, service
from tests.kubernetes.server import ApiServer, Fault
from tests.kubernetes.store import Store

TOKEN = "sesame-opens-0815"  # noqa: S105 -- of a server in this process
"""What the server lets in."""

AROUND = Surroundings(registry="cluster", domain="cluster.local", clock=SystemClock())
QUICK = Patience(connect=1.0, answer=2.5, watch=2, beyond=1.0, again=0.05, attempts=3, refused=0.2)
"""Short enough for tests, and long enough for a busy machine."""

_CONDITIONS: Mapping[Health, Mapping[str, bool]] = {
    Health.HEALTHY: {"ready": True, "serving": True, "terminating": False},
    Health.DRAINING: {"ready": False, "serving": True, "terminating": True},
    Health.UNHEALTHY: {"ready": False, "serving": False, "terminating": False},
}


def kubeconfig(folder: Path, url: str, user: Mapping[str, object] | None = None, **cluster: object) -> Path:
    """A kubeconfig in this folder, with one context, `test`, that is the current one."""
    path = folder / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": url, **cluster}}],
        "users": [{"name": "test", "user": {"token": TOKEN} if user is None else dict(user)}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    path.write_text(json.dumps(document))  # JSON is YAML
    return path


def adapter(path: Path, patience: Patience = QUICK, **spec: object) -> Adapter:
    """The adapter, by a kubeconfig."""
    return KubernetesAdapter(Kubernetes.model_validate({"kubeconfig": str(path), **spec}), AROUND, patience=patience)


class Platform:
    """See `reconciler.discovery.conformance`."""

    within = 5.0
    patience = 10.0
    alive = 5.0

    def __init__(self, folder: Path) -> None:
        self.store = Store()
        self.server = ApiServer(self.store)
        self.server.tokens = {TOKEN}
        self._folder = folder

    @property
    def secrets(self) -> Collection[str]:
        return (TOKEN,)

    def adapter(self) -> Adapter:
        return adapter(kubeconfig(self._folder, self.server.url))

    def host(self, service: str) -> str:
        return f"{service}.default.svc.cluster.local"

    def publish(self, services: Mapping[str, Sequence[Member]]) -> None:
        wanted = {}
        for name, members in services.items():
            wanted["Service", name] = service(name)
            for port in {member.port for member in members}:
                own = [member for member in members if member.port == port]
                endpoints = [
                    endpoint(each.address, pod=_pod(name, each), conditions=_CONDITIONS[each.health]) for each in own
                ]
                ports = [{"name": "http", "port": port, "protocol": "TCP"}]
                slice_name = f"{name}-{port}"
                wanted["EndpointSlice", slice_name] = endpoint_slice(slice_name, endpoints, service=name, ports=ports)
            for each in members:
                wanted["Pod", _pod(name, each)] = pod(_pod(name, each), **each.labels)
        for kind in ("EndpointSlice", "Service", "Pod"):
            for namespace, name in self.store.names(kind):
                if (kind, name) not in wanted:
                    self.store.delete(kind, namespace, name)
        self.store.put(*wanted.values())

    def be(self, mood: Mood) -> None:
        server = self.server
        if mood is Mood.DOWN:
            server.stop()
            return
        if server.stopped:
            server.restart()
        was_silent, server.silent = server.silent, mood is Mood.PARTITIONED
        server.delay = 1.0 if mood is Mood.SLOW else 0.0
        server.tokens = set() if mood is Mood.DENYING else {TOKEN}
        server.forget_faults()
        if mood is Mood.GARBAGE:
            for watch in (True, False):
                server.fault(Fault(path="/", watch=watch, body=b"<html>it works!</html>\n", times=10_000))
        if mood in {Mood.GARBAGE, Mood.DENYING} or (was_silent and mood is Mood.WELL):
            server.drop()

    def restart(self) -> None:
        self.server.restart()


def _pod(service: str, member: Member) -> str:
    return f"{service}-{member.address.replace('.', '-')}-{member.port}"
