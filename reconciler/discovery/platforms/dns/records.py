"""What DNS records mean for services. Pure: `asking` asks for them, `dns` decides when.

SRV records are read as RFC 2782 has them: only targets of the best (lowest) priority that has addresses are instances, so others are
used when those have none; a weight of 0 counts as 1, the least that an instance may have; the target `.` says that there is no
service. Each address of a target has its weight.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from reconciler.errors import Diagnostic
from reconciler.model.discovered import ANY_PORT, Found, Instance
from reconciler.model.discovery import Dns, DnsService
from reconciler.model.hosts import fqdn
from reconciler.model.services import Port


class Kind(StrEnum):
    """Of records."""

    A = "A"
    AAAA = "AAAA"
    SRV = "SRV"


@dataclass(frozen=True, slots=True)
class Question:
    """What DNS is asked.

    Attributes:
        name: In lower case, without the dot at its end.
        kind: Of the records that are wanted.
    """

    name: str
    kind: Kind

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """One SRV record."""

    priority: int
    name: str
    port: int
    weight: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What DNS says, sorted: servers shuffle their answers. Neither addresses nor targets: there are no such records.

    Attributes:
        addresses: Of A and AAAA.
        targets: Of SRV.
    """

    addresses: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()


Answers = Mapping[Question, Answer]
"""The last answer to each question; what never was answered is not there."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What answers mean.

    Attributes:
        services: By host, sorted; without those of which something is not known.
        problems: What of the settings can't be used.
        unknown: Hosts of which something is not known.
    """

    services: Mapping[str, Found]
    problems: tuple[Diagnostic, ...]
    unknown: frozenset[str] = frozenset()


def asked(spec: Dns, answers: Answers) -> frozenset[Question]:
    """All that has to be asked, given what has been answered: a target of an SRV record is another question."""
    names = {name for service in spec.services for name in service.names}
    return frozenset(question for name in names for question in _asked(_plain(name), answers))


def read(spec: Dns, answers: Answers, failing: Collection[Question], *, domain: str) -> Reading:
    """The services, as far as they are known.

    Args:
        spec: Names, and services that they stand for.
        answers: The last ones.
        failing: What was asked and not answered, the last time. What is neither answered nor failing is on its way, so the service is
            not known yet.
        domain: The mesh's, for short hosts.
    """
    found: dict[str, Found] = {}
    ignorance: set[str] = set()
    problems: list[Diagnostic] = []
    for service in spec.services:
        host = fqdn(service.host.lower().removesuffix("."), namespace=spec.namespace, domain=domain)
        instances: dict[tuple[str, int], Instance] = {}
        unknown = False
        for name in map(_plain, service.names):
            if not is_srv(name) and _own_port(service) is None:
                hint = "write port, or look up an SRV name (_http._tcp.reviews.example.com), which has ports"
                problems.append(_problem(f"{host}: instances of {name} have no port", hint))
                continue
            on_its_way = any(each not in answers and each not in failing for each in _asked(name, answers))
            made = None if on_its_way else _instances(name, service, answers)
            if made is None:
                unknown = True
                continue
            for instance in made:
                (port,) = instance.ports.values()
                instances.setdefault((instance.address, port), instance)
        if host in found:
            problems.append(_problem(f"{host} is listed twice; the first counts", "write all its names in one service"))
        elif unknown:
            ignorance.add(host)
        else:
            ports = tuple(
                Port(port.number, port.name, port.protocol, port.target_port or port.number) for port in service.ports
            )
            ordered = tuple(instances[key] for key in sorted(instances))
            found[host] = Found(host=host, instances=ordered, namespace=spec.namespace, ports=ports)
    return Reading({host: found[host] for host in sorted(found)}, tuple(problems), frozenset(ignorance))


def is_srv(name: str) -> bool:
    """Whether a name is one of SRV records, by RFC 2782: its first label begins with an underscore."""
    return name.startswith("_")


def _asked(name: str, answers: Answers) -> Iterator[Question]:
    if not is_srv(name):
        yield Question(name, Kind.A)
        yield Question(name, Kind.AAAA)
        return
    question = Question(name, Kind.SRV)
    yield question
    for target in answers.get(question, Answer()).targets:
        yield Question(target.name, Kind.A)
        yield Question(target.name, Kind.AAAA)


def _instances(name: str, service: DnsService, answers: Answers) -> list[Instance] | None:
    """Instances that a name stands for; None if that is not known."""
    if not is_srv(name):
        addresses = _addresses(name, answers)
        return (
            None
            if addresses is None
            else [_instance(service, each, ANY_PORT, _own_port(service)) for each in addresses]
        )
    answer = answers.get(Question(name, Kind.SRV))
    if answer is None:
        return None
    label = name.partition(".")[0].removeprefix("_")
    port_name = label if label in {port.name for port in service.ports} else ANY_PORT
    for priority in sorted({target.priority for target in answer.targets}):
        ignorant = False
        best: list[Instance] = []
        for target in answer.targets:
            if target.priority != priority:
                continue
            known = _addresses(target.name, answers)
            ignorant |= known is None
            best += [_instance(service, each, port_name, target.port, max(1, target.weight)) for each in known or ()]
        if best:
            return best
        if ignorant:
            return None
    return []


def _addresses(name: str, answers: Answers) -> tuple[str, ...] | None:
    """Of both families; None if neither is known. One alone is taken: some servers fail on AAAA for good."""
    both = [answers.get(Question(name, kind)) for kind in (Kind.A, Kind.AAAA)]
    known = [answer.addresses for answer in both if answer is not None]
    return tuple(address for addresses in known for address in addresses) if known else None


def _instance(service: DnsService, address: str, port_name: str, port: int | None, weight: int = 1) -> Instance:
    return Instance(address=address, ports={port_name: port or 0}, labels=service.labels, weight=weight)


def _own_port(service: DnsService) -> int | None:
    """Of the instances of host names: its own, or that of the service's only port."""
    if service.port is not None:
        return service.port
    if len(service.ports) == 1:
        return service.ports[0].target_port or service.ports[0].number
    return None


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")


def _problem(message: str, hint: str) -> Diagnostic:
    return Diagnostic(code="discovery-dns-name", message=message, hint=hint)
