"""The fleet as it is seen: admin endpoints, the streams of proxies that have none, and what each was last proven to run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from reconciler.clock import Clock
from reconciler.envoy import Admin, AdminError, Counters, Normaliser, matches
from reconciler.errors import Diagnostic
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.observation import Observation, Proof, Versions
from reconciler.model.proxy import Proxy
from reconciler.model.receipt import Outcome, OutcomeKind
from reconciler.model.resource import View
from reconciler.push import observe_by_word
from reconciler.settings import AdminSettings
from reconciler.xds import Plane


class Fleet:
    """Reads proxies in parallel. One pass uses it at a time.

    Args:
        settings: How admin endpoints are called.
        clock: For the times of observations.
        plane: Where proxies on ADS are served; None where this process serves none.
    """

    def __init__(self, settings: AdminSettings, clock: Clock, *, plane: Plane | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self._plane = plane
        self._normaliser = Normaliser()
        self._admins: dict[Key, Admin] = {}
        self._proven: dict[Key, tuple[View, Versions]] = {}
        self._pool = ThreadPoolExecutor(settings.workers, thread_name_prefix="observe")

    def observe(self, proxies: Iterable[Policy[Proxy]], *, exact: bool, known: bool = False) -> dict[Key, Observation]:
        """Ask every proxy what it runs, by key. A proxy that can't be read says so in its observation.

        Args:
            proxies: Whom to ask; connections to others are closed.
            exact: Read the content. Otherwise a proxy whose cheap reading still shows what was proven before is taken at
                its word, and only the others' content is read.
            known: Ask only those that were asked before at the same address, and leave all connections as they are: what is not merged yet
                must not say whom we call.
        """
        members = list(proxies)
        if not known:
            self._connect(members)
        return {seen.proxy: seen for seen in self._pool.map(lambda proxy: self._observe(proxy, exact=exact), members)}

    def counters(
        self, proxies: Iterable[Policy[Proxy]], clusters: Mapping[Key, Collection[str]]
    ) -> dict[Key, Counters | AdminError]:
        """What each of these has counted for the clusters it is asked for, or why that can't be read.

        A proxy without an admin endpoint counts for nobody, and is not in the answer. Connections are those that the next
        `observe` uses too.
        """
        asked = [proxy for proxy in proxies if proxy.spec.admin]
        for proxy in asked:
            known = self._admins.get(proxy.key)
            if known is None or known.address != proxy.spec.admin:
                if known is not None:
                    known.close()
                    self._proven.pop(proxy.key, None)
                self._admins[proxy.key] = Admin(proxy.spec.admin, self._settings, normaliser=self._normaliser)
        return dict(self._pool.map(lambda proxy: (proxy.key, self._counted(proxy.key, clusters[proxy.key])), asked))

    def _counted(self, key: Key, clusters: Collection[str]) -> Counters | AdminError:
        try:
            return self._admins[key].counters(clusters)
        except AdminError as error:
            return error

    def admins(self) -> Mapping[Key, Admin]:
        """The connections of the proxies asked last, as far as they have admin endpoints."""
        return dict(self._admins)

    def remember(
        self, views: Mapping[Key, View], outcomes: Mapping[Key, Outcome], seen: Mapping[Key, Observation]
    ) -> None:
        """Take note of what a pass has proven, and with which reading, so that the next one may read less.

        Drift that was left in place is exactly what was to be left, and not the view: it has to be read again.
        """
        for key, outcome in outcomes.items():
            versions = seen[key].versions if key in seen else None
            whole = outcome.kind is OutcomeKind.APPLIED and outcome.proof >= Proof.EXACT
            if whole and key in views and versions is not None:
                self._proven[key] = views[key], versions
            else:
                self._proven.pop(key, None)

    def close(self) -> None:
        """Close all connections."""
        self._pool.shutdown()
        for admin in self._admins.values():
            admin.close()
        self._admins.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self, proxies: list[Policy[Proxy]]) -> None:
        wanted = {proxy.key: proxy.spec.admin for proxy in proxies if proxy.spec.admin}
        for key in [key for key, admin in self._admins.items() if wanted.get(key) != admin.address]:
            self._admins.pop(key).close()
            self._proven.pop(key, None)
        for key, address in wanted.items():
            if key not in self._admins:
                self._admins[key] = Admin(address, self._settings, normaliser=self._normaliser)

    def _observe(self, proxy: Policy[Proxy], *, exact: bool) -> Observation:
        if not proxy.spec.admin:
            return observe_by_word(proxy.key, self._plane, at=self._clock.now)
        admin, proven = self._admins.get(proxy.key), self._proven.get(proxy.key)
        if admin is None or admin.address != proxy.spec.admin:
            return Observation(proxy=proxy.key, at=self._clock.now(), error=_unmerged(proxy))
        if proven is not None and not exact:
            try:
                versions = admin.versions()
            except AdminError as error:
                return Observation(proxy=proxy.key, at=self._clock.now(), error=error.diagnostics[0])
            view, since = proven
            if matches(versions, view, since=since):
                return Observation(proxy=proxy.key, at=self._clock.now(), resources=view.resources, versions=versions)
        return admin.observe(proxy, at=self._clock.now)


def _unmerged(proxy: Policy[Proxy]) -> Diagnostic:
    return AdminError(
        f"{proxy.spec.admin} is no address of {proxy.key} on the branch yet, so nobody asks there",
        code="admin-unmerged",
        hint="merged, it is asked by the next pass",
    ).diagnostics[0]
