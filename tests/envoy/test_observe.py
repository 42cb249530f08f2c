"""What a real Envoy shows equals what it was given: the round trip that every plan and every proof stands on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.envoy import Admin, matches, readings
from reconciler.http import Reply
from reconciler.model import protos
from reconciler.model.resource import Resource, ResourceId, set_version
from reconciler.settings import AdminSettings
from tests.envoy.live import (
    CLUSTER,
    ENDPOINTS,
    LISTENER,
    ROUTE,
    RUNTIME,
    Files,
    Live,
    at,
    chain,
    made,
    running,
    split,
    until,
    view,
)

V1, V2 = "outbound|9080|v1|reviews.default.svc.cluster.local", "outbound|9080|v2|reviews.default.svc.cluster.local"


def world(files: Files) -> tuple[Resource, ...]:
    """A small proxy with one of everything."""
    return (
        files.cluster(V1),
        files.cluster(V2),
        files.endpoints(V1, 1001, 1002),
        files.endpoints(V2, 1003),
        files.listener("127.0.0.1_9080", "9080"),
        files.route("9080", {V1: 95, V2: 5}),
    )


@pytest.fixture
def live(envoy: str, short_path: Path) -> Iterator[Live]:
    """A running Envoy that has the small world."""
    assert envoy
    with running(short_path, world) as lab:
        yield lab


def test_what_it_was_given_is_what_it_shows(live: Live) -> None:
    """Every resource comes back with the version it was compiled with, and nothing else does."""
    expected = view(world(live))
    seen = live.observe()
    assert dict(seen.resources) == dict(expected.resources)
    assert seen.version == expected.version
    assert (seen.foreign, seen.rejections) == (frozenset(), ())
    assert seen.reachable


def test_the_cheap_reading_shows_it_too(live: Live) -> None:
    """Versions of sets and of single resources, nothing warming, nothing refused, no overrides, live."""
    expected = view(world(live))
    versions = live.admin.versions()
    assert matches(versions, expected)
    by_name = {(id_.type, id_.name): item.version for id_, item in expected.resources.items()}
    by_set = {(type_, ""): set_version(expected.of_type(type_)) for type_ in (CLUSTER, LISTENER)}
    assert dict(versions.versions) == by_set | {key: by_name[key] for key in by_name if key[0] in {ENDPOINTS, ROUTE}}
    assert (versions.warming, versions.overrides, versions.live, sum(versions.rejected.values())) == (0, 0, True, 0)


def test_only_the_asked_types_are_read(live: Live) -> None:
    """A proof of one type reads that type."""
    for type_ in (CLUSTER, ENDPOINTS, LISTENER, ROUTE):
        assert {id_.type for id_ in live.observe(type_).resources} == {type_}
    assert not live.observe(RUNTIME).resources


def test_a_change_by_hand_is_seen(live: Live) -> None:
    """Content decides, also where the version was kept."""
    before = live.observe()
    tampered = live.route("9080", {V1: 50, V2: 50})
    live.put(tampered.id, [tampered], before.resources[tampered.id].version)
    until(lambda: live.observe().resources[tampered.id] == tampered)
    assert matches(live.admin.versions(), view(world(live)))  # the limit of versions: they are what the file says
    assert live.observe().version != before.version


NAMES = [
    "http.8080",
    "reviews.default.svc.cluster.local:80",
    "127.0.0.1:9080",
    "inbound|9080||",
    "db.abc.rds.amazonaws.com:5432",
    "1.rds.2",
    "a://b",
    "dots..",
    "..leading",
    "with space",
    'quote"and&amp;<b>',
    "ünïcode",
    "slash/in/it",
    "per%cent",
    "a=b,c;d{e}",
]


def test_names_are_found_whatever_stats_make_of_them(envoy: str, short_path: Path) -> None:
    """Envoy rewrites names in stats; lookups by the real name find them, for routes and for endpoints."""
    assert envoy

    def named(files: Files) -> Iterator[Resource]:
        for index, name in enumerate(NAMES):
            yield files.cluster(name)
            yield files.endpoints(name, 1000 + index)
            yield files.route(name, {name: index + 1})
            yield files.listener(f"x.rds.{name}" if index % 2 else name, name)

    with running(short_path, named) as lab:
        expected = view(named(lab))
        assert dict(lab.observe().resources) == dict(expected.resources)
        versions = lab.admin.versions()
        for id_, item in expected.resources.items():
            if id_.type in {ENDPOINTS, ROUTE}:
                assert versions.versions.get((id_.type, id_.name)) == item.version, id_
        assert matches(versions, expected)


def host(port: int, **more: Any) -> dict[str, Any]:
    """An endpoint that is not plain."""
    endpoint = {"address": at(port)} | more.pop("endpoint", {})
    return {"endpoint": endpoint, **more}


SHAPES: dict[str, dict[str, Any]] = {
    "plain": {"endpoints": [{"lb_endpoints": [host(3, load_balancing_weight=5), host(1), host(2)]}]},
    "one address twice": {"endpoints": [{"lb_endpoints": [host(3, load_balancing_weight=5), host(3)]}]},
    "one address twice, apart": {
        "endpoints": [
            {"locality": {"region": "b"}, "lb_endpoints": [host(3, load_balancing_weight=5)]},
            {"locality": {"region": "a"}, "lb_endpoints": [host(3), host(4)]},
        ]
    },
    "localities": {
        "endpoints": [
            {"locality": {"region": "r2"}, "load_balancing_weight": 3, "lb_endpoints": [host(1)]},
            {"locality": {"region": "r1", "zone": "z"}, "load_balancing_weight": 7, "lb_endpoints": [host(2)]},
            {"locality": {"region": "r1", "zone": "z"}, "priority": 1, "lb_endpoints": [host(4)]},
        ]
    },
    "locality in pieces": {"endpoints": [{"lb_endpoints": [host(2)]}, {"lb_endpoints": [host(1)]}]},
    "none": {},
    "none in a locality": {"endpoints": [{"lb_endpoints": []}]},
    "names and metadata": {
        "endpoints": [
            {
                "lb_endpoints": [
                    host(
                        1,
                        endpoint={"hostname": "h.example", "health_check_config": {"port_value": 9, "hostname": "hc"}},
                        metadata={"filter_metadata": {"istio": {"workload": "x"}, "envoy.lb": {"version": "v1"}}},
                    )
                ]
            }
        ]
    },
    "policy": {
        "endpoints": [{"lb_endpoints": [host(1)]}],
        "policy": {
            "overprovisioning_factor": 200,
            "drop_overloads": [{"category": "d", "drop_percentage": {"numerator": 5}}],
        },
    },
    "IPv6": {
        "endpoints": [
            {
                "lb_endpoints": [
                    {"endpoint": {"address": at(1, "0:0:0:0:0:0:0:1")}},
                    {"endpoint": {"address": at(2, "FE80::a")}},
                ]
            }
        ]
    },
    "pipe": {"endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": "/tmp/none"}}}}]}]},  # noqa: S108
}


def test_endpoints_of_every_shape_come_back_equal(envoy: str, short_path: Path) -> None:
    """Envoy builds its dump of endpoints anew; the canonical form takes that back, whatever was sent."""
    assert envoy

    def shaped(files: Files) -> Iterator[Resource]:
        for name, shape in SHAPES.items():
            yield files.cluster(name)
            yield made(ENDPOINTS, {"cluster_name": name} | shape)

    with running(short_path, shaped) as lab:
        seen = lab.observe(ENDPOINTS).resources
        for name in SHAPES:
            id_ = ResourceId(ENDPOINTS, name)
            wanted = view(shaped(lab)).resources[id_]
            assert seen[id_] == wanted, f"{name}: {protos.decode(seen[id_])} is not {protos.decode(wanted)}"


def test_health_is_no_configuration(envoy: str, short_path: Path) -> None:
    """An endpoint that fails its health check is still configured as it was."""
    assert envoy
    check = {
        "timeout": "0.05s",
        "interval": "0.05s",
        "unhealthy_threshold": 1,
        "healthy_threshold": 1,
        "tcp_health_check": {},
    }

    def sick(files: Files) -> tuple[Resource, ...]:
        return files.cluster("c", health_checks=[check]), files.endpoints("c", 1)

    with running(short_path, sick) as lab:
        until(lambda: b"/failed_active_hc" in lab.admin._client.get("/clusters").body)
        assert dict(lab.observe().resources) == dict(view(sick(lab)).resources)


def test_clusters_without_eds_have_no_endpoints_of_their_own(envoy: str, short_path: Path) -> None:
    """The dump lists endpoints of every cluster; those of static ones are part of the cluster, however they are read."""
    assert envoy
    assignment = {"cluster_name": "fixed", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": at(1)}}]}]}

    def fixed(_: Files) -> tuple[Resource, ...]:
        return (made(CLUSTER, {"name": "fixed", "type": "STATIC", "load_assignment": assignment}),)

    with running(short_path, fixed) as lab:
        assert dict(lab.observe().resources) == dict(view(fixed(lab)).resources)
        assert not lab.observe(ENDPOINTS).resources


def test_what_the_bootstrap_defines_is_foreign(envoy: str, short_path: Path) -> None:
    """No push can change static resources: they are named, and not counted as what serves."""
    assert envoy
    inline = split("inline", {"fixed": 1})
    static = {
        "clusters": [{"name": "fixed", "type": "STATIC", "load_assignment": {"cluster_name": "fixed"}}],
        "listeners": [{"name": "front", "address": at(0), "filter_chains": [chain("front", route_config=inline)]}],
    }
    with running(short_path, static_resources=static) as lab:
        seen = lab.observe()
    assert seen.foreign == {ResourceId(CLUSTER, "fixed"), ResourceId(LISTENER, "front")}
    assert not seen.resources


def test_a_refused_listener_is_a_rejection_in_envoys_words(live: Live) -> None:
    """Envoy says which listener it refused and why; what served before serves on; the next good file clears it."""
    good = world(live)
    bad = live.listener("127.0.0.1_9080", "not there")
    live.write([item for item in good if item.id.type is not LISTENER] + [bad])
    until(lambda: live.admin.versions().rejected[LISTENER] == 1)
    seen = live.observe()
    assert [(item.type, item.name) for item in seen.rejections] == [(LISTENER, "127.0.0.1_9080")]
    assert "not there.pb' does not exist" in seen.rejections[0].message
    assert dict(seen.resources) == dict(view(good).resources)
    live.write(good, version="again")
    until(lambda: live.admin.versions().versions[LISTENER, ""] == "again")
    assert live.observe().rejections == ()


def test_other_refusals_are_counted_by_type(live: Live) -> None:
    """For clusters, endpoints and routes Envoy only counts; the counts don't mix."""
    before = live.admin.versions()
    bad = live.cluster("bad", lb_policy="RING_HASH", ring_hash_lb_config={"maximum_ring_size": 1})
    live.put(ResourceId(CLUSTER, ""), [live.cluster(V1), live.cluster(V2), bad], "x")
    live.put(ResourceId(ENDPOINTS, V1), [live.endpoints("another")], "x")
    route = made(ROUTE, {"name": "another"})
    live.put(ResourceId(ROUTE, "9080"), [route], "x")
    until(lambda: all(live.admin.versions().rejected[type_] for type_ in (CLUSTER, ENDPOINTS, ROUTE)))
    after = live.admin.versions()
    assert {
        type_: after.rejected[type_] - before.rejected[type_] for type_ in (CLUSTER, ENDPOINTS, LISTENER, ROUTE)
    } == {
        CLUSTER: 1,
        ENDPOINTS: 1,
        LISTENER: 0,
        ROUTE: 1,
    }
    assert live.observe().rejections == ()


