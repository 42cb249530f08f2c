"""Envoy's own stats as Prometheus sees them: whose requests, to which service and version, and how they were answered."""

from __future__ import annotations

import http.client
import re
import socket
from contextlib import closing
from http.client import HTTPConnection

import pytest

from reconciler.envoy import Admin
from reconciler.settings import AdminSettings
from tests.envoy.live import until
from tests.telemetry.lab import ODD, PROXIES, REVIEWS, Lab
from tests.telemetry.series import Series, parsed, summed

_BY = ("destination_service", "destination_version", "envoy_response_code")


@pytest.fixture(scope="module")
def scraped(lab: Lab) -> dict[str, list[Series]]:
    """What every proxy shows after some traffic, by proxy."""
    for _ in range(3):
        assert lab.ask() == lab.ask(version="v2") == 200
    assert lab.ask(version="none") == 200
    for host in ODD:
        assert lab.ask(host=host) == 200
    for _ in range(2):
        assert lab.ask("gateway", REVIEWS) == 200
    with socket.create_connection(("127.0.0.1", lab.ports["tcp"]), timeout=10) as connection:
        assert connection.recv(6) == b"mysql\n"

    def flushed() -> bool:
        counted = summed(metrics(lab, "web-1"), "envoy_cluster_upstream_rq_time_count", direction="outbound")
        return sum(counted.values()) == 10

    until(flushed)
    return {name: metrics(lab, name) for name in PROXIES}


def metrics(lab: Lab, proxy: str) -> list[Series]:
    """What a proxy's listener for metrics shows."""
    with closing(HTTPConnection("127.0.0.1", lab.metrics[proxy], timeout=10)) as client:
        client.request("GET", "/stats/prometheus?usedonly")
        answer = client.getresponse()
        assert answer.status == 200
        return parsed(answer.read().decode())


def test_requests_are_counted_by_service_version_and_status(lab: Lab, scraped: dict[str, list[Series]]) -> None:
    """By the caller's sidecar and by the gateway; without a subset the version is empty, and odd hosts stay whole."""
    odd = {(host, "", "200"): 1 for host in ODD}
    assert summed(scraped["web-1"], "envoy_cluster_upstream_rq", *_BY, direction="outbound") == {
        (REVIEWS, "v1", "200"): 3,
        (REVIEWS, "v2", "200"): 3,
        (REVIEWS, "", "200"): 1,
        **odd,
    }
    assert summed(scraped["edge"], "envoy_cluster_upstream_rq", *_BY) == {(REVIEWS, "v1", "200"): 2}
    ports = summed(scraped["web-1"], "envoy_cluster_upstream_rq_completed", "destination_port", direction="outbound")
    assert ports == {(str(lab.ports["service"]),): 10}


def test_the_callee_counts_what_comes_in(lab: Lab, scraped: dict[str, list[Series]]) -> None:
    """By port: its own name is in the labels that say whose metrics these are."""
    found = summed(
        scraped["reviews-v1"], "envoy_cluster_upstream_rq_completed", "direction", "destination_port", "workload"
    )
    assert set(found) == {("inbound", str(lab.ports["inbound"]), "reviews-v1")}
    assert sum(found.values()) >= 5
    down = summed(
        scraped["reviews-v1"], "envoy_http_downstream_rq_xx", "envoy_response_code_class", direction="inbound"
    )
    assert set(down) == {("2",)}


def test_every_series_says_whose_it_is(scraped: dict[str, list[Series]]) -> None:
    """The caller: proxy, namespace, workload; a gateway's workload is itself. A few stats are older than Envoy's bootstrap."""
    for name, series in scraped.items():
        younger = [item for metric, item, _ in series if not metric.startswith("envoy_filesystem_")]
        whose = {(item.get("proxy"), item.get("namespace"), item.get("workload")) for item in younger}
        assert whose == {(name, "default", name)}


def test_connections_are_counted_by_service_too(lab: Lab, scraped: dict[str, list[Series]]) -> None:
    """TCP has no versions of its own to count by unless a rule names subsets."""
    port = str(lab.ports["tcp"])
    for metric in ("envoy_cluster_upstream_cx_total", "envoy_tcp_downstream_cx_total"):
        found = summed(scraped["web-1"], metric, "destination_service", "destination_port", destination_port=port)
        assert found == {("mysql.example.com", port): 1}


def test_nothing_of_a_name_is_left_in_the_name_of_a_metric(lab: Lab) -> None:
    """Also of stats that nothing was counted in yet: what is in a label is out of the name."""
    for proxy in PROXIES:
        names = {name for name, _, _ in parsed(lab.admin(proxy, "/stats/prometheus"))}
        odd = {name for name in names if re.search(r"127_0|cluster_local_|example|metadata_google|_\d{5}|bound_", name)}
        assert odd == set()
        assert any(name.startswith("envoy_cluster_circuit_breakers_default_") for name in names)


def test_durations_have_buckets_that_tell_versions_apart(scraped: dict[str, list[Series]]) -> None:
    """Milliseconds, from 1 to a minute."""
    bounds = summed(scraped["web-1"], "envoy_cluster_upstream_rq_time_bucket", "le", destination_version="v1")
    assert {"1", "2.5", "5", "250", "60000", "+Inf"} <= {bound for (bound,) in bounds}


def test_what_reads_stats_by_name_reads_the_same(lab: Lab, scraped: dict[str, list[Series]]) -> None:
    """Tags change labels and no names: rollouts' counters and what pushes are proven by."""
    del scraped
    cluster = f"outbound|{lab.ports['service']}|v2|{REVIEWS}"
    with Admin(f"unix://{lab.folder}/web-1.s", AdminSettings()) as admin:
        found = admin.counters([cluster]).clusters[cluster].counts
        assert (found.requests, found.errors, sum(found.times.values())) == (3, 0, 3)
        assert admin.versions().versions


_NOT_SERVED = {
    ("GET", "/"): 404,
    ("GET", "/stats"): 404,
    ("GET", "/config_dump"): 404,
    ("GET", "/ready"): 404,
    ("GET", "/stats/prometheus/"): 404,
    ("GET", "/stats/prometheus/../../quitquitquit"): 404,
    ("GET", "/stats/prometheus%2f..%2fx"): 400,
    ("POST", "/quitquitquit"): 404,
    ("POST", "/stats/prometheus"): 405,
    ("POST", "/runtime_modify?a=b"): 404,
    ("HEAD", "/stats/prometheus"): 405,
}


@pytest.mark.parametrize(("method", "target"), _NOT_SERVED)
def test_the_listener_serves_metrics_and_nothing_else(lab: Lab, method: str, target: str) -> None:
    """The admin endpoint behind it can end the process and shows configuration."""
    with closing(HTTPConnection("127.0.0.1", lab.metrics["edge"], timeout=10)) as client:
        client.request(method, target)
        assert client.getresponse().status == _NOT_SERVED[method, target]


def test_the_listener_is_on_loopback_unless_it_is_told_otherwise(lab: Lab) -> None:
    """Another address of the machine, where nobody asked for it, answers nobody."""
    with pytest.raises((ConnectionRefusedError, http.client.HTTPException)):
        socket.create_connection(("127.0.0.99", lab.metrics["edge"]), timeout=10)
