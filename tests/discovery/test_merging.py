"""The rules by which registries and Git make one service."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.discovery.merging.accounts import Accounts
from reconciler.discovery.merging.merger import Merged, Merger
from reconciler.errors import Severity
from reconciler.model.discovered import NOTHING, Catalogue, Found, Instance
from reconciler.model.mesh import Mesh
from reconciler.model.origin import Origin
from reconciler.model.protocol import Protocol
from reconciler.model.serviceentry import Resolution, ServicePort, WorkloadEntry
from reconciler.model.services import Endpoint, Health, Port, Service, declared
from tests.discovery.declaring import HTTP, catalogue, entry, instance, mesh, workload

X = "x.default.svc.cluster.local"


def merged(where: Mesh, listed: Catalogue) -> Merged:
    """From nothing."""
    return Merger().merged(declared(where), where, listed)


def service(where: Mesh, listed: Catalogue) -> Service:
    """The service of X."""
    return next(item for item in merged(where, listed).services if item.host == X)


def places(endpoints: tuple[Endpoint, ...]) -> list[str]:
    """`registry address ports` of each."""
    return [f"{item.registry or 'git'} {item.address} {dict(item.ports)}" for item in endpoints]


def test_without_registries_nothing_is_touched() -> None:
    """The services that Git declares are handed on as they are, whatever a catalogue says."""
    where = mesh(entry("x"), registries={})
    services = declared(where)
    out = Merger().merged(services, where, catalogue(("a", Found(host=X, instances=(instance("10.0.0.1"),)))))
    assert out.services is services
    assert out.lasting is services
    assert not out.endpoints
    assert not out.notes


def test_instances_are_added_to_what_git_declares() -> None:
    """Git says what the service is, and its own endpoints go first; registries follow in the order of Mesh.discovery."""
    where = mesh(entry("x", endpoints=(WorkloadEntry(address="10.0.0.9"),)))
    listed = catalogue(
        ("b", Found(host=X, instances=(instance("10.0.0.1"),), ports=(Port(81, "other", Protocol.TCP, 81),))),
        ("a", Found(host=X, instances=(instance("10.0.0.2", weight=7, labels={"v": "1"}, locality="r/z"),))),
    )
    found = service(where, listed)
    assert found.discovered
    assert [port.number for port in found.ports] == [80]
    assert places(found.endpoints) == [
        "git 10.0.0.9 {'http': 8080}",
        "a 10.0.0.2 {'http': 8080}",
        "b 10.0.0.1 {'http': 8080}",
    ]
    assert (found.endpoints[1].weight, found.endpoints[1].labels, found.endpoints[1].locality) == (7, {"v": "1"}, "r/z")
    assert places(merged(where, listed).endpoints[X]) == places(found.endpoints[1:])


def test_a_host_that_git_does_not_declare_is_what_the_first_registry_says() -> None:
    """Ports of others are added by number; a name that is taken is changed, since endpoints have ports by name."""
    listed = catalogue(
        ("b", Found(host=X, ports=(HTTP,), instances=(instance("10.0.0.2", 1),), addresses=("10.9.9.9",))),
        ("a", Found(host=X, ports=(Port(81, "http", Protocol.GRPC, 81),), instances=(instance("10.0.0.1", 2),))),
    )
    found = service(mesh(registries={"b": (), "a": ()}), listed)
    assert [(port.number, port.name) for port in found.ports] == [(80, "http"), (81, "http-81")]
    assert (found.addresses, found.namespace, found.origin) == (("10.9.9.9",), "default", Origin("", 0))
    assert places(found.endpoints) == ["b 10.0.0.2 {'http': 1}", "a 10.0.0.1 {'http-81': 2}"]


def test_one_address_and_port_is_taken_once() -> None:
    """Git's own counts, then the first registry's; an IPv6 address is known in each of its forms."""
    where = mesh(entry("x", endpoints=(WorkloadEntry(address="10.0.0.1"), WorkloadEntry(address="fd00::1"))))
    listed = catalogue(
        ("a", Found(host=X, instances=(instance("10.0.0.1"), instance("fd00:0::1"), instance("10.0.0.2", weight=2)))),
        ("b", Found(host=X, instances=(instance("10.0.0.2", weight=3), instance("10.0.0.2", 8081)))),
    )
    found = service(where, listed)
    assert places(found.endpoints[2:]) == ["a 10.0.0.2 {'http': 8080}", "b 10.0.0.2 {'http': 8081}"]
    assert found.endpoints[2].weight == 2


def test_of_an_instance_only_the_ports_are_taken_that_are_new() -> None:
    """Two registries may know different ports of one address."""
    ports = (ServicePort(number=1, name="one"), ServicePort(number=2, name="two"))
    listed = catalogue(
        ("a", Found(host=X, instances=(Instance(address="10.0.0.1", ports={"one": 11}),))),
        ("b", Found(host=X, instances=(Instance(address="10.0.0.1", ports={"one": 11, "two": 12}),))),
    )
    found = service(mesh(entry("x", ports=ports)), listed)
    assert places(found.endpoints) == ["a 10.0.0.1 {'one': 11}", "b 10.0.0.1 {'two': 12}"]


@pytest.mark.parametrize(
    ("ours", "theirs", "given", "expected"),
    [
        pytest.param("80 http", "", {"": 5}, {"http": 5}, id="any port is the only one"),
        pytest.param("80 http,81 more", "", {"": 5}, {}, id="any port of several is unclear"),
        pytest.param("80 http,81 more", "81 x", {"": 5}, {"more": 5}, id="any port is the only one that the registry has"),
        pytest.param("80 http,81 more", "80 x", {"x": 5}, {"http": 5}, id="by number, whatever the registry calls it"),
        pytest.param("80 http", "90 http", {"http": 5}, {"http": 5}, id="by name, if no number is the same"),
        pytest.param("80 web,90 http", "80 http", {"http": 5}, {"web": 5}, id="a name is not taken for another number"),
        pytest.param("80 http", "", {"other": 5}, {}, id="an unknown name"),
        pytest.param("80 http,81 more", "", {"more": 5, "http": 6}, {"http": 6, "more": 5}, id="several names"),
    ],
)  # fmt: skip
def test_which_ports_an_instance_has(ours: str, theirs: str, given: dict[str, int], expected: dict[str, int]) -> None:
    """Ports are told apart by number where both sides say it, and else by name; what has none of them is no endpoint."""

    def pairs(text: str) -> list[tuple[int, str]]:
        return [(int(item.split()[0]), item.split()[1]) for item in text.split(",") if item]

    where = mesh(entry("x", ports=tuple(ServicePort(number=number, name=name) for number, name in pairs(ours))))
    ports = tuple(Port(number, name, Protocol.HTTP, number) for number, name in pairs(theirs))
    out = merged(
        where, catalogue(("a", Found(host=X, ports=ports, instances=(Instance(address="10.0.0.1", ports=given),))))
    )
    assert [dict(item.ports) for item in out.endpoints[X]] == ([expected] if expected else [])
    assert [note.code for note in out.notes] == ([] if expected else ["discovery-port"])


def test_a_socket_serves_the_only_port() -> None:
    """It has no number; with several ports nobody knows which it is."""
    one = catalogue(("a", Found(host=X, instances=(Instance(address="unix:///run/a", ports={}),))))
    assert places(merged(mesh(entry("x")), one).endpoints[X]) == ["a unix:///run/a {'http': 8080}"]
    several = (ServicePort(number=1, name="one"), ServicePort(number=2, name="two"))
    assert [note.code for note in merged(mesh(entry("x", ports=several)), one).notes] == ["discovery-port"]


def test_health_and_identity_of_an_instance_are_its_endpoints() -> None:
    """Draining and unhealthy ones are endpoints too: Envoy is told what they are."""
    given = instance("10.0.0.1", health=Health.DRAINING, service_account="sa", weight=0)
    (endpoint,) = merged(mesh(entry("x")), catalogue(("a", Found(host=X, instances=(given,))))).endpoints[X]
    assert (endpoint.health, endpoint.service_account, endpoint.weight) == (Health.DRAINING, "sa", 1)


def test_networks_that_can_not_be_reached_are_left_out() -> None:
    """Only if the registry lists networks, and not where an instance names none."""
    given = Found(
        host=X,
        instances=tuple(instance(f"10.0.0.{n}", network=name) for n, name in enumerate(["", "one", "two", "two"])),
    )
    where = mesh(entry("x"), registries={"a": ("one",)})
    out = merged(where, catalogue(("a", given)))
    assert [item.address for item in out.endpoints[X]] == ["10.0.0.0", "10.0.0.1"]
    (note,) = out.notes
    assert (note.code, note.severity, note.origin) == (
        "discovery-network",
        Severity.WARNING,
        where.service_entries[0].origin,
    )
    assert note.message.startswith(f"2 instances of {X} are left out: the first is 10.0.0.2, in the network two")
    assert len(merged(mesh(entry("x")), catalogue(("a", given))).endpoints[X]) == 4


@pytest.mark.parametrize("resolution", [Resolution.DNS, Resolution.NONE])
def test_other_resolutions_take_no_instances(resolution: Resolution) -> None:
    """Envoy finds those endpoints itself; the note points at the resolution, once."""
    where = mesh(entry("x", resolution=resolution, ports=(ServicePort(number=80, name="http"),)))
    out = merged(where, catalogue(("a", Found(host=X, instances=(instance("10.0.0.1"),)))))
    assert out.services == declared(where)
    assert not out.endpoints
    (note,) = out.notes
    assert (note.code, note.path) == ("discovery-resolution", ("spec", "resolution"))


def test_a_name_is_no_endpoint_of_a_static_service() -> None:
    """It would have to be resolved, and Envoy refuses it in a load assignment."""
    out = merged(mesh(entry("x")), catalogue(("a", Found(host=X, instances=(instance("db.example.com"),)))))
    assert not out.endpoints[X]
    assert [note.code for note in out.notes] == ["discovery-address"]


def test_a_registry_may_have_a_service_of_names() -> None:
    """Its endpoints stand in its cluster, so they are no discovered ones: a change of them is for a pass."""
    listed = catalogue(
        ("a", Found(host=X, ports=(HTTP,), resolution=Resolution.DNS, instances=(instance("db.example.com"),)))
    )
    out = merged(mesh(), listed)
    (found,) = out.services
    assert not found.discovered
    assert places(found.endpoints) == ["a db.example.com {'http': 8080}"]
    assert not out.endpoints
    assert out.lasting == out.services


def test_a_host_whose_ports_nobody_knows_is_no_service() -> None:
    """Instances alone do not say what callers ask for."""
    out = merged(mesh(), catalogue(("a", Found(host=X, instances=(instance("10.0.0.1"),)))))
    assert not out.services
    (note,) = out.notes
    assert (note.code, note.origin, note.path) == ("discovery-no-ports", None, ())


def test_a_registry_that_the_mesh_does_not_have_does_not_count() -> None:
    """A catalogue may be older or newer than the settings."""
    out = merged(
        mesh(entry("x"), registries={"b": ()}),
        catalogue(("a", Found(host=X, ports=(HTTP,), instances=(instance("10.0.0.1"),)))),
    )
    assert not out.services[0].discovered
    assert not out.endpoints


def test_a_registrys_selector_selects_workload_entries() -> None:
    """They are Git's own endpoints of the service, with their names, so that their sidecars serve it."""
    workloads = (
        workload("w1", "10.0.0.7", {"app": "x"}),
        workload("w2", "10.0.0.8", {"app": "y"}, 1),
    )
    listed = catalogue(("a", Found(host=X, ports=(HTTP,), selector={"app": "x"}, instances=(instance("10.0.0.1"),))))
    out = merged(mesh(workloads=workloads), listed)
    (found,) = out.services
    assert places(found.endpoints) == ["git 10.0.0.7 {'http': 8080}", "a 10.0.0.1 {'http': 8080}"]
    assert found.endpoints[0].workload == "w1"
    assert places(out.lasting[0].endpoints) == ["git 10.0.0.7 {'http': 8080}"]
    both = merged(mesh(entry("x", selector={"app": "x"}), workloads=workloads), listed)
    assert places(both.services[0].endpoints) == places(found.endpoints)