def test_a_file_that_is_no_protobuf_is_an_empty_one_to_envoy(live: Live) -> None:
    """Envoy takes bytes that it can't parse in a `.pb` as an update to nothing, and counts a success: content is gone."""
    path = live.directory / "cds.pb"
    beside = path.with_name(".new")
    beside.write_bytes(b"\xff\xff\xff")
    beside.replace(path)
    until(lambda: not live.observe(CLUSTER).resources)
    versions = live.admin.versions()
    assert versions.rejected[CLUSTER] == 0
    assert not matches(versions, view(world(live)))


def test_a_file_of_another_type_counts_as_refused(live: Live) -> None:
    """Envoy counts what it can't unpack like what it refuses."""
    live.put(ResourceId(ROUTE, "9080"), [live.cluster(V1)], "x")
    until(lambda: live.admin.versions().rejected[ROUTE] == 1)


def test_the_valid_part_of_a_refused_set_is_seen(live: Live) -> None:
    """Envoy applies what is valid and keeps the version: versions alone then prove nothing, and `since` says so."""
    good = view(world(live))
    proven = live.admin.versions()
    assert matches(proven, good, since=proven)
    bad = live.cluster("bad", lb_policy="RING_HASH", ring_hash_lb_config={"maximum_ring_size": 1})
    new = live.cluster("new", type="STATIC", eds_cluster_config=None)
    live.put(ResourceId(CLUSTER, ""), [*good.of_type(CLUSTER), new, bad], "x")
    until(lambda: live.admin.versions().rejected[CLUSTER] == 1)
    versions = live.admin.versions()
    assert matches(versions, good)
    assert not matches(versions, good, since=proven)
    assert ResourceId(CLUSTER, "new") in live.observe().resources


