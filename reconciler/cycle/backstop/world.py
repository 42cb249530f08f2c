"""One mesh and one set of templates, compiled into what Envoy can be asked about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reconciler.compile import AdminAddressError, AdsLink, Prototypes, Start, bootstrap, compile_mesh
from reconciler.compile.offline import offline, offline_bootstrap
from reconciler.compile.pieces import Batch, batches
from reconciler.errors import PolicyError
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.origin import Finding
from reconciler.model.proxy import Proxy
from reconciler.model.services import declared

_HERE = "127.0.0.1"
_DAEMON = AdsLink(host=_HERE, port=15010)
"""Stands for a daemon's address, which no document says; nobody connects to it."""


class World:
    """A mesh compiled with some templates; only proxies that take their whole configuration from us.

    Attributes:
        bootstrap: What its proxies are started with, themselves left out; of those that use most templates. None if there is no proxy.
        batches: Their configurations.
        findings: Proxies whose bootstrap can't be made.

    Raises:
        reconciler.compile.TemplateError: A template can't be read.
    """

    def __init__(self, mesh: Mesh, templates: Mapping[str, str]) -> None:
        proxies = tuple(proxy for proxy in mesh.proxies if proxy.spec.push.whole)
        prototypes = Prototypes.parse(templates)
        views = compile_mesh(replace(mesh, proxies=proxies), declared(mesh), prototypes).views
        self.bootstrap: Any = None
        largest = -1
        self.findings: list[Finding] = []
        admins: dict[Key, Any] = {}
        for proxy in proxies:
            message = self._started_with(proxy, prototypes, mesh)
            if message is not None:
                admins[proxy.key] = message.admin.address
                parts_of_ours = len(message.static_resources.clusters) + len(message.static_resources.listeners)
                if parts_of_ours > largest:
                    largest, self.bootstrap = parts_of_ours, offline_bootstrap(message)
        parts = {key: offline(views[key]) for key in (proxy.key for proxy in proxies)}
        self.batches: tuple[Batch, ...] = batches(parts, admins) if self.bootstrap is not None else ()

    def _started_with(self, proxy: Policy[Proxy], prototypes: Prototypes, mesh: Mesh) -> Any:
        ads = _DAEMON if proxy.spec.push.ads is not None else None
        try:
            start = Start(
                ads=ads,
                certificates=mesh.settings.certificates,
                admin_bind=_HERE,
                metrics=mesh.settings.telemetry.metrics,
            )
            return bootstrap(proxy, prototypes, start)
        except AdminAddressError as error:
            self.findings.append(
                Finding(
                    code=error.code,
                    message=error.message,
                    hint=error.diagnostics[0].hint,
                    origin=proxy.origin,
                    path=("spec", "admin"),
                )
            )
            return None


def one_proxy(mesh: Mesh, templates: Mapping[str, str], proxy: Key) -> World | None:
    """The world of a single proxy, or None if these templates can't be used."""
    chosen = tuple(item for item in mesh.proxies if item.key == proxy)
    try:
        return World(replace(mesh, proxies=chosen), templates)
    except PolicyError:
        return None
