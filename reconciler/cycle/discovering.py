"""The stage discover, of services: what registries list, for passes to compile and for the endpoints-only path to bring to proxies.

Passes and the courier run on threads of their own and meet here. A pass compiles the services as they are when it begins; what
changes of their instances from then on is in `newest`, which everything that is sent to a proxy goes through.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from reconciler.cycle.desired import Compiler, Desired
from reconciler.cycle.doubts import doubts
from reconciler.cycle.report import Stage, Stopwatch
from reconciler.discovery import Accounts, Merged, Merger, Newest, Registries
from reconciler.errors import BugError, Diagnostic
from reconciler.model.discovered import NOTHING, Catalogue, Standing
from reconciler.model.discovery import Registry
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.proxy import Proxy
from reconciler.model.resource import Resource
from reconciler.model.services import Service
from reconciler.model.tree import Tree
from reconciler.push import Channel, Delivered
from reconciler.xds import Fresh

PATIENCE = 10.0
"""Seconds that a pass waits for registries that it has not heard of before."""

_MOMENT = 0.9
"""Seconds for which what was sent counts as under way: less than the courier takes until it looks."""

_CONFIRMING = 1.0
"""Seconds for which it is waited until proxies have what they were sent; then a pass looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """The services that there are at one instant.

    Attributes:
        desired: The commit that they are services of.
        services: Those that it declares, and what registries list now.
        catalogue: What that is made of.
    """

    desired: Desired
    services: tuple[Service, ...]
    catalogue: Catalogue