def test_routes_of_a_listener_that_is_going_are_gone(envoy: str, short_path: Path) -> None:
    """A removed listener drains for minutes and keeps its routes in the dump; they serve nobody new, and are no orphans."""
    assert envoy
    with running(short_path, world) as lab:
        # It is started with a drain of one second, which may be over before we look; ten minutes are Envoy's default.
        lab.process.stop()
        lab.process._command[lab.process._command.index("--drain-time-s") + 1] = "600"
        lab.process.start()
        kept = [item for item in world(lab) if item.id.type in {CLUSTER, ENDPOINTS}]
        lab.write(kept)
        until(lambda: _draining(lab))
        assert _dumped_routes(lab) == ["9080"]
        assert dict(lab.observe().resources) == dict(view(kept).resources)
        assert not lab.observe(ROUTE).resources


def _draining(lab: Live) -> bool:
    return b"total_listeners_draining: 1" in lab.admin._client.get("/stats?filter=total_listeners_draining").body


def _dumped_routes(lab: Live) -> list[str]:
    dumped = json.loads(lab.admin._client.get("/config_dump?resource=dynamic_route_configs").body)
    return [item["route_config"]["name"] for item in dumped["configs"]]


def test_a_restart_changes_the_epoch(live: Live) -> None:
    """Counters begin again with a process; the epoch says so however soon it is back, and on the same connection object."""
    before = live.admin.versions().epoch
    assert live.admin.versions().epoch == before
    live.process.kill()
    live.process.start()
    after = live.admin.versions().epoch
    assert after != before
    with Admin(live.admin.address, AdminSettings()) as other:
        assert other.versions().epoch == after


