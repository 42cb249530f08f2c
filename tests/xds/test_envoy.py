"""Real Envoys on a real server: what the protocol is for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from reconciler.model.key import Key
from reconciler.model.resource import Resource
from reconciler.settings import AdsSettings
from reconciler.xds import Plane
from reconciler.xds.server import AdsServer
from tests.push.traffic import reserved
from tests.xds.lab import (
    ADS,
    CLUSTER,
    DELTA,
    LISTENER,
    ROUTE,
    SECRET,
    SOTW,
    UPSTREAM_TLS,
    VARIANTS,
    Lab,
    Serving,
    address,
    cluster,
    endpoints,
    eventually,
    ids,
    listener,
    made,
    own_stream,
    route,
    running,
    service,
    serving,
    static_cluster,
)

MakeLab = Callable[..., Lab]

LAB = Key("default", "lab")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def served(stack: ExitStack) -> Serving:
    return stack.enter_context(serving())


@pytest.fixture
def make_lab(envoy: str, served: Serving, short_path: Path, stack: ExitStack) -> MakeLab:
    """Start a real Envoy; whatever it is to have must have been published."""
    assert envoy
    return lambda name="lab", **more: stack.enter_context(running(short_path / name, served, name=name, **more))


@pytest.fixture
def port(stack: ExitStack) -> int:
    return stack.enter_context(reserved())


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_envoy_that_starts_gets_everything_and_shows_the_versions(
    variant: str, served: Serving, make_lab: MakeLab, port: int
) -> None:
    """A fresh Envoy has what was published before it came, and shows the very version texts that were sent."""
    served.plane.publish(LAB, service("a", port, 1))
    lab = make_lab(variant=variant)
    eventually(lambda: lab.listeners() == {"a"})
    state = lab.settled()
    assert state.variant == variant
    assert state.client.startswith("envoy/1.")
    assert lab.clusters() == {"a"}
    assert {lab.version("cluster_manager.cds")} == state.texts[CLUSTER]
    assert {lab.version("listener_manager.lds")} == state.texts[LISTENER]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_changed_eds_cluster_is_in_effect_at_once(variant: str, served: Serving, make_lab: MakeLab) -> None:
    """Envoy warms a changed EDS cluster until its endpoints are sent once more, which a server must do unasked."""
    served.plane.publish(LAB, [cluster("a"), endpoints("a", 1)])
    lab = make_lab(variant=variant)
    lab.settled()
    lab.publish([cluster("a", connect_timeout="2s"), endpoints("a", 1)], seconds=5)
    eventually(lambda: lab.in_effect("a").get("connect_timeout") == "2s", seconds=5)
    assert lab.hosts("a") == {"127.0.0.1:1"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_listener_is_replaced_and_removed(variant: str, served: Serving, make_lab: MakeLab, port: int) -> None:
    """What is published is what serves, and what is no longer published is gone."""
    served.plane.publish(LAB, service("a", port, 1))
    lab = make_lab(variant=variant)
    eventually(lambda: lab.listeners() == {"a"})
    changed = [item for item in service("a", port, 1) if item.id.type is not LISTENER]
    lab.publish([*changed, listener("b", port, "a")])
    eventually(lambda: lab.listeners() == {"b"})
    lab.publish([static_cluster("c", 1)])
    eventually(lambda: lab.listeners() == set() and lab.clusters() == {"c"})


@pytest.mark.parametrize("variant", VARIANTS)
def test_after_a_restart_of_the_server_nothing_is_sent_that_is_there(
    variant: str, envoy: str, short_path: Path, port: int, stack: ExitStack
) -> None:
    """A new server that publishes the same sends no resource in delta; in SotW only what is asked for by name."""
    assert envoy
    wanted = service("a", port, 1)
    first = AdsServer(old := Plane(), AdsSettings())
    address = first.start()
    old.publish(LAB, wanted)
    lab = stack.enter_context(running(short_path / "lab", Serving(old, address), variant=variant))
    eventually(lambda: lab.listeners() == {"a"})
    lab.settled()
    first.stop()
    second = AdsServer(new := Plane(), AdsSettings(address=address))
    new.publish(LAB, wanted)
    second.start()
    stack.callback(second.stop)
    lab.plane = new
    eventually(lambda: new.state(LAB).connected and not new.unasked(LAB))
    state = lab.settled()
    assert state.resources_sent == (0 if variant == DELTA else 2)
    assert not {CLUSTER, LISTENER} & (state.texts.keys() if variant == SOTW else set())
    assert new.has(LAB).keys() == ids(wanted)


@pytest.mark.parametrize("variant", VARIANTS)
def test_types_may_come_on_streams_of_their_own(
    variant: str, served: Serving, make_lab: MakeLab, port: int
) -> None:  # fmt: skip
    """Without ADS, each config source is a stream; a changed EDS cluster asks for its endpoints on a new one."""
    source = own_stream(variant)
    rest = [endpoints("a", 1), listener("a", port, "a", source=source), route("a", "a")]
    served.plane.publish(LAB, [cluster("a", source=source), *rest])
    lab = make_lab(variant=variant, source=source)
    eventually(lambda: lab.listeners() == {"a"})
    lab.publish([cluster("a", source=source, connect_timeout="2s"), *rest])
    eventually(lambda: lab.in_effect("a").get("connect_timeout") == "2s", seconds=8)
    assert lab.hosts("a") == {"127.0.0.1:1"}


def bad_ones(port: int) -> dict[str, list[Resource]]:
    """Resources that Envoy refuses, each as the last of a list; what comes before refers to it."""
    tls = {"common_tls_context": {"tls_certificate_sds_secret_configs": [{"name": "bad", "sds_config": ADS}]}}
    socket = {"name": "tls", "typed_config": {"@type": UPSTREAM_TLS} | tls}
    inline = {"certificate_chain": {"inline_string": "no"}, "private_key": {"inline_string": "key"}}
    domains = [{"name": name, "domains": ["*"]} for name in ("one", "two")]
    return {
        "cluster": [made(CLUSTER, name="bad", type="EDS", eds_cluster_config={"service_name": "x"})],
        "rule": [static_cluster("bad", 1, connect_timeout="0s")],
        "listener": [listener("bad", port, "r0", address=address(port, "192.0.2.1"))],
        "route": [listener("l", port, "bad"), made(ROUTE, name="bad", virtual_hosts=domains)],
        "secret": [static_cluster("tls", 1, transport_socket=socket), made(SECRET, name="bad", tls_certificate=inline)],
    }


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("case", sorted(bad_ones(1)))
def test_one_bad_resource_among_fifty_good_ones_is_held_and_named(
    variant: str, case: str, served: Serving, make_lab: MakeLab, port: int
) -> None:
    """The good ones live, and the proxy settles."""
    good = [item for index in range(50) for item in (cluster(f"g{index}"), endpoints(f"g{index}", 1))]
    served.plane.publish(LAB, [*good[:10], route("r0", "g0")])
    lab = make_lab(variant=variant)
    lab.settled()
    bad = bad_ones(port)[case]
    served.plane.publish(LAB, [*good, route("r0", "g0"), *bad])
    state = eventually(lambda: (found := lab.plane.state(LAB)).held and found.settled and found)
    assert state.held.keys() == {bad[-1].id}
    eventually(lambda: lab.clusters() >= {f"g{index}" for index in range(50)})
    assert lab.version("cluster_manager.cds") == state.sets[CLUSTER]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_ghost_that_envoy_never_answers_for_is_taken_away_by_a_hold(
    variant: str, served: Serving, make_lab: MakeLab
) -> None:
    """A cluster that can't be built, before a valid one: Envoy neither takes nor refuses the response until it is gone."""
    good = [cluster("good"), endpoints("good", 1)]
    served.plane.publish(LAB, good)
    lab = make_lab(variant=variant)
    lab.settled()
    sizes = {"minimum_ring_size": 9, "maximum_ring_size": 1}
    ghost = cluster("bad", lb_policy="RING_HASH", ring_hash_lb_config=sizes)
    served.plane.publish(LAB, [*good, ghost, endpoints("bad", 1), cluster("more"), endpoints("more", 1)])
    eventually(lambda: lab.stat("cluster_manager.warming_clusters") == "1")
    assert lab.plane.hold(LAB, ghost.id, "a ghost")
    eventually(lambda: lab.clusters() == {"good", "more"})
    state = lab.settled()
    assert state.held.keys() == {ghost.id}
    assert lab.version("cluster_manager.cds") == state.sets[CLUSTER]
