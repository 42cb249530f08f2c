"""One Envoy's admin endpoint: the calls, and what a proxy is seen to run. Reads, and sets runtime values; nothing else.

A cheap reading is one request (0.5 ms), the content of a small proxy four more (4 ms). They are not one snapshot: the
versions are read first, so content is never older than they say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from types import MappingProxyType
from typing import Self, TypeVar

from reconciler.envoy import counters, dump, hosts, readings
from reconciler.envoy.counters import Counters
from reconciler.envoy.dump import Section
from reconciler.envoy.failures import (
    AdminError,
    RuntimeNotModifiableError,
    RuntimeValueError,
    garbage,
    no_answer,
    refused,
    words,
)
from reconciler.envoy.normalise import Expecting, Normaliser
from reconciler.envoy.runtime import (
    MODIFY,
    RUNTIME,
    LiveWeightedRoute,
    RuntimeValues,
    in_effect,
    overrides,
    weighted_routes,
)
from reconciler.http import HttpClient, HttpError, Reply
from reconciler.model.mesh import Policy
from reconciler.model.observation import Observation, Versions
from reconciler.model.proxy import Proxy, RuntimePush
from reconciler.model.resource import Resource, ResourceId, ResourceType
from reconciler.model.seen import HostSeen
from reconciler.settings import AdminSettings

V = TypeVar("V")

_OK, _FORBIDDEN, _NOT_ALLOWED, _UNAVAILABLE = 200, 403, 405, 503
_TRIES = 3
_NUMBER = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class _Started:
    """Which process answers, and on which connection.

    One connection belongs to one process, unless something stands between that keeps its own; then a fallen uptime shows
    a restart.
    """

    epoch: str
    connection: int
    uptime: int


class Admin:
    """The admin endpoint of one Envoy. Keeps its connection. Not for two threads at once.

    Args:
        address: `http://host:port`, `unix:///path/of.sock` or `https://host:port`, which is a listener that can only be read.
        settings: How patient the calls are, and certificates for `https`.
        normaliser: Shared by all proxies of a process; an own one by default.

    Raises:
        UsageError: The address has another form.
    """

    def __init__(self, address: str, settings: AdminSettings, *, normaliser: Normaliser | None = None) -> None:
        self.address = address
        self._client = HttpClient(address, settings)
        self._normaliser = normaliser or Normaliser()
        self._started: _Started | None = None

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def versions(self) -> Versions:
        """What the proxy says it runs, without the content.

        Raises:
            AdminError: There is no usable answer.
        """
        return self._read_versions()[0]

    def observe(
        self,
        proxy: Policy[Proxy],
        *,
        at: Callable[[], datetime],
        types: Collection[ResourceType] = tuple(ResourceType),
        expected: Mapping[ResourceId, Resource] = MappingProxyType({}),
    ) -> Observation:
        """What the proxy runs. Never raises for one that can't be read: `error` says why.

        Args:
            proxy: Whose endpoint this is. On one that is pushed to by runtime only the values it maps are read.
            at: The wall clock.
            types: What to read; the versions are always read.
            expected: Of a proxy on ADS: what it was just sent. What it shows in these very versions is not read any closer.
        """
        reader = Expecting(self._normaliser, expected) if expected and proxy.spec.push.ads is not None else None
        try:
            versions, draining = self._read_versions()
            sections = self._sections(proxy.spec.push.runtime, versions, types, reader, draining=draining)
        except AdminError as error:
            return Observation(proxy=proxy.key, at=at(), error=error.diagnostics[0])
        found = {item.id: item for section in sections for item in section.resources}
        return Observation(
            proxy=proxy.key,
            at=at(),
            resources=MappingProxyType({id_: found[id_] for id_ in sorted(found)}),
            foreign=frozenset().union(*(section.foreign for section in sections)),
            rejections=tuple(rejection for section in sections for rejection in section.rejections),
            versions=versions,
        )

    def warming_clusters(self) -> frozenset[str]:
        """Names of the clusters that it has taken and that don't serve yet.

        Raises:
            AdminError: There is no usable answer.
        """
        return self._parsed(dump.WARMING, dump.warming_clusters)

    def endpoints(self) -> Mapping[str, tuple[HostSeen, ...]]:
        """The hosts of every cluster, by the cluster's name: health, weight, locality and priority of each.

        One request, of 0.7 KB an answer for each host: not for every pass.

        Raises:
            AdminError: There is no usable answer.
        """
        return self._parsed(hosts.TARGET, hosts.hosts)

    def counters(self, clusters: Collection[str], *, times: bool = True) -> Counters:
        """What the proxy has counted of requests to clusters since it started; see `envoy.counters` for what is a request and an error.

        Args:
            clusters: Their names; those that it does not have are not in what is returned.
            times: Whether request times are read, too.

        Raises:
            AdminError: There is no usable answer, or it restarts again and again.
        """
        asked = counters.targets(clusters, times=times)
        before = ""
        for _ in range(_TRIES):
            answers = [self._parsed(asked[0], counters.Answer)]
            connection = self._client.connections
            answers += [self._parsed(target, counters.Answer) for target in asked[1:]]
            epoch = self._epoch(min(answer.uptime for answer in answers))
            if self._client.connections == connection or epoch == before:
                found = {name: item for answer in answers for name, item in answer.readings(clusters).items()}
                return Counters(epoch=epoch, clusters=MappingProxyType({name: found[name] for name in sorted(found)}))
            before = epoch  # another process may have told it than the one whose counts these are
        raise AdminError(
            f"GET {self.address}/stats: another process answers each time",
            code="admin-unreachable",
            hint="check why this Envoy restarts again and again",
        )

    def runtime_routes(self) -> tuple[LiveWeightedRoute, ...]:
        """Every weighted route in the live configuration, static or dynamic, inline or subscribed to.

        Raises:
            AdminError: There is no usable answer.
        """
        lists = (
            self._remembered("weighted", target, lambda body: weighted_routes(dump.route_configs(body)))
            for target in (dump.ROUTES, dump.INLINE_ROUTES)
        )
        return tuple(chain.from_iterable(lists))

    def set_runtime(self, values: Mapping[str, str]) -> None:
        """Set runtime values, all of them at one instant; an empty value deletes.

        Envoy takes anything with an OK, and falls back to the configured weight where it can't use a value, so only whole
        numbers are sent.

        Raises:
            RuntimeValueError: A value is not a whole number of at most ten digits; nothing was sent.
            RuntimeNotModifiableError: This Envoy has no admin layer, or the path is not allowed.
            AdminError: There is no usable answer; the values may or may not be set.
        """
        for key, value in values.items():
            if value and not _NUMBER.fullmatch(value):
                raise RuntimeValueError(
                    f"{value!r} is not a weight for the runtime key {key}", hint="write a whole number"
                )
        if not values:
            return
        what = f"POST {self.address}{MODIFY}"
        try:
            reply = self._client.post(MODIFY, values)
        except HttpError as error:
            raise no_answer(error) from error
        if reply.status != _OK or reply.text.strip() != "OK":
            raise _not_modified(what, reply)

    def _read_versions(self) -> tuple[Versions, bool]:
        for _ in range(_TRIES):
            stats = self._parsed(readings.STATS, readings.Stats)
            connection = self._client.connections
            epoch = self._epoch(stats.uptime)
            if self._client.connections == connection:
                break  # otherwise another process may have told its epoch than the one whose stats these are
        return stats.versions(epoch), stats.draining

    def _epoch(self, uptime: int) -> str:
        connection, known = self._client.connections, self._started
        if known is None or known.connection != connection or known.uptime > uptime:
            epoch = self._remembered("epoch", readings.EPOCH, dump.epoch)
            known = _Started(epoch, connection, uptime)
        self._started = replace(known, uptime=uptime)
        return known.epoch

    def _sections(
        self,
        runtime: RuntimePush | None,
        versions: Versions,
        types: Collection[ResourceType],
        reader: Expecting | None,
        *,
        draining: bool,
    ) -> list[Section]:
        if runtime is not None:
            return [Section(resources=self._in_effect(runtime))] if ResourceType.RUNTIME in types else []
        found: dict[ResourceType, Section] = {}
        for type_ in dump.needed(types, versions.versions, draining=draining):
            found[type_] = self._section(type_, reader)
        dump.keep_subscribed(found, versions.versions, draining=draining)
        if ResourceType.RUNTIME in types and versions.overrides:
            values = self._parsed(RUNTIME, RuntimeValues.read)
            layers = self._remembered("layers", dump.BOOTSTRAP, dump.runtime_layers)
            found[ResourceType.RUNTIME] = Section(resources=overrides(values, layers))
        return [section for type_, section in found.items() if type_ in types]

    def _section(self, type_: ResourceType, reader: Expecting | None) -> Section:
        target, read = dump.SECTIONS[type_]
        if reader is not None:
            return self._parsed(target, lambda body: read(body, reader))
        return self._remembered(type_, target, lambda body: read(body, self._normaliser))

    def _in_effect(self, push: RuntimePush) -> tuple[Resource, ...]:
        values = self._parsed(RUNTIME, RuntimeValues.read)
        return in_effect(push, values, self.runtime_routes())

    def _remembered(self, kind: str, target: str, read: Callable[[bytes], V]) -> V:
        """GET, and read the answer, or remember what was made of the same answer before for the same kind of question."""
        return self._parsed(target, lambda body: self._normaliser.answer(kind, body, read))

    def _parsed(self, target: str, read: Callable[[bytes], V]) -> V:
        what = f"GET {self.address}{target.partition('?')[0]}"
        try:
            reply = self._client.get(target)
        except HttpError as error:
            raise no_answer(error) from error
        missing = dump.absent(reply)
        if reply.status != _OK and not missing:
            raise refused(what, reply)
        try:
            return read(b"{}" if missing else reply.body)
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            # Anything may answer at an address; whatever its answer lacks, it is not what an Envoy says.
            raise garbage(f"{what}: the answer is not an Envoy's: {words(reply)}") from error


def _not_modified(what: str, reply: Reply) -> AdminError | RuntimeNotModifiableError:
    if reply.status == _NOT_ALLOWED:
        return RuntimeNotModifiableError(
            f"{what}: this endpoint is only to be read (405)",
            code="runtime-forbidden",
            hint="set runtime through the Envoy's own admin endpoint: a Unix socket, or a port of its host",
        )
    if reply.status == _FORBIDDEN:
        return RuntimeNotModifiableError(
            f"{what}: this path is not allowed (403)",
            code="runtime-forbidden",
            hint=f"add {MODIFY} to admin.allow_paths in its bootstrap",
        )
    if reply.status == _UNAVAILABLE and "admin layer" in reply.text.lower():
        return RuntimeNotModifiableError(
            f"{what}: {words(reply)}", hint="add a layer with `admin_layer: {}` to layered_runtime in its bootstrap"
        )
    return refused(what, reply)
