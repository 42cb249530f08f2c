"""What holds of a merge whatever Git and registries say, and however they came to say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from reconciler.discovery.merging.merger import Merger
from reconciler.model.discovered import Catalogue, Found, Instance, Listed
from reconciler.model.mesh import Mesh
from reconciler.model.protocol import Protocol
from reconciler.model.serviceentry import Resolution, ServicePort, WorkloadEntry
from reconciler.model.services import Port, declared
from tests.discovery.declaring import entry, mesh, workload

HOSTS = ("a.com", "b.com", "c.com")
NAMES = ("one", "two")
REGISTRIES: Mapping[str, tuple[str, ...]] = {"p": (), "q": ("near",), "r": ()}

ADDRESSES = st.sampled_from(["10.0.0.1", "10.0.0.2", "fd00::1", "fd00:0::1", "unix:///s", "name.com"])
LABELS = st.dictionaries(st.sampled_from("kl"), st.sampled_from("xy"), max_size=2)
NUMBERS = st.integers(1, 3)
INSTANCES = st.builds(
    Instance,
    address=ADDRESSES,
    ports=st.dictionaries(st.sampled_from(["", *NAMES]), NUMBERS, max_size=2),
    labels=LABELS,
    weight=st.integers(0, 2),
    network=st.sampled_from(["", "near", "far"]),
)
PORTS = st.lists(st.sampled_from([(n, name) for n in (80, 81) for name in NAMES]), max_size=2, unique=True)
FOUND = st.builds(
    lambda ports, **fields: Found(ports=tuple(Port(n, name, Protocol.HTTP, n) for n, name in ports), **fields),
    ports=PORTS,
    host=st.sampled_from(HOSTS),
    namespace=st.sampled_from(["default", "other"]),
    instances=st.lists(INSTANCES, max_size=4).map(tuple),
    selector=st.none() | LABELS,
    resolution=st.sampled_from([Resolution.STATIC, Resolution.DNS]),
)
SAID = st.tuples(st.sampled_from([*REGISTRIES, "unknown"]), FOUND)
ENTRY = st.tuples(
    st.sampled_from(HOSTS),
    st.lists(st.sampled_from([80, 81]), max_size=2, unique=True),
    st.none() | LABELS,
    st.sampled_from([Resolution.STATIC, Resolution.STATIC, Resolution.NONE]),
)


@st.composite
def meshes(draw: st.DrawFn) -> Mesh:
    """A few ServiceEntries and WorkloadEntries."""
    entries = []
    for number, (host, ports, selector, resolution) in enumerate(
        draw(st.lists(ENTRY, max_size=3, unique_by=lambda item: item[0]))
    ):
        own = (WorkloadEntry(address="10.0.0.1"),) if selector is None and resolution is Resolution.STATIC else ()
        listed = tuple(ServicePort(number=n, name=NAMES[n % 2], target_port=n % 2 + 1) for n in ports)
        entries.append(entry(host, number, ports=listed, selector=selector, resolution=resolution, endpoints=own))
    workloads = [
        workload(f"w{n}", f"10.1.0.{n}", labels, n) for n, labels in enumerate(draw(st.lists(LABELS, max_size=2)))
    ]
    return mesh(*entries, workloads=tuple(workloads), registries=REGISTRIES)


def listing(said: Mapping[tuple[str, str], Found], order: list[str]) -> Catalogue:
    """What registries say, as a catalogue: of one host in the order of the registries."""
    services = {
        host: tuple(Listed(name, said[name, host]) for name in order if (name, host) in said)
        for host in dict.fromkeys(host for _, host in said)
    }
    return Catalogue(services=services)


@given(meshes(), st.lists(SAID, max_size=8), st.randoms())
def test_it_does_not_matter_who_was_heard_first(where: Mesh, said: list[tuple[str, Found]], random: object) -> None:
    """The same services, endpoints and notes, in whatever order registries came up."""
    last = {(name, found.host): found for name, found in said}
    shuffled = [*last.items()]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    services = declared(where)
    one = Merger().merged(services, where, listing(last, [*REGISTRIES, "unknown"]))
    assert one == Merger().merged(services, where, listing(dict(shuffled), ["unknown", *reversed([*REGISTRIES])]))


@given(
    meshes(), meshes(), st.lists(st.tuples(st.booleans(), st.lists(SAID, max_size=3), st.integers(0, 2)), max_size=5)
)
def test_step_by_step_comes_to_the_same_as_at_once(
    one: Mesh, other: Mesh, steps: list[tuple[bool, list[tuple[str, Found]], int]]
) -> None:
    """However a Merger got there, through changes of Git and of registries: it remembers work, and no outcome."""
    merger = Merger()
    said: dict[tuple[str, str], Found] = {}
    known = {id(item): declared(item) for item in (one, other)}
    before: Catalogue | None = None
    for second, more, gone in steps:
        where = other if second else one
        for key in [*said][:gone]:
            del said[key]
        said.update({(name, found.host): found for name, found in more})
        listed = listing(said, [*REGISTRIES, "unknown"])
        if before is not None:  # as registries do it: what did not change is the same object
            old = before.services
            listed = replace(
                listed, services={h: old[h] if old.get(h) == raw else raw for h, raw in listed.services.items()}
            )
        before = listed
        assert merger.merged(known[id(where)], where, listed) == Merger().merged(declared(where), where, listed)


@given(meshes(), st.lists(SAID, max_size=8))
def test_what_comes_out_hangs_together(where: Mesh, said: list[tuple[str, Found]]) -> None:
    """Git's endpoints first and all there; then discovered ones, none of them twice at one port; nothing without a port."""
    services = declared(where)
    out = Merger().merged(services, where, listing({(name, found.host): found for name, found in said}, [*REGISTRIES]))
    assert [item.host for item in out.services] == sorted({item.host for item in out.services})
    assert {item.host for item in services} <= {item.host for item in out.services}
    assert out.endpoints.keys() == {item.host for item in out.services if item.discovered}
    own = {item.host: item for item in services}
    for service, lasting in zip(out.services, out.lasting, strict=True):
        found = out.endpoints.get(service.host, ())
        assert service.endpoints == (*lasting.endpoints, *found)
        assert replace(service, endpoints=()) == replace(lasting, endpoints=())
        if service.host in own:
            assert set(map(str, own[service.host].endpoints)) <= set(map(str, lasting.endpoints))
        assert all(item.registry in REGISTRIES and item.weight > 0 and item.ports for item in found)
        taken = [(item.address, *port) for item in found for port in item.ports.items()]
        mine = {(item.address, *port) for item in lasting.endpoints for port in item.ports.items()}
        assert len(taken) == len(set(taken))
        assert mine.isdisjoint(taken)
        assert set(chain(*(item.ports for item in found))) <= {port.name for port in service.ports}
    assert len({(note.code, note.message.split(" are left out")[0]) for note in out.notes}) == len(out.notes)
