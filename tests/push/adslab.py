"""Real Envoys on a real ADS server, pushed to as a pass does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from reconciler.clock import SystemClock
from reconciler.envoy import Admin
from reconciler.envoy.binary import EnvoyProcess
from reconciler.model import protos
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.observation import Observation
from reconciler.model.origin import Origin
from reconciler.model.proxy import AdsPush, Client, Proxy, Push
from reconciler.model.receipt import Outcome
from reconciler.model.resource import Resource, ResourceType, View
from reconciler.push import Pushed, Target, push
from reconciler.push.byword import observe_by_word
from reconciler.settings import AdminSettings
from reconciler.xds import Plane
from tests.push.lab import changes, split
from tests.xds import lab as xds

SECONDS = 10.0

cluster, endpoints, listener, address, made = xds.cluster, xds.endpoints, xds.listener, xds.address, xds.made


def route(name: str, **weights: int) -> Resource:
    """A route configuration that splits everything between clusters."""
    return protos.resource(ResourceType.ROUTE, protos.from_dict(ResourceType.ROUTE, split(name, "", **weights)))


def canary(port: int, v1: int, v2: int, weight: int) -> list[Resource]:
    """One listener that splits between two clusters."""
    return [
        *(cluster(name) for name in ("v1", "v2")),
        endpoints("v1", v1),
        endpoints("v2", v2),
        listener("in", port, "web"),
        route("web", v1=100 - weight, v2=weight),
    ]


def service(name: str, port: int, *backends: int) -> list[Resource]:
    """A whole service."""
    return [cluster(name), endpoints(name, *backends), listener(name, port, name), route(name, **{name: 100})]


@dataclass
class AdsLab:
    """One proxy on ADS, and how a pass sees it.

    Attributes:
        admin: None for one without an admin endpoint.
    """

    name: str
    plane: Plane
    admin: Admin | None
    process: EnvoyProcess | None = None
    client: Client = Client.ENVOY
    clock: SystemClock = field(default_factory=SystemClock)

    @property
    def key(self) -> Key:
        return Key("default", self.name)

    @property
    def proxy(self) -> Policy[Proxy]:
        spec = Proxy(admin=self.admin.address if self.admin else "", push=Push(ads=AdsPush(client=self.client)))
        return Policy("Proxy", self.key, spec, Origin("proxies.yaml", 0))

    def view(self, resources: Iterable[Resource]) -> View:
        return View.of(self.key, resources)

    def observe(self) -> Observation:
        if self.admin is None:
            return observe_by_word(self.key, self.plane, at=self.clock.now)
        return self.admin.observe(self.proxy, at=self.clock.now)

    def target(self, resources: Iterable[Resource], observation: Observation | None = None) -> Target:
        seen, view = observation or self.observe(), self.view(resources)
        return Target(proxy=self.proxy, view=view, observation=seen, changes=changes(seen, view))

    def serves(self) -> dict[str, Resource]:
        """What its admin endpoint shows, by `type name`."""
        return {str(id_): item for id_, item in self.observe().resources.items()}


def pushed(targets: Sequence[Target], labs: Sequence[AdsLab], *, seconds: float = SECONDS, commit: str = "") -> Pushed:
    """Push to several proxies as a pass does."""
    return push(
        targets,
        admins={lab.key: lab.admin for lab in labs if lab.admin is not None},
        clock=SystemClock(),
        deadline=timedelta(seconds=seconds),
        workers=16,
        progress=lambda _: None,
        plane=labs[0].plane,
        commit=commit,
    )


def apply(lab: AdsLab, resources: Iterable[Resource], *, seconds: float = SECONDS, commit: str = "") -> Outcome:
    """Push these resources to one proxy, from a fresh observation."""
    return pushed([lab.target(resources)], [lab], seconds=seconds, commit=commit).outcomes[lab.key]


@contextmanager
def running(
    folder: Path, served: xds.Serving, *, name: str = "one", variant: str = xds.DELTA, **more: Any
) -> Iterator[AdsLab]:
    """A real Envoy that is connected and serves nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    with envoy(folder, served, name=name, variant=variant, **more) as lab:
        served.plane.publish(lab.key, [])
        assert lab.process is not None
        with lab.process:
            yield lab


@contextmanager
def envoy(
    folder: Path, served: xds.Serving, *, name: str = "one", variant: str = xds.DELTA, **more: Any
) -> Iterator[AdsLab]:
    """A real Envoy that is not started."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "bootstrap.json"
    layers: Mapping[str, Any] = {"layered_runtime": {"layers": [{"name": "admin", "admin_layer": {}}]}}
    file.write_text(json.dumps(xds.bootstrap(folder, served.address, name=name, variant=variant, **{**layers, **more})))
    admin = f"unix://{folder / 'admin.sock'}"
    process = EnvoyProcess(bootstrap=file, admin=admin, log=folder / "log")
    with Admin(admin, AdminSettings()) as client:
        yield AdsLab(name, served.plane, client, process)
