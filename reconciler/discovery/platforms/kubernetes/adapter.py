"""The registry `kubernetes`: Services and EndpointSlices of a cluster, with the labels of their Pods and the places of their Nodes.

Each resource is followed on a thread (`reflector`); here what they tell is put together (`cluster`) and becomes events. The first
Snapshot waits until all of them have been listed. Any of them failing for good ends them all, and the next `watch` begins anew.
"""

from __future__ import annotations

import importlib.util
import queue
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Self

from reconciler.discovery.contract import Adapter, Alive, Event, Problem, Stopping, Surroundings
from reconciler.discovery.platforms.kubernetes import records
from reconciler.discovery.platforms.kubernetes.access import Access
from reconciler.discovery.platforms.kubernetes.api import Api, Patience
from reconciler.discovery.platforms.kubernetes.calls import Calls
from reconciler.discovery.platforms.kubernetes.cluster import Cluster, Resource
from reconciler.discovery.platforms.kubernetes.reflector import Changed, Heard, Listed, News, Reflector, Scope
from reconciler.errors import Diagnostic, InputError, Severity
from reconciler.model.discovery import Kubernetes

_ROOM = 1000
"""News that wait to be put together: readers of the network wait for whoever is slower."""
_JOIN = 1.0
"""Seconds for threads whose sockets are shut: only a connection that is being made can keep one longer."""
_AGAIN = 0.1
"""Seconds between two looks at whether a reader is still wanted."""
_NAMED = 3


class ExtraError(InputError):
    """A registry, or an import, needs a Python package that is not installed."""

    default_code = "discovery-extra"


def build(spec: Kubernetes, around: Surroundings) -> Adapter:
    """The adapter for these settings.

    Raises:
        ExtraError: The official client is not installed.
    """
    return KubernetesAdapter(spec, around)


def require_client() -> None:
    """See that the official client is there.

    Raises:
        ExtraError: It is not.
    """
    if importlib.util.find_spec("kubernetes") is None:
        raise ExtraError("the package kubernetes is not installed", hint="pip install 'envoy-reconciler[kubernetes]'")


class KubernetesAdapter:
    """See the module.

    Args:
        spec: Which cluster, and what of it.
        around: Whom it works for.
        patience: How long it waits for the server.
    """

    def __init__(self, spec: Kubernetes, around: Surroundings, *, patience: Patience | None = None) -> None:
        require_client()
        self._spec = spec
        self._around = around
        self._patience = patience or Patience()

    def watch(self, stopping: Stopping) -> Iterator[Event]:
        """What the cluster has, and then what changes.

        Raises:
            AdapterError: It can't be read.
        """
        with ExitStack() as stack:
            following = stack.enter_context(_Following(self._spec, self._around, self._patience))
            stack.enter_context(stopping.closing(following.end))
            yield from following.events()