def test_workloads_of_another_namespace_than_the_services_are_not_taken() -> None:
    """Where a workload belongs to is known by the service's namespace."""
    listed = catalogue(("a", Found(host="x.com", selector={"app": "x"})))
    out = merged(mesh(entry("x.com", namespace="other"), workloads=(workload("w1", "10.0.0.7", {"app": "x"}),)), listed)
    assert not out.services[0].endpoints
    (note,) = out.notes
    assert note.code == "discovery-namespace"
    assert note.message.startswith("1 WorkloadEntry of namespace default")


def test_a_workload_selector_selects_instances() -> None:
    """Of every service of its namespace: by port name, else by the target port; what the service lists itself is not taken twice."""
    ports = (
        ServicePort(number=80, name="http", target_port=8000),
        ServicePort(number=81, name="more", target_port=8001),
    )
    pod = instance("10.0.0.1", labels={"app": "x", "v": "1"})
    listed = catalogue(
        ("a", Found(host="y.default.svc.cluster.local", ports=(HTTP,), instances=(pod, instance("10.0.0.2")))),
        ("b", Found(host="z.other.svc.cluster.local", namespace="other", instances=(instance("10.0.0.3", labels={"app": "x"}),))),
        ("b", Found(host="w.default.svc.cluster.local", instances=(instance("10.0.0.4", labels={"app": "x"}, ports={"odd": 1}),))),
    )  # fmt: skip
    found = service(mesh(entry("x", selector={"app": "x"}, ports=ports)), listed)
    assert found.discovered
    assert places(found.endpoints) == [
        "a 10.0.0.1 {'http': 8080, 'more': 8001}",
        "b 10.0.0.4 {'http': 8000, 'more': 8001}",
    ]


