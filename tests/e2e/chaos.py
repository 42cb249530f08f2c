"""What can happen to a mesh of sidecars, drawn by a seeded generator: policies change, processes die and freeze, peers lie.

Every happening says for which time it excuses failed requests, and why. Nothing else excuses any.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from random import Random

import grpc
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest

from reconciler.cli.demo.traffic import Traffic
from tests.e2e.sidecars import VERSIONS, Sidecars
from tests.xds.client import Wire

_ROUTES = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: b}
spec:
  hosts: [b]
  http:
  - name: primary
    %(timeout)sroute:
    - destination: {host: b, subset: v1}
      weight: %(v1)d%(headers)s
    - destination: {host: b, subset: v2}
      weight: %(v2)d
"""
_POISON = '\n      headers: {response: {set: {x-said: "%REQ(a?b?c)%"}}}'
"""Validation leaves what stands in the parentheses to Envoy, which takes one alternative."""

_RULE = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: %(name)s}
spec:
  host: %(name)s
  trafficPolicy: {connectionPool: {http: {http2MaxRequests: %(limit)d}}}
"""
_LONGEST_FREEZE = 1.5
_TERMINATED = (-signal.SIGTERM, 128 + signal.SIGTERM, -signal.SIGINT)
"""Exit codes of a daemon that is stopped before it has begun."""

_TYPES = (
    "cluster.v3.Cluster",
    "listener.v3.Listener",
    "endpoint.v3.ClusterLoadAssignment",
    "route.v3.RouteConfiguration",
)


class Chaos:
    """One mesh and what happens to it.

    Attributes:
        said: What has happened so far, for a person who looks for the cause.
    """

    def __init__(self, mesh: Sidecars, seed: int) -> None:
        self.mesh = mesh
        self.draw = Random(seed)  # noqa: S311 -- to be repeatable is the point
        self.said: list[str] = []
        self._begun = time.monotonic()
        self._v2, self._timeout, self._poisoned = 0, "", False
        self._instances = set(mesh.instances)
        self._more: set[str] = set()
        self._rules: set[str] = set()
        self._excused: list[tuple[float, float]] = []
        self._dead: dict[str, float] = {}
        self._unserved: dict[str, float] = {}
        self._forgotten = False
        self._daemon = self._begun_daemon = True
        self._away = mesh.repo / "HEAD.away"

    # What happens

    def happen(self, count: int) -> None:
        """So many things, one after another, some of them at once."""
        for _ in range(count):
            happenings = self._possible()
            self.draw.choice(happenings)()
            if self.draw.random() < 0.6:
                time.sleep(self.draw.uniform(0, 0.5))

    def _possible(self) -> list[Callable[[], None]]:
        found: list[Callable[[], None]] = [
            self.weights, self.weights, self.timeout, self.instance, self.service, self.rule, self.poison, self.peer,
            self.freeze, self.unreadable,
        ]  # fmt: skip
        found += [self.kill_daemon, self.stop_daemon] if self._daemon else [self.start_daemon, self.start_daemon]
        if self._daemon:
            found += [self.kill_daemon_in_a_push]
        found += [self.kill_envoy] if len(self._dead) < len(self._instances) else []
        found += [self.start_envoy, self.start_envoy] if self._dead else []
        return found

    def weights(self) -> None:
        self._v2 = self.draw.choice([0, 30, 100, self.draw.randrange(101)])
        self._commit_routes(f"v2 at {self._v2}%")

    def timeout(self) -> None:
        self._timeout = self.draw.choice(["", "10s", "11s", "12s"])
        self._commit_routes(f"timeout {self._timeout or 'none'}")

    def poison(self) -> None:
        self._poisoned, self._forgotten = not self._poisoned, not self._daemon or "a-1" in self._dead
        self._commit_routes("poison" if self._poisoned else "mended")

    def instance(self) -> None:
        """One whose sidecar is there, since an endpoint that is not there can only refuse."""
        name = "b-3"
        if name not in self.mesh.envoys:
            return
        here = name in self._instances
        self._instances ^= {name}
        self._commit(
            {f"policies/{name}.yaml": None if here else self.mesh.instance(name)},
            f"{name} {'goes' if here else 'comes'}",
        )

    def service(self) -> None:
        name = self.draw.choice(["c", "d", "e"])
        files = {f"policies/{name}.yaml": None if name in self._more else self.mesh.another(name)}
        if name in self._rules:
            self._rules.discard(name)
            files[f"policies/{name}-rule.yaml"] = None
        self._commit(files, f"service {name} {'goes' if name in self._more else 'comes'}")
        self._more ^= {name}

    def rule(self) -> None:
        """A destination rule comes, changes or goes."""
        if not self._more:
            return
        name = self.draw.choice(sorted(self._more))
        goes = name in self._rules and self.draw.random() < 0.5
        content = None if goes else _RULE % {"name": name, "limit": self.draw.randrange(100, 200)}
        (self._rules.discard if goes else self._rules.add)(name)
        self._commit({f"policies/{name}-rule.yaml": content}, f"rule of {name} {'goes' if goes else 'is set'}")

    def kill_daemon(self) -> None:
        self._say("daemon killed")
        self.mesh.daemon.kill()
        self._daemon = False

    def stop_daemon(self) -> None:
        self._say("daemon stopped")
        code = self.mesh.daemon.stop()
        assert code in {0, *_TERMINATED}, (code, self.mesh.daemon.tail())
        self._daemon = False

    def start_daemon(self) -> None:
        self._say("daemon started")
        self._forgotten = True
        begun = self._begins()
        self.mesh.daemon.start()
        self._daemon = True
        self._begun_daemon = self.draw.random() < 0.7  # or it may be ended before it has begun
        if self._begun_daemon:
            self.mesh.wait(lambda: self._begins() > begun, "the daemon to begin")

    def kill_daemon_in_a_push(self) -> None:
        self.draw.choice([self.weights, self.service, self.instance])()
        time.sleep(self.draw.uniform(0.1, 0.6))
        self.kill_daemon()

    def kill_envoy(self) -> None:
        """What it was answering is lost, and so is what comes until a new one serves."""
        name = self.draw.choice(sorted(self.members - self._dead.keys()))
        self._say(f"{name} killed")
        self._dead[name] = time.monotonic()
        self.mesh.envoys[name].kill()

    def start_envoy(self) -> None:
        """It serves once its listeners do: with a daemon, or else when there is one."""
        name = self.draw.choice(sorted(self._dead))
        if not self._daemon:
            return
        self._say(f"{name} started")
        self._start(name)

    def freeze(self) -> None:
        """It answers nobody for a moment, and what it was asked after that."""
        name = self.draw.choice([name for name in sorted(self.mesh.envoys) if name not in self._dead] or [""])
        if not name:
            return
        self._say(f"{name} frozen")
        envoy = self.mesh.envoys[name]
        os.kill(envoy.pid, signal.SIGSTOP)
        try:
            if self.draw.random() < 0.7:
                self.draw.choice([self.weights, self.service])()
            time.sleep(self.draw.uniform(0, _LONGEST_FREEZE))
        finally:
            os.kill(envoy.pid, signal.SIGCONT)
        self._say(f"{name} thawed")

    def peer(self) -> None:
        """Somebody else takes the name of a proxy, or talks rubbish; and leaves."""
        manner = self.draw.choice(["rubbish", "silence", "greed", "asks", "leaves"])
        name = self.draw.choice(["a-1", "b-1", "nobody"])
        self._say(f"peer as {name}: {manner}")
        with grpc.insecure_channel(f"127.0.0.1:{self.mesh.ads}") as channel:
            line = Wire(channel, "delta", reads=manner != "greed", waits=False)
            try:
                if manner == "rubbish":
                    line.send(self.draw.randbytes(200))
                elif manner != "silence":
                    for type_ in _TYPES:
                        line.send(_asks(f"default/{name}", type_))
                time.sleep(0 if manner == "leaves" else self.draw.uniform(0, 0.5))
            finally:
                with suppress(grpc.RpcError):
                    line.close() if manner != "greed" else line.call.cancel()

    def unreadable(self) -> None:
        """The policy repository is none for a moment. Without it no daemon begins.

        It is not moved as a whole: a git that writes at that very moment would leave its lock behind.
        """
        if not (self._daemon and self._begun_daemon):
            return
        self._say("repository away")
        head = self.mesh.repo / "HEAD"
        head.rename(self._away)
        try:
            time.sleep(self.draw.uniform(0, 0.7))
        finally:
            self._away.rename(head)
        self._say("repository back")

    # How it ends

    def calm(self) -> None:
        """Everybody is back, and nothing bad is wanted."""
        if not self._daemon:
            self.start_daemon()
        for name in sorted(self._dead):
            self._say(f"{name} started")
            self._start(name)
        if self._poisoned:
            self.poison()
        for name in sorted(self._unserved):
            self._serves(name)
        self._v2 = self.draw.choice([share for share in (0, 50, 100) if share != self._v2])  # a receipt is due
        self._commit_routes(f"calm, v2 at {self._v2}%")

    def shares(self) -> dict[str, int]:
        """What the versions are to have of the traffic, in percent."""
        return {"v1": 100 - self._v2, "v2": self._v2}

    @property
    def members(self) -> set[str]:
        """Proxies that Git wants."""
        return {"a-1", *self._instances}

    def failed(self, traffic: Traffic) -> list[str]:
        """Requests that failed without an excuse: those that began and ended when nothing excused any."""
        bad = []
        until = 0.0
        for begin, end in [*sorted(self._excused), (float("inf"), 0.0)]:
            tally = traffic.tally(until, begin)
            bad += [f"{tally.failed} of {tally.requests}: {failure}" for failure in tally.failures]
            until = max(until, end)
        return bad

    def _begins(self) -> int:
        return self.mesh.daemon.read().count("listening on")

    def _start(self, name: str) -> None:
        self.mesh.envoys[name].start(ready=name in self.members)  # with the bootstrap of before
        self._unserved.setdefault(name, self._dead.pop(name))
        # A daemon that has not seen what the caller took before the poison has nothing else for a new process.
        if not (name == "a-1" and self._poisoned and self._forgotten):
            self._serves(name)

    def _serves(self, name: str) -> None:
        """Wait until a new process serves: that ends its excuse."""
        place = (f"127.0.0.{30 + list(VERSIONS).index(name)}", self.mesh.inbound[name]) if name in VERSIONS else None
        if name in self.members:
            self.mesh.wait(lambda: self._answers() if place is None else _accepts(place), f"{name} to serve again")
        self._excused.append((self._unserved.pop(name), time.monotonic()))

    def _answers(self) -> bool:
        """Whether the caller's sidecar has routes, not only a listener. What is behind them may be away with an excuse of its own."""
        with self.mesh.traffic(rate=0, limit=1, connections=1) as traffic:
            traffic.join()
            return bool(traffic.tally().outcomes.keys() & {"200", "503"})

    def _commit_routes(self, message: str) -> None:
        values = {
            "v1": 100 - self._v2,
            "v2": self._v2,
            "timeout": f"timeout: {self._timeout}\n    " if self._timeout else "",
            "headers": _POISON if self._poisoned else "",
        }
        self._commit({"policies/routes.yaml": _ROUTES % values}, message)

    def _commit(self, files: dict[str, str | None], message: str) -> None:
        self._say(message)
        self.mesh.commit(files, message)

    def _say(self, what: str) -> None:
        self.said.append(f"{time.monotonic() - self._begun:7.2f} {what}")


def _asks(node: str, type_: str) -> bytes:
    request = DeltaDiscoveryRequest(
        type_url=f"type.googleapis.com/envoy.config.{type_}", resource_names_subscribe=["*"]
    )
    request.node.id = node
    return bytes(request.SerializeToString())


def _accepts(place: tuple[str, int]) -> bool:
    with suppress(OSError), socket.create_connection(place, timeout=1):
        return True
    return False
