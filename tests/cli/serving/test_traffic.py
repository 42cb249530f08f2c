from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.serving.sampler import Rate, Sampled, Sampler
from reconciler.cli.serving.traffic import Caller, document, draw
from reconciler.clock import SystemClock
from reconciler.cycle import Inventory
from reconciler.envoy import AdminError
from reconciler.envoy.requests import RequestCounts, Sent
from reconciler.model.key import Key
from reconciler.settings import AdminSettings
from tests.cli.services.inventories import SUFFIX, catalogue, desired, member, service
from tests.http.servers import Behaviour, always, answer, nobody, read_request, serving
from tests.web.world import until

SUBSETS = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: b}
spec: {host: b, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: b}
spec:
  hosts: [b]
  http:
  - name: primary
    route:
    - {destination: {host: b, subset: v1}, weight: 75}
    - {destination: {host: b, subset: v2}, weight: 25}
"""
A, EDGE = Key("default", "a-1"), Key("default", "edge")
GATEWAY = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {gateway: edge}
  servers: [{port: {number: 8000, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: edge}
spec: {labels: {gateway: edge}, admin: "unix:///run/edge", push: {files: {directory: /x/edge}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: pages}
spec:
  hosts: ["pages.example"]
  gateways: [edge]
  http: [{name: pages, route: [{destination: {host: a}}]}]
"""


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    files = {
        "a": service("a", 80) + "---\n" + member("a-1", "10.0.0.1", "a"), "edge": GATEWAY,
        "b": service("b", 80) + "---\n" + member("b-1", "10.0.0.2", "b") + "---\n" + SUBSETS,
    }  # fmt: skip
    made = desired(tmp_path, files, catalogue())
    return Inventory(desired=made, services=made.services, catalogue=catalogue())


def cluster(name: str, subset: str = "") -> str:
    return f"outbound|80|{subset}|{name}{SUFFIX}"


def shown(inventory: Inventory, rates: Mapping[Key, Mapping[str, Rate]], **sampled: Any) -> Any:
    made = document(draw(inventory), Sampled(rates=rates, **sampled), now="now")
    assert json.loads(json.dumps(made)) == made
    return made


def test_callers_are_services_where_they_belong_to_one(inventory: Inventory) -> None:
    """A sidecar is its workload's service, and a gateway is itself."""
    drawn = draw(inventory)
    assert drawn.callers[A] == Caller("service", "a" + SUFFIX)
    assert drawn.callers[EDGE] == Caller("proxy", "default/edge")


def test_an_edge_is_where_requests_were_counted_or_a_gateway_leads(inventory: Inventory) -> None:
    """Before anything is measured, only what gateways do is known; what may be called and never was is no edge."""
    (edge,) = shown(inventory, {})["edges"]
    assert (edge["from"], edge["to"]) == ({"kind": "proxy", "name": "default/edge"}, "a" + SUFFIX)
    assert (edge["total"], edge["requests"]) == (0, None)


def test_the_split_is_told_as_it_is_meant_and_as_it_is_measured(inventory: Inventory) -> None:
    """Percent by subset from the routes of the caller, and from the requests that it sent."""
    rates = {
        A: {cluster("b", "v1"): Rate(700, 60.0, 0.0), cluster("b", "v2"): Rate(300, 40.0, 2.0), "odd": Rate(1, 1, 0)}
    }
    whole = shown(inventory, rates)
    (edge,) = (item for item in whole["edges"] if item["to"] == "b" + SUFFIX)
    assert whole["measured"] is True
    assert (edge["from"], edge["ports"], edge["proxies"]) == ({"kind": "service", "name": "a" + SUFFIX}, [80], 1)
    assert (edge["total"], edge["requests"], edge["errors"]) == (1000, 100.0, 2.0)
    assert [(item["subset"], item["requests"], item["percent"]) for item in edge["subsets"]] == [
        ("v1", 60.0, 60.0),
        ("v2", 40.0, 40.0),
    ]
    assert {
        "route": "primary",
        "shares": [{"subset": "v1", "percent": 75.0}, {"subset": "v2", "percent": 25.0}],
    } in edge["routes"]
    (counts,) = (item for item in whole["services"] if item["host"] == "b" + SUFFIX)
    assert (counts["instances"], counts["healthy"]) == (1, 1)