def test_a_lasting_connection_needs_one_request(live: Live) -> None:
    """The process is asked for once per connection: while one lasts, a cheap reading is one request."""
    with counting(live) as asked:
        for _ in range(5):
            live.admin.versions()
    assert asked == [readings.STATS] * 5
    with counting(live) as asked:
        live.process.kill()
        live.process.start()
        live.admin.versions()
        live.admin.versions()
    assert asked == [readings.STATS, readings.EPOCH, readings.STATS]


@contextmanager
def counting(lab: Live) -> Iterator[list[str]]:
    """What is asked meanwhile, on top of what the client does anyway."""
    lab.admin.versions()
    asked: list[str] = []
    client = lab.admin._client
    plain = client.get

    def get(target: str) -> Reply:
        asked.append(target)
        return plain(target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "get", get)
        yield asked


def test_draining_on_request_is_not_live(live: Live) -> None:
    """An Envoy that was told to fail its health checks is not live, at once and until told otherwise."""
    live.admin._client.post("/healthcheck/fail")
    assert not live.admin.versions().live
    live.admin._client.post("/healthcheck/ok")
    assert live.admin.versions().live


def test_starting_is_not_live(envoy: str, short_path: Path) -> None:
    """An Envoy whose clusters wait for their endpoints answers, warms, and is not live."""
    assert envoy
    options = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    xds = {
        "name": "xds",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "xds", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": at(1)}}]}]},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
    }
    source = {
        "resource_api_version": "V3",
        "initial_fetch_timeout": "600s",
        "api_config_source": {
            "api_type": "GRPC",
            "transport_api_version": "V3",
            "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
        },
    }

    with running(short_path, world, static_resources={"clusters": [xds]}) as lab:
        waiting = lab.cluster("waiting", eds_cluster_config={"eds_config": source})
        wanted = [*world(lab), waiting]
        lab.write(wanted)
        until(lambda: lab.admin.versions().warming == 1)
        assert waiting.id not in lab.observe().resources
        assert not matches(lab.admin.versions(), view(wanted))
        lab.process.kill()
        with starting(lab):
            until(lambda: lab.admin._client.get("/ready").text.strip() in {"PRE_INITIALIZING", "INITIALIZING"})
            assert not lab.admin.versions().live


@contextmanager
def starting(lab: Live) -> Iterator[None]:
    """Start its Envoy again without waiting for it, and end it."""
    with subprocess.Popen(lab.process._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: lab.admin.observe(lab.proxy(), at=lambda: datetime.now(UTC), types=()).reachable)
            yield
        finally:
            process.kill()