class _Following:
    """One `watch`: its threads, and what they have told."""

    def __init__(self, spec: Kubernetes, around: Surroundings, patience: Patience) -> None:
        access = Access(kubeconfig=spec.kubeconfig, context=spec.context, clock=around.clock)
        self._calls = Calls()
        self._api = Api(access, calls=self._calls, patience=patience)
        self._ending = Stopping()
        self._news: queue.Queue[News | Exception | None] = queue.Queue(_ROOM)
        self._cluster = Cluster(spec.domain or around.domain)
        self._scopes = _scopes(spec)
        self._waiting = set(self._scopes)
        self._sliced = threading.Event()
        self._wrong: dict[tuple[Resource, records.Name], str] = {}
        self._refused: dict[Resource, str] = {}
        self._registry = around.registry
        self._threads = [
            threading.Thread(
                target=self._follow, args=(scope, around), name=f"discovery {around.registry}", daemon=True
            )
            for scope in self._scopes
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        for thread in self._threads:
            thread.join(_JOIN)
        self._api.close()

    def end(self) -> None:
        """Have all threads end, and `events` with them. Safe from any thread."""
        self._ending.set()
        self._calls.close()
        self._sliced.set()
        with suppress(queue.Full):  # then `events` does not wait
            self._news.put_nowait(None)

    def events(self) -> Iterator[Event]:
        """What the threads tell, put together: all news that are there become events at once."""
        begun, said = False, None
        while True:
            heard = self._take()
            if self._ending.is_set():
                return
            if self._waiting:
                continue
            if begun:
                changes = list(self._cluster.events())
                yield from changes
                if heard and not changes:
                    yield Alive()
            else:
                begun = True
                yield self._cluster.snapshot()
            problem = self._problem()
            if problem != said:
                said = problem
                yield Problem(problem)

    def _take(self) -> bool:
        """Put news into the cluster: wait for some, and take all that are there; whether the server has said that nothing changed."""
        heard = self._put(self._news.get())
        for _ in range(_ROOM):
            try:
                heard |= self._put(self._news.get_nowait())
            except queue.Empty:
                break
        return heard

    def _put(self, news: News | Exception | None) -> bool:
        match news:
            case Exception():
                if not self._ending.is_set():  # otherwise it is about a socket that was shut on purpose
                    raise news
            case Listed(scope=scope):
                self._waiting.discard(scope)
                if not any(other.resource is Resource.SLICES for other in self._waiting):
                    self._sliced.set()
                self._cluster.replace(scope.resource, scope.namespace, news.objects)
                self._wrong = {key: why for key, why in self._wrong.items() if not _within(scope, key)}
                self._wrong |= {(scope.resource, name): why for name, why in news.wrong.items()}
                self._refused.pop(scope.resource, None)
                if news.refused:
                    self._refused[scope.resource] = news.refused
                return True
            case Changed(scope=scope, name=name):
                self._cluster.put(scope.resource, name, news.record)
                self._wrong.pop((scope.resource, name), None)
                if news.wrong:
                    self._wrong[scope.resource, name] = news.wrong
            case Heard():
                return True
            case None:
                pass
        return False

    def _follow(self, scope: Scope, around: Surroundings) -> None:
        """One thread.

        Pods and nodes are listed after the slices that name them: so none of these is unknown in the first Snapshot only because
        it came between two lists.
        """
        try:
            if scope.resource in {Resource.PODS, Resource.NODES}:
                self._sliced.wait()
            Reflector(self._api, scope, tell=self._tell, stopping=self._ending, clock=around.clock).run()
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is raised again where `watch` is driven
            self._tell(error)

    def _tell(self, news: News | Exception) -> None:
        while not self._ending.is_set():
            with suppress(queue.Full):
                self._news.put(news, timeout=_AGAIN)
                return

    def _problem(self) -> Diagnostic | None:
        """What can't be used: objects that make no sense, else what is forbidden and could be done without."""
        if self._wrong:
            named = [f"{resource} {'/'.join(name)}: {why}" for (resource, name), why in sorted(self._wrong.items())]
            more = f"; and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
            return Diagnostic(
                code="discovery-entries",
                severity=Severity.WARNING,
                message=f"registry {self._registry} lists what can't be used, and is left out: {'; '.join(named[:_NAMED])}{more}",
                hint="mend these objects in the cluster; everything else is used",
            )
        for why in self._refused.values():
            return Diagnostic(
                code="discovery-denied",
                severity=Severity.WARNING,
                message=f"registry {self._registry} does not show where instances are: {why}",
                hint="grant list and watch of nodes, for localities; everything else is used",
            )
        return None


def _within(scope: Scope, key: tuple[Resource, records.Name]) -> bool:
    resource, (namespace, _) = key
    return resource is scope.resource and scope.namespace in {"", namespace}


def _scopes(spec: Kubernetes) -> tuple[Scope, ...]:
    """What is followed, and where."""
    selector = ",".join(f"{name}={value}" for name, value in sorted(spec.selector.items()))
    nodes = Scope(resource=Resource.NODES, namespace="", read=records.node, optional=True, metadata=True)
    found = [nodes]
    for namespace in dict.fromkeys(spec.namespaces) or ("",):
        found += [
            Scope(resource=Resource.SERVICES, namespace=namespace, read=records.service, selector=selector),
            Scope(
                resource=Resource.SLICES,
                namespace=namespace,
                read=records.endpoint_slice,
                selector=records.SERVICE_LABEL,  # those of no Service are no concern of ours
            ),
            Scope(resource=Resource.PODS, namespace=namespace, read=records.pod),
        ]
    return tuple(found)