def test_a_selector_without_matches_is_discovered_all_the_same() -> None:
    """What is discovered must not change with the last instance that goes, or every restart would be a change of the service."""
    listed = catalogue(("a", Found(host="y.default.svc.cluster.local", ports=(HTTP,))))
    out = merged(mesh(entry("x", selector={"app": "x"})), listed)
    assert out.endpoints[X] == ()
    assert not merged(mesh(entry("x", selector={"app": "x"})), NOTHING).endpoints


def test_what_a_selector_selects_follows_the_registries() -> None:
    """Instances that come, change their labels, and go with their service."""
    where = mesh(entry("x", selector={"app": "x"}))
    merger, services = Merger(), declared(where)
    steps: list[tuple[Any, list[str]]] = [
        ((instance("10.0.0.1", labels={"app": "x"}),), ["10.0.0.1"]),
        ((instance("10.0.0.1", labels={"app": "y"}),), []),
        ((instance("10.0.0.2", labels={"app": "x"}),), ["10.0.0.2"]),
    ]
    for instances, expected in steps:
        listed = catalogue(("a", Found(host="y.default.svc.cluster.local", ports=(HTTP,), instances=instances)))
        assert [item.address for item in merger.merged(services, where, listed).endpoints[X]] == expected
    assert X not in merger.merged(services, where, NOTHING).endpoints