class Discovery:
    """What registries list. One for each process; safe for several threads.

    Args:
        registries: Told which ones there are, and asked for what they list. None of them is ever asked without it.
        newest: The newest endpoints; what is sent is made from them.
        channel: Brings endpoints to proxies between passes; only a daemon has one.
        accounts: The compiler's, which has to trust whoever is seen here: an account that comes and goes between two passes is in
            clusters all the same, and so its next instance waits for no pass.
        patience: Seconds to wait for registries that are new.
    """

    def __init__(
        self,
        registries: Registries | None = None,
        newest: Newest | None = None,
        *,
        channel: Channel | None = None,
        accounts: Accounts | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._registries = registries
        self._newest = newest or Newest()
        self._channel = channel
        self._patience = patience
        self._merger = Merger(accounts)
        self._lock = threading.Lock()
        self._head: tuple[Registry, ...] = ()
        self._domain = ""
        self._asked: tuple[Registry, ...] = ()
        self._catalogue = NOTHING
        self._lasting: tuple[Service, ...] | None = None
        self._adopted: Desired | None = None
        self._tried: tuple[Desired, Newest] | None = None
        self._refused = False
        self._sent: dict[str, float] = {}
        self._looking = math.inf  # since when proxies are being asked, for the plan that is made next

    def begin(self, compiler: Compiler, tree: Tree, watch: Stopwatch, *, head: bool = True) -> None:
        """Have a tree compiled with what registries list now; those that it is the first to name are waited for.

        Args:
            compiler: Told of it.
            tree: A tree whose policies can't be used names no registry.
            watch: For the time it takes.
            head: Whether it is the head of the branch. Until that is in force, the registries of the commit that is are asked beside
                the head's; of two with one name the head's.
        """
        mesh = compiler.mesh(tree) if self._registries is not None else None
        if mesh is None or self._registries is None:
            return
        others = mesh.settings.discovery
        if head:
            self._head, self._domain = others, mesh.settings.domain
            others = self._adopted.mesh.settings.discovery if self._adopted is not None else ()
        named = {item.name for item in self._head}
        wanted = (*self._head, *(item for item in others if item.name not in named))
        self._registries.configure(wanted, domain=mesh.settings.domain)
        if wanted != self._asked:
            self._asked = wanted
            with watch.stage(Stage.DISCOVER, ", ".join(item.name for item in wanted)):
                self._registries.settled(self._patience)
        self.recall(compiler)

    def recall(self, compiler: Compiler) -> None:
        """Have trees compiled with what is listed now by the registries that are asked already, whichever the trees name."""
        if self._registries is not None:
            self._catalogue = self._registries.catalogue
            compiler.discover(self._catalogue)

    def in_force(self) -> None:
        """The head is not refused: registries that only an older commit names are not asked any more, and forgotten."""
        self._refused = False
        if self._registries is None:
            return
        if self._asked != self._head:
            self._asked = self._head
            self._registries.configure(self._head, domain=self._domain)
        self._registries.forget_others()

    def refused(self) -> None:
        """Guards refuse the head: another instance may be what it waits for."""
        self._refused = True

    def trial(self, compiler: Compiler, desired: Desired) -> Fresh:
        """What load assignments are if a commit were in force: to plan it, as it may be refused."""
        with self._lock:
            if self._registries is None or self._is_adopted(desired):
                return self.fresh
        if self._tried is None or self._tried[0] is not desired:
            self._tried = desired, Newest()
        newest = self._tried[1]
        newest.update(compiler.endpoints(desired))
        return newest.fresh

    def follows(self, desired: Desired) -> bool:
        """Whether instances are those of this commit's services already, or of none yet: then what they are is no matter of Git's."""
        with self._lock:
            return self._adopted is None or self._is_adopted(desired)

    def _is_adopted(self, desired: Desired) -> bool:
        return self._adopted is not None and bool(desired.commit) and self._adopted.commit == desired.commit

    def adopt(self, desired: Desired) -> None:
        """From now on instances are instances of the services of this commit."""
        with self._lock:
            self._adopted, self._tried = desired, None
            self._lasting = self._merged(self._catalogue).lasting
        hosts, _ = self._follow()
        if hosts and self._channel is not None:
            self._send(self._channel, hosts)

    def asks(self) -> None:
        """Proxies are asked what they have from now on: what is sent meanwhile they may show, or not yet."""
        with self._lock:
            self._looking = time.monotonic()

    def under_way(self, host: str) -> bool:
        """Whether endpoints of a host were sent a moment before proxies were asked, or since: what they show may be from before or after."""
        return min(time.monotonic(), self._looking) - self._sent.get(host, -math.inf) < _MOMENT

    def _send(self, channel: Channel, hosts: Collection[str]) -> Delivered:
        self._note(hosts)
        try:
            return channel.deliver(hosts)
        finally:
            self._note(hosts)

    def _note(self, hosts: Collection[str]) -> None:
        now = time.monotonic()
        with self._lock:
            recent = {host: at for host, at in self._sent.items() if min(now, self._looking) - at < _MOMENT}
            self._sent = {**recent, **dict.fromkeys(hosts, now)}

    def serves(self, desired: Desired, proxies: Iterable[Key]) -> None:
        """These proxies have what this commit asks of them: their endpoints change from now on."""
        if self._channel is not None:
            self._channel.adopt(desired.mesh.proxies, {key: desired.views[key] for key in proxies})

    def follow(self, proxy: Policy[Proxy], items: Sequence[Resource]) -> None:
        """A push has written load assignments of a proxy, which change from now on."""
        if self._channel is not None:
            self._channel.follow(proxy, items)

    def fresh(self, resource: Resource) -> Resource:
        """A resource with the newest endpoints, if it is one that registries have a part in."""
        return self._newest.fresh(resource)

    def standings(self, mesh: Mesh) -> tuple[Standing, ...]:
        """How well this pass knows a mesh's registries."""
        names = {item.name for item in mesh.settings.discovery}
        return tuple(item for item in self._catalogue.standings if item.registry in names)

    def warnings(self, mesh: Mesh) -> Iterator[Diagnostic]:
        """What to know of a mesh's registries before relying on what they list."""
        return doubts(self.standings(mesh))

    def deliver(self) -> bool:
        """Bring what has changed of instances to the proxies, waiting for none; whether it takes a pass to bring all of it.

        Raises:
            BugError: Endpoints of a service can't be made; those of all others were brought.
        """
        hosts, reshaped = self._follow()
        reshaped = reshaped or self._refused
        if not hosts or self._channel is None:
            return reshaped
        failures = self._send(self._channel, hosts).failures
        for host, error in self._newest.faults(hosts).items():
            raise BugError(f"endpoints of {host} stay as they were: {error!r}") from error
        return bool(failures) or reshaped

    def confirm(self) -> bool:
        """Look whether proxies have what they were sent; whether one of them does not take it."""
        return self._channel is not None and bool(self._channel.confirm(_CONFIRMING).late)

    @property
    def present(self) -> Catalogue:
        """What registries list at this instant."""
        return self._registries.catalogue if self._registries is not None else NOTHING

    @property
    def inventory(self) -> Inventory | None:
        """The services at this instant, of the commit that was adopted last; None before one was. For any thread."""
        with self._lock:
            if self._adopted is None:
                return None
            catalogue = self.present
            return Inventory(desired=self._adopted, services=self._merged(catalogue).services, catalogue=catalogue)

    def _follow(self) -> tuple[Collection[str], bool]:
        """The hosts whose endpoints have changed since the last time; and whether more has changed since the last pass."""
        with self._lock:
            if self._registries is None:
                return frozenset(), False
            if self._adopted is None:  # whatever has changed since the first pass began, the next one has to see
                return frozenset(), True
            merged = self._merged(self._registries.catalogue)
            silent = self._registries.catalogue.silent != self._catalogue.silent
            return self._newest.update(merged.endpoints), silent or merged.lasting is not self._lasting

    def _merged(self, catalogue: Catalogue) -> Merged:
        if self._adopted is None:
            return self._merger.merged((), Mesh(), catalogue)
        return self._merger.merged(self._adopted.declared_services, self._adopted.mesh, catalogue)