def stats(**counts: int) -> bytes:
    """What an Envoy answers, by cluster of `b`."""
    found = [{"name": "server.live", "value": 1}, {"histograms": {"details": []}}]
    for subset, value in counts.items():
        found.append({"name": f"cluster.{cluster('b', subset)}.upstream_rq_completed", "value": value})
        found.append({"name": f"cluster.{cluster('b', subset)}.upstream_rq_5xx", "value": value // 10})
    return answer(200, json.dumps({"stats": found}).encode())


def test_requests_are_read_by_cluster() -> None:
    """Counts and errors of each that was ever called."""
    with serving(always(stats(v1=100, v2=7))) as server, RequestCounts(server.address, AdminSettings()) as counts:
        assert counts.read() == {cluster("b", "v1"): Sent(100, 10), cluster("b", "v2"): Sent(7, 0)}


@pytest.mark.parametrize(
    "reply",
    [answer(200, b"[]"), answer(200, b'{"stats": []}'), answer(200, b'{"stats": [{"name": 1}]}'), answer(403, b"no")],
)
def test_what_is_no_envoy_is_an_error(reply: bytes) -> None:
    """Whatever answers at an address."""
    with (
        serving(always(reply)) as server,
        RequestCounts(server.address, AdminSettings()) as counts,
        pytest.raises(AdminError),
    ):
        counts.read()


def growing(asked: list[int], steps: list[dict[str, int]]) -> Behaviour:
    """Each answer is the next of these; the last one stays."""

    def behave(connection: Any, _over: threading.Event) -> None:
        while read_request(connection):
            connection.sendall(stats(**steps[min(len(asked), len(steps) - 1)]))
            asked.append(1)

    return behave


@contextmanager
def sampling(addresses: Mapping[Key, str], **limits: float) -> Iterator[Sampler]:
    sampler = Sampler(lambda: addresses, AdminSettings(), SystemClock(), pause=0.02, **limits)
    try:
        yield sampler
    finally:
        sampler.close()
        assert not sampler.running


def test_rates_come_of_two_readings_and_a_new_process_counts_from_zero() -> None:
    """More requests than before are a rate; fewer are another process, and never a negative one."""
    asked: list[int] = []
    steps = [{"v1": 100}, {"v1": 200}, {"v1": 300}, {"v1": 5}, {"v1": 10}]
    with serving(growing(asked, steps)) as server, sampling({A: server.address}) as sampler:
        assert sampler.look() == Sampled()
        seen: list[Rate] = []

        def settled() -> bool:
            rate = sampler.look().rates.get(A, {}).get(cluster("b", "v1"))
            if rate is not None:
                seen.append(rate)
            return rate is not None and rate.total == 10 and rate.requests is not None

        until(settled)
        assert all(rate.requests is None or rate.requests >= 0 for rate in seen)
        assert any(rate.requests for rate in seen)


def test_it_measures_only_while_somebody_looks() -> None:
    """Its thread and its connections end by themselves, and the next look starts anew."""
    asked: list[int] = []
    with serving(growing(asked, [{"v1": 1}])) as server, sampling({A: server.address}, idle=0.1) as sampler:
        assert not sampler.running
        sampler.look()
        until(lambda: not sampler.running)
        assert server.ended.acquire(timeout=10)
        count = len(asked)
        sampler.look()
        until(lambda: len(asked) > count)


def test_closing_waits_for_nobody_whose_turn_would_be_next() -> None:
    """A hundred callers that hang must not hold the daemon's end up, each for as long as its limits last."""
    asked: list[int] = []
    answers = threading.Event()

    def behave(connection: Any, _over: threading.Event) -> None:
        while read_request(connection):
            asked.append(1)
            answers.wait(10)
            connection.sendall(stats(v1=1))

    with serving(behave) as server:
        with sampling({Key("default", f"p{number}"): server.address for number in range(40)}) as sampler:
            sampler.look()
            until(lambda: len(asked) == 4)
            ending = threading.Thread(target=sampler.close)
            ending.start()
            until(lambda: sampler._closed)
            answers.set()
            ending.join(10)
        assert len(asked) == 4


def test_who_can_not_be_asked_is_named() -> None:
    """Beside the others, whose rates are there."""
    with nobody() as gone, serving(always(stats(v1=1))) as server, sampling({A: server.address, EDGE: gone}) as sampler:
        until(lambda: bool(sampler.look().silent))
        assert list(sampler.look().silent) == [EDGE]
        assert A in sampler.look().rates