def test_what_stays_is_the_same_object() -> None:
    """A change of instances touches one service, and nothing that a pass would have to carry out."""
    where = mesh(entry("x"), entry("y", 1))
    services, merger = declared(where), Merger()
    other = Found(host="y.default.svc.cluster.local", instances=(instance("10.1.0.1"),))
    one = merger.merged(
        services, where, catalogue(("a", Found(host=X, instances=(instance("10.0.0.1"),))), ("a", other))
    )
    two = merger.merged(
        services, where, catalogue(("a", Found(host=X, instances=(instance("10.0.0.2"),))), ("a", other))
    )
    assert two.lasting is one.lasting
    assert two.notes is one.notes
    assert two.services[1] is one.services[1]
    assert two.endpoints[other.host] is one.endpoints[other.host]
    assert two.services[0] != one.services[0]
    three = merger.merged(
        services, where, catalogue(("a", Found(host=X, instances=(instance("10.0.0.2"),))), ("a", other))
    )
    assert three.services is two.services
    assert three.endpoints is two.endpoints


def test_what_a_service_is_is_lasting() -> None:
    """Ports that a registry adds are a change for a pass."""
    where, merger = mesh(), Merger()
    one = merger.merged((), where, catalogue(("a", Found(host=X, ports=(HTTP,)))))
    two = merger.merged((), where, catalogue(("a", Found(host=X, ports=(HTTP, Port(81, "b", Protocol.TCP, 1))))))
    assert one.lasting != two.lasting
    gone = merger.merged((), where, NOTHING)
    assert gone.lasting == ()


