"""Two sockets on one address and port are an error before they are an outage."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.compile.sockets import Fixed, Socket, port_clashes
from reconciler.model.key import Key
from reconciler.model.origin import Finding, Origin
from tests.compile.meshes import compiled, gateway_proxy, service, sidecar_proxy, workload


def _clashes(*texts: str) -> list[Finding]:
    return [item for item in compiled(*texts).findings if item.code == "port-clash"]


def _sidecar(name: str, spec: str) -> str:
    return f"kind: Sidecar\nmetadata: {{name: {name}}}\nspec: {{workloadSelector: {{labels: {{app: {name}}}}}, {spec}}}"


def _gateway(name: str, *binds: str, port: int = 80) -> str:
    servers = ", ".join(
        f'{{bind: "{bind}", port: {{number: {port}, name: http, protocol: HTTP}}, hosts: ["*"]}}' for bind in binds
    )
    return f"kind: Gateway\nmetadata: {{name: {name}}}\nspec: {{servers: [{servers}]}}"


def test_a_listener_where_the_own_application_is() -> None:
    """A workload on 127.0.0.1 whose sidecar would take the application's place: the WorkloadEntry is pointed at."""
    found = _clashes(
        service("a"), workload("a1", app="a", address="127.0.0.1"), sidecar_proxy("a1"),
        _sidecar("a", 'egress: [{hosts: ["~/*"]}]'),
    )  # fmt: skip
    (finding,) = found
    assert "the inbound listener of sidecar default/a1" in finding.message
    assert "the application of sidecar default/a1" in finding.message
    assert finding.message.endswith("127.0.0.1:9080")
    assert finding.origin == Origin("policies/mesh-1.yaml", 0)
    assert finding.path == ("spec", "address")
    assert "Sidecar" in finding.hint


def test_an_outbound_listener_where_the_own_application_is() -> None:
    """Without interception both would be 127.0.0.1:9080."""
    found = _clashes(service("a"), workload("a1", app="a", address="10.0.0.1"), sidecar_proxy("a1"))
    (finding,) = found
    assert "the outbound listener" in finding.message
    assert "the application" in finding.message


@pytest.mark.parametrize(
    ("ingress", "path"),
    [
        ('{port: {number: 9000}, bind: 127.0.0.1, defaultEndpoint: "127.0.0.1:9000"}', "defaultEndpoint"),
        ('{port: {number: 9000}, bind: 0.0.0.0, defaultEndpoint: "127.0.0.1:9000"}', "defaultEndpoint"),
        ('{port: {number: 9000}, defaultEndpoint: "0.0.0.0:9000"}', "defaultEndpoint"),
    ],
)
def test_a_sidecar_whose_ingress_calls_itself(ingress: str, path: str) -> None:
    """The Sidecar is the document to mend."""
    (finding,) = _clashes(
        service("a"), workload("a1", app="a", address="10.0.0.1"), sidecar_proxy("a1"),
        _sidecar("a", f'ingress: [{ingress}], egress: [{{hosts: ["~/*"]}}]'),
    )  # fmt: skip
    assert finding.origin == Origin("policies/mesh-3.yaml", 0)
    assert finding.path == ("spec", "ingress", 0, path)


def test_two_listeners_of_one_sidecar() -> None:
    """The later one is pointed at."""
    (finding,) = _clashes(
        workload("a1", app="a", address="10.0.0.1"), sidecar_proxy("a1"),
        _sidecar("a", 'egress: [{port: {number: 99}, hosts: ["*/*"]},'
                      '{port: {number: 99, protocol: HTTP_PROXY}, hosts: ["*/*"]}]'),
    )  # fmt: skip
    assert finding.path == ("spec", "egress", 1, "port", "number")


def test_a_gateway_on_all_addresses_and_on_one() -> None:
    """`0.0.0.0` includes every address; the other address family is another socket."""
    (finding,) = _clashes(gateway_proxy(), _gateway("g", "", "127.0.0.1", "::"))
    assert finding.path == ("spec", "servers", 1, "port", "number")


def test_sidecars_on_one_machine_share_its_ports() -> None:
    """Workloads on loopback addresses are all on one machine: their default outbound listeners collide."""
    texts = [
        service("a", "9080"),
        workload("x1", app="x", address="127.0.0.2"), sidecar_proxy("x1"),
        workload("y1", app="y", address="127.0.0.3"), sidecar_proxy("y1"),
    ]  # fmt: skip
    (finding,) = _clashes(*texts)
    assert "sidecar default/x1" in finding.message
    assert "sidecar default/y1" in finding.message
    assert _clashes(*texts, _sidecar("y", 'egress: [{port: {number: 9080}, bind: 127.0.0.3, hosts: ["*/*"]}]')) == []


