"""The watch of etcd: list at one revision, then follow from the next; from another member when one fails."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, Self

from reconciler.discovery.contract import AdapterError, Alive, Event, Problem, Snapshot, Stopping, Surroundings
from reconciler.discovery.platforms.etcd.gateway import AnewError, Gateway, Listing, decoded
from reconciler.discovery.platforms.etcd.holdings import Holdings
from reconciler.discovery.platforms.failures import DeniedError
from reconciler.errors import Diagnostic, Severity
from reconciler.http import HttpClient
from reconciler.model.discovery import Etcd
from reconciler.settings import AdminSettings

_BEAT = 10.0
_SILENCE = 660.0
"""etcd says how far it is every ten minutes (`--watch-progress-notify-interval`) to who asked for it."""
_PATIENCE = AdminSettings(connect_timeout=2.0, read_timeout=6.0)
_SHOWN = 5
_TRIES = 3


class EtcdAdapter:
    """See the package.

    Args:
        spec: Where etcd is, and how its keys are read.
        around: Its name, for messages; the mesh's domain.
        beat: Seconds between two questions whether the member still hears the others; so often `Alive` is said.
        patience: Seconds that an answer may take.
    """

    def __init__(
        self, spec: Etcd, around: Surroundings, *, beat: float = _BEAT, patience: AdminSettings = _PATIENCE
    ) -> None:
        self._spec = spec
        self._around = around
        self._beat = beat
        self._settings = AdminSettings(
            connect_timeout=patience.connect_timeout,
            read_timeout=patience.read_timeout,
            ca=spec.ca,
            certificate=spec.certificate,
            key=spec.key,
        )

    def watch(self, stopping: Stopping) -> Iterator[Event]:
        """See Adapter."""
        try:
            yield from self._members(stopping)
        except Exception:
            if not stopping.is_set():
                raise

    def _members(self, stopping: Stopping) -> Iterator[Event]:
        """One member after the other; only when each has failed since one of them could be watched, there is an error."""
        failed = 0
        turn = 0
        while not stopping.is_set():
            address = self._spec.addresses[turn % len(self._spec.addresses)]
            try:
                for event in self._member(address, stopping):
                    failed = failed if isinstance(event, Snapshot | Problem) else 0  # a list alone is not yet a watch
                    yield event
            except (DeniedError, AnewError):
                raise
            except AdapterError:
                failed += 1
                if failed >= len(self._spec.addresses) or stopping.is_set():
                    raise
                turn += 1

    def _member(self, address: str, stopping: Stopping) -> Iterator[Event]:
        """What one member says, until it fails."""
        with self._client(address, stopping) as client:
            gateway = Gateway(client, self._spec, registry=self._around.registry)
            gateway.authenticate()
            tries = 0
            while not stopping.is_set():
                try:
                    with self._client(address, stopping) as other:
                        for event in self._follow(gateway, other, stopping):
                            tries = tries if isinstance(event, Snapshot | Problem) else 0
                            yield event
                except AnewError:
                    tries += 1
                    if tries >= _TRIES:
                        raise

    @contextmanager
    def _client(self, address: str, stopping: Stopping) -> Iterator[HttpClient]:
        with closing(HttpClient(address, self._settings)) as client, stopping.closing(client.abort):
            yield client

    def _follow(self, gateway: Gateway, client: HttpClient, stopping: Stopping) -> Iterator[Event]:
        """A list, and what happens after it. Returns when that has to be listed anew."""
        listing = gateway.listing()
        known = Holdings(self._spec, domain=self._around.domain)
        hosts = frozenset[str]().union(*(known.put(key, value) for key, value in listing.pairs))
        list(known.told(hosts))
        yield Snapshot(known.services)
        problem = yield from _problem(None, known, self._around.registry)
        with _Reader(gateway.beside(client), listing.revision + 1) as reader, stopping.closing(reader.wake):
            while True:
                results = reader.take(self._beat)
                if stopping.is_set():
                    return
                yield from _applied(results, known, gateway)
                problem = yield from _problem(problem, known, self._around.registry)
                if results:
                    continue
                if not self._same(gateway, listing):
                    return
                yield Alive()

    @staticmethod
    def _same(gateway: Gateway, listing: Listing) -> bool:
        """Whether it is the cluster that was listed; one that was restored counts from below."""
        revision, cluster = gateway.beat()
        return cluster == listing.cluster and revision >= listing.revision


class _Reader:
    """Reads a watch on a thread of its own, so that its member can be asked meanwhile whether it hears the others."""

    def __init__(self, gateway: Gateway, revision: int) -> None:
        self._gateway = gateway
        self._revision = revision
        self._results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read, name="etcd watch", daemon=True)

    def take(self, seconds: float) -> list[Any]:
        """All that has come, results and perhaps an error at the end; waits for something, for so long."""
        with suppress(queue.Empty):
            results = [self._results.get(timeout=seconds)]
            with suppress(queue.Empty):
                while True:
                    results.append(self._results.get_nowait())
            return results
        return []

    def wake(self) -> None:
        """Whoever waits in `take` goes on."""
        self._results.put({})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._gateway.abort()
        self._thread.join()

    def _read(self) -> None:
        try:
            with self._gateway.watch(self._revision, silence=_SILENCE) as results:
                for result in results:
                    self._results.put(result)
            self._results.put(self._gateway.nonsense("the watch ended"))
        except Exception as error:  # noqa: BLE001 -- whoever drives the adapter is told, whatever it was
            self._results.put(error)


def _applied(results: list[Any], known: Holdings, gateway: Gateway) -> Iterator[Event]:
    """What results of a watch change. An error among them is raised after what came before it."""
    hosts: set[str] = set()
    ended = next((result for result in results if isinstance(result, Exception)), None)
    for result in results:
        if isinstance(result, Exception):
            break
        try:
            for each in result.get("events", ()):
                key = decoded(each["kv"]["key"])
                hosts |= (
                    known.drop(key)
                    if each.get("type") == "DELETE"
                    else known.put(key, decoded(each["kv"].get("value")))
                )
        except (ValueError, TypeError, KeyError, AttributeError):
            raise gateway.nonsense("the answer is not etcd's") from None
    yield from known.told(hosts)
    if ended is not None:
        raise ended


def _problem(before: Diagnostic | None, known: Holdings, registry: str) -> Generator[Problem, None, Diagnostic | None]:
    """What is left out, if that is something else than before."""
    texts = known.problems
    more = f"; and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    diagnostic = Diagnostic(
        code="discovery-entries",
        message=f"{registry}: {'; '.join(texts[:_SHOWN])}{more}",
        severity=Severity.WARNING,
        hint="mend what is written into etcd; it is left out",
    )
    now = diagnostic if texts else None
    if now != before:
        yield Problem(now)
    return now