def test_workload_entries_that_a_registry_selects_follow_git() -> None:
    """Of a service that Git does not declare, too."""
    listed = catalogue(("a", Found(host=X, ports=(HTTP,), selector={"app": "x"})))
    merger = Merger()
    for labels, expected in (({"app": "x"}, ["10.0.0.7"]), ({"app": "y"}, []), ({"app": "x"}, ["10.0.0.7"])):
        out = merger.merged((), mesh(workloads=(workload("w", "10.0.0.7", labels),)), listed)
        assert [item.address for item in out.services[0].endpoints] == expected


def test_accounts_of_instances_are_those_of_the_service_and_stay() -> None:
    """Another account is another service; one that goes, as in a rolling restart, changes nothing, not even in another commit."""
    where, known = mesh(entry("x")), Accounts()
    merger = Merger(known)

    def lasting(accounts: str, by: Merger = merger, declared_by: Mesh = where) -> tuple[Service, ...]:
        found = [instance(f"10.0.0.{n}", service_account=sa.strip("-")) for n, sa in enumerate(accounts.split(), 1)]
        listed = catalogue(("a", Found(host=X, instances=tuple(found))))
        return by.merged(declared(declared_by), declared_by, listed).lasting

    first = lasting("one -")
    assert [item.accounts for item in first] == [{"one"}]
    assert lasting("one one -") is first
    second = lasting("one two")
    assert [item.accounts for item in second] == [{"one", "two"}]
    assert lasting("one") is second
    assert lasting("-") is second
    assert lasting("one", Merger(known)) == second
    assert lasting("two", declared_by=mesh(entry("x", selector={"app": "x"})))[0].accounts == {"two"}


def test_accounts_are_forgotten_with_the_service() -> None:
    """Who registers under the name later is not trusted for what somebody else was."""
    merger, where = Merger(), mesh()
    for accounts in ({"one"}, set[str](), {"two"}):
        found = [instance("10.0.0.1", service_account=item) for item in accounts]
        listed = catalogue(("a", Found(host=X, ports=(HTTP,), instances=tuple(found)))) if found else NOTHING
        assert {account for item in merger.merged((), where, listed).services for account in item.accounts} == accounts


def test_accounts_of_instances_that_are_left_out_do_not_count() -> None:
    """Nobody calls them, so nobody has to trust them."""
    found = (instance("10.0.0.1", service_account="one", network="far"), instance("10.0.0.2", service_account="two"))
    where = mesh(entry("x"), registries={"a": ("near",)})
    assert service(where, catalogue(("a", Found(host=X, instances=found)))).accounts == {"two"}