def test_a_gateway_on_loopback_shares_the_machine_too() -> None:
    """It is where the sidecars on loopback are."""
    (finding,) = _clashes(
        service("a", "9080"), workload("x1", app="x", address="127.0.0.2"), sidecar_proxy("x1"),
        gateway_proxy(), _gateway("g", "127.0.0.1", port=9080),
    )  # fmt: skip
    assert "the listener of Gateway default/g" in finding.message
    assert finding.origin == Origin("policies/mesh-4.yaml", 0)


def test_machines_that_may_be_different_are_not_compared() -> None:
    """Two containers may both open 127.0.0.1:9080; nothing is claimed that is not certain."""
    assert (
        _clashes(
            service("a", "9080"),
            workload("x1", app="x", address="10.0.0.2"), sidecar_proxy("x1"),
            workload("y1", app="y", address="10.0.0.3"), sidecar_proxy("y1"),
            gateway_proxy(), _gateway("g", "", port=9080),
        )
        == []
    )  # fmt: skip


def test_workloads_with_one_address_are_on_one_machine() -> None:
    """Two sidecars of one host are compared, whatever its address."""
    assert (
        len(
            _clashes(
                service("a", "9080"),
                workload("x1", app="x", address="10.0.0.2"), sidecar_proxy("x1"),
                workload("y1", app="y", address="10.0.0.2"), sidecar_proxy("y1"),
            )
        )
        == 1
    )  # fmt: skip


def test_an_outbound_listener_where_an_endpoint_is_that_it_routes_to() -> None:
    """A service without a sidecar at 127.0.0.1:9080, called through 127.0.0.1:9080, would be the caller itself."""
    texts = (
        service("a", "9080"), workload("a1", app="a", address="127.0.0.1"),
        workload("x1", app="x", address="127.0.0.2"), sidecar_proxy("x1"),
    )  # fmt: skip
    (finding,) = _clashes(*texts)
    assert "endpoint of a.default.svc.cluster.local" in finding.message
    assert _clashes(*texts, _sidecar("x", 'egress: [{port: {number: 9080}, bind: 127.0.0.2, hosts: ["*/*"]}]')) == []


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("0.0.0.0", "10.0.0.2", True),  # noqa: S104 -- the case in question
        ("::", "::1", True),
        ("::1", "0:0:0:0:0:0:0:1", True),
        ("::", "127.0.0.1", False),
        ("0.0.0.0", "::", False),  # noqa: S104 -- the case in question
    ],
)
def test_which_addresses_overlap(one: str, other: str, expected: bool) -> None:  # noqa: FBT001 -- a parameter
    """All of one family, or the same; Envoy's IPv6 sockets take no IPv4."""

    def at(address: str, port: int) -> Socket:
        return Socket(
            address=address, port=port, what="", listener=True, fixed=Fixed.WRITTEN, origin=Origin("", 0), path=()
        )

    assert at(one, 1).overlaps(at(other, 1)) is expected
    assert at(other, 1).overlaps(at(one, 1)) is expected
    assert not at(one, 1).overlaps(at(other, 2))


_ADDRESSES = st.sampled_from(["0.0.0.0", "::", "10.0.0.1", "10.0.0.2", "::1", "0:0::1"])  # noqa: S104 -- the cases in question
_SOCKETS = st.lists(st.tuples(_ADDRESSES, st.sampled_from([80, 81]), st.booleans()), max_size=12)


@given(places=_SOCKETS)
def test_of_the_sockets_in_the_way_the_first_is_named(places: list[tuple[str, int, bool]]) -> None:
    """As if each were held against all earlier ones: but thousands on one port take no longer than thousands on many."""
    sockets = [
        Socket(
            address=address, port=port, what=f"<{number}>", listener=listener, fixed=Fixed.WRITTEN,
            origin=Origin("", number), path=(),
        )
        for number, (address, port, listener) in enumerate(places)
    ]  # fmt: skip
    expected = []
    for number, socket in enumerate(sockets):
        earlier = (item for item in sockets[:number] if item.overlaps(socket) and (item.listener or socket.listener))
        other = next(earlier, None)
        if other is not None:
            expected.append((other.what, socket.what))
    found = port_clashes({Key("default", "a"): sockets}, {})
    assert [tuple(re.findall(r"<\d+>", finding.message))[::-1] for finding in found] == expected
