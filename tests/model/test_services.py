"""Services out of the documents that declare them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.origin import Origin
from reconciler.model.serviceentry import Resolution, ServiceEntry, ServicePort, WorkloadEntry, WorkloadSelector
from reconciler.model.services import Workloads, declared, selected

LABELS = st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"))
ENTRIES = st.lists(st.tuples(st.sampled_from(["n", "m"]), LABELS), max_size=8)


def entries(given: list[tuple[str, dict[str, str]]]) -> list[Policy[WorkloadEntry]]:
    """WorkloadEntries in these namespaces with these labels."""
    return [
        Policy("WorkloadEntry", Key(namespace, f"w{number}"), WorkloadEntry(address=f"10.0.0.{number}", labels=labels), Origin("w", number))
        for number, (namespace, labels) in enumerate(given)
    ]  # fmt: skip


@given(ENTRIES, LABELS)
def test_a_selector_selects_what_carries_its_labels_in_its_namespace(
    given: list[tuple[str, dict[str, str]]], labels: dict[str, str]
) -> None:
    """However they are found: the same as by looking at every one, in the same order; no labels select all."""
    known = entries(given)
    expected = [item for item in known if item.key.namespace == "n" and selected(item.spec.labels, labels)]
    assert list(Workloads(known).selected("n", labels)) == expected


def test_an_endpoint_has_its_own_ports_or_the_services() -> None:
    """A port of a WorkloadEntry goes before the service's target port, and that before its number."""
    own = WorkloadEntry(address="10.0.0.1", ports={"b": 9}, labels={"app": "x"})
    spec = ServiceEntry(
        hosts=("x",),
        resolution=Resolution.STATIC,
        ports=(ServicePort(number=1, name="a", target_port=2), ServicePort(number=3, name="b")),
        endpoints=(WorkloadEntry(address="10.0.0.2"),),
    )
    selecting = spec.model_copy(update={"endpoints": (), "workload_selector": WorkloadSelector(labels={"app": "x"})})
    workload = Policy("WorkloadEntry", Key("n", "w"), own, Origin("w", 0))
    for entry, expected in (
        (spec, ("10.0.0.2", {"a": 2, "b": 3}, "")),
        (selecting, ("10.0.0.1", {"a": 2, "b": 9}, "w")),
    ):
        mesh = Mesh(
            service_entries=(Policy("ServiceEntry", Key("n", "x"), entry, Origin("x", 0)),),
            workload_entries=(workload,),
        )
        (service,) = declared(mesh)
        (endpoint,) = service.endpoints
        assert service.host == "x.n.svc.cluster.local"
        assert (endpoint.address, dict(endpoint.ports), endpoint.workload) == expected
