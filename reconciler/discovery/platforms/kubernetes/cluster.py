"""The state of a cluster, as far as it matters, and what services follow from it. Pure.

Fed with records as lists and watches bring them; `events` then says which services are others than at the last call. What an
EndpointSlice gives is kept until the slice, one of its pods or one of its nodes changes, so that one of ten thousand endpoints
costs a hundred.

What of Kubernetes has no meaning here, and is left out: hints and traffic distribution (localities and DestinationRules say where
requests go), session affinity, external IPs, UDP and SCTP, and the annotation `networking.istio.io/exportTo`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import cast

from reconciler.discovery.contract import Event, Gone, Put, Snapshot
from reconciler.discovery.platforms.kubernetes.records import Backend, Name, Node, Pod, Record, Service, Slice
from reconciler.model.discovered import Found, Instance
from reconciler.model.serviceentry import Resolution
from reconciler.model.services import Health

_FAMILIES = ("IPv4", "IPv6")
_BETTER = (Health.HEALTHY, Health.DRAINING, Health.UNHEALTHY)
_NO_POD = Pod(labels=MappingProxyType({}))
_NOWHERE = Node("")

_Place = tuple[str, tuple[tuple[str, int], ...]]
"""Where an instance listens: its address, and its ports by name."""


class Resource(StrEnum):
    """What is read, by its name in the API."""

    SERVICES = "services"
    SLICES = "endpointslices"
    PODS = "pods"
    NODES = "nodes"


class Cluster:
    """Services of one cluster. For one thread.

    Args:
        domain: The cluster's.
    """

    def __init__(self, domain: str) -> None:
        self._domain = domain
        self._records: dict[Resource, dict[Name, Record]] = {resource: {} for resource in Resource}
        self._slices: dict[Name, set[Name]] = {}
        self._users: dict[tuple[Resource, Name], set[Name]] = {}
        self._instances: dict[Name, tuple[Instance, ...]] = {}
        self._found: dict[Name, Found] = {}
        self._dirty: set[Name] = set()

    def replace(self, resource: Resource, namespace: str, records: Mapping[Name, Record]) -> None:
        """A list: all there is of a resource, in a namespace or, if "", in the cluster."""
        for name in [name for name in self._records[resource] if namespace in {"", name[0]} and name not in records]:
            self.put(resource, name, None)
        for name, record in records.items():
            self.put(resource, name, record)

    def put(self, resource: Resource, name: Name, record: Record | None) -> None:
        """One object is new, or another than before; None for one that is gone."""
        known = self._records[resource]
        before = known.get(name)
        if before == record:
            return
        if record is None:
            del known[name]
        else:
            known[name] = record
        if resource is Resource.SERVICES:
            self._dirty.add(name)
        elif resource is Resource.SLICES:
            self._relate(name, cast("Slice | None", before), cast("Slice | None", record))
        else:
            for user in self._users.get((resource, name), ()):
                self._forget(user)

    def snapshot(self) -> Snapshot:
        """All services that there are; `events` goes on from here."""
        self._dirty.update(self._records[Resource.SERVICES])
        for _ in self.events():
            pass
        return Snapshot.of(self._found.values())

    def events(self) -> Iterator[Event]:
        """What has changed since the last call, by host."""
        dirty, self._dirty = sorted(self._dirty), set()
        for name in dirty:
            service = cast("Service | None", self._records[Resource.SERVICES].get(name))
            before = self._found.get(name)
            if service is None:
                if before is not None:
                    del self._found[name]
                    yield Gone(before.host)
                continue
            found = self._service(name, service)
            if found != before:
                self._found[name] = found
                yield Put(found)

    def _relate(self, name: Name, before: Slice | None, after: Slice | None) -> None:
        """A slice belongs to a service, and uses pods and nodes; what those change, it has to know."""
        for key in _used(before):
            users = self._users[key]
            users.discard(name)
            if not users:
                del self._users[key]
        for key in _used(after):
            self._users.setdefault(key, set()).add(name)
        if before is not None:
            self._slices[before.service].discard(name)
            self._dirty.add(before.service)
            if not self._slices[before.service]:
                del self._slices[before.service]
        if after is not None:
            self._slices.setdefault(after.service, set()).add(name)
            self._dirty.add(after.service)
        self._instances.pop(name, None)

    def _forget(self, name: Name) -> None:
        self._instances.pop(name, None)
        self._dirty.add(cast("Slice", self._records[Resource.SLICES][name]).service)

    def _service(self, name: Name, service: Service) -> Found:
        namespace, short = name
        instances = _elsewhere(service) if service.external else self._merged(name, service)
        return Found(
            host=f"{short}.{namespace}.svc.{self._domain}".lower(),
            instances=instances,
            namespace=namespace,
            ports=service.ports,
            addresses=service.addresses,
            selector=service.selector,
            resolution=Resolution.DNS if service.external else Resolution.STATIC,
        )

    def _merged(self, name: Name, service: Service) -> tuple[Instance, ...]:
        """Instances of all slices of one address family, so that a pod with two addresses gets no double share.

        A pod may stand in two slices while it moves from one to the other: then the better word counts.
        """
        own = [(each, cast("Slice", self._records[Resource.SLICES][each])) for each in self._slices.get(name, ())]
        filled = {item.family for _, item in own if item.backends}
        family = next((each for each in service.families or _FAMILIES if each in filled), "")
        places: dict[_Place, Instance] = {}
        for each, item in own:
            if item.family != family:
                continue
            ports = tuple(sorted(item.ports.items()))
            for instance in self._of_slice(each, item):
                other = places.setdefault((instance.address, ports), instance)
                if other is not instance and _rank(instance) < _rank(other):
                    places[instance.address, ports] = instance
        return tuple(places[place] for place in sorted(places))

    def _of_slice(self, name: Name, item: Slice) -> tuple[Instance, ...]:
        known = self._instances.get(name)
        if known is None:
            made = (self._instance(item, backend) for backend in item.backends) if item.ports else ()
            known = self._instances[name] = tuple(instance for instance in made if instance is not None)
        return known

    def _instance(self, item: Slice, backend: Backend) -> Instance | None:
        """None while its pod is unknown: without labels it would be in no subset, or in the wrong one."""
        pod = _NO_POD
        if backend.pod is not None:
            known = self._records[Resource.PODS].get(backend.pod)
            if known is None:
                return None
            pod = cast("Pod", known)
        node = cast("Node", self._records[Resource.NODES].get(("", backend.node), _NOWHERE))
        return Instance(
            address=backend.address,
            ports=item.ports,
            labels=pod.labels,
            health=backend.health,
            locality=pod.locality or node.locality,
            network=pod.network,
            service_account=pod.account,
            name="" if backend.pod is None else backend.pod[1],
        )


def _used(item: Slice | None) -> set[tuple[Resource, Name]]:
    if item is None:
        return set()
    pods = {(Resource.PODS, backend.pod) for backend in item.backends if backend.pod is not None}
    return pods | {(Resource.NODES, ("", backend.node)) for backend in item.backends if backend.node}


def _rank(instance: Instance) -> tuple[int, str, str]:
    """The lower, the better; in a fixed order where health is the same."""
    return _BETTER.index(instance.health), instance.name, instance.locality


def _elsewhere(service: Service) -> tuple[Instance, ...]:
    """The one instance of an ExternalName: it has the service's ports."""
    ports = {port.name: port.number for port in service.ports}
    return (Instance(address=service.external, ports=ports),) if ports else ()
