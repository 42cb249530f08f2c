"""One mesh and one set of templates, compiled into what Envoy can be asked about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reconciler.compile import AdminAddressError, Prototypes, bootstrap, compile_mesh
from reconciler.compile.offline import offline, offline_bootstrap
from reconciler.compile.pieces import Batch, batches
from reconciler.errors import PolicyError
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.origin import Finding
from reconciler.model.proxy import Proxy
from reconciler.model.services import declared


class World:
    """A mesh compiled with some templates; only proxies that take their whole configuration from us.

    Attributes:
        bootstrap: What all of its proxies are started with, themselves left out; None if there is no proxy.
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
        self.findings: list[Finding] = []
        admins: dict[Key, Any] = {}
        for proxy in proxies:
            message = self._started_with(proxy, prototypes)
            if message is not None:
                admins[proxy.key] = message.admin.address
                self.bootstrap = self.bootstrap or offline_bootstrap(message)
        parts = {key: offline(views[key]) for key in (proxy.key for proxy in proxies)}
        self.batches: tuple[Batch, ...] = batches(parts, admins) if self.bootstrap is not None else ()

    def _started_with(self, proxy: Policy[Proxy], prototypes: Prototypes) -> Any:
        try:
            return bootstrap(proxy, prototypes)
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
