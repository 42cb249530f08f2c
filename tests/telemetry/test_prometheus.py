"""A real Prometheus finds the fleet at the daemon's server, scrapes real Envoys, and shows the requests that were sent."""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.serving.targets import FleetTargets
from reconciler.clock import SystemClock
from reconciler.cycle import Inventory
from reconciler.cycle.desired import Desired
from reconciler.model.discovered import NOTHING
from reconciler.web import Door, Offer, Role, TokenFile, WebServer, add_token, application, listen_tcp, mint
from tests.envoy.live import until
from tests.prometheus.server import Prometheus
from tests.telemetry.lab import PROXIES, REVIEWS, Lab
from tests.web.world import LOGGER, World

MONITORING = Path(__file__).resolve().parents[2] / "docs" / "monitoring"
RULES = MONITORING / "istio-compatible-rules.yaml"
DASHBOARD = MONITORING / "services-dashboard.json"
_V1, _V2, _PLAIN, _GATEWAY, _FAILED = 7, 5, 3, 4, 2
_NO_DATA = {"Ejected instances", "Timeouts"}
"""Panels without a series in this mesh: nothing ejects instances here, and nothing is late. What was never counted is not scraped."""


@contextmanager
def daemon(lab: Lab, tokens: Path) -> Iterator[str]:
    """A server with what the daemon lists of this fleet, to those who have a token."""
    mesh = lab.mesh
    desired = Desired(commit="c", mesh=mesh, source=mesh, templates={}, views={}, warnings=(), notes={})
    inventory = Inventory(desired=desired, services=(), catalogue=NOTHING)
    targets = FleetTargets(inventory=lambda: inventory, connections=dict)
    tokens.touch(mode=0o600)
    access = Door(SystemClock(), tokens=TokenFile(tokens))
    app = application(Offer(knowledge=World(), access=access, targets=targets), logger=LOGGER)
    server = WebServer(app, listen_tcp("127.0.0.1:0"), logger=LOGGER)
    server.start()
    try:
        yield server.address
    finally:
        server.stop()


@dataclass(frozen=True)
class Asked:
    """A Prometheus, and the server that it has its targets from."""

    lab: Lab
    prometheus: Prometheus
    daemon: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of a query."""
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"{self.prometheus.address}/api/v1/query?{query}", timeout=10) as answer:  # noqa: S310 -- our own
            found = json.load(answer)
        assert found["status"] == "success", found
        result: list[dict[str, Any]] = found["data"]["result"]
        return result

    def table(self, expression: str, *by: str) -> dict[tuple[str, ...], float]:
        """Values by these labels."""
        return {
            tuple(item["metric"].get(name, "") for name in by): float(item["value"][1])
            for item in self.query(expression)
        }


@pytest.fixture(scope="module")
def asked(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """A Prometheus that has seen some traffic."""
    folder = tmp_path_factory.mktemp("prometheus")
    shown, token = mint(name="P", email="p@x.test", roles=[Role.READ], created=SystemClock().now())
    with daemon(lab, folder / "tokens") as address:
        add_token(folder / "tokens", token)
        job = {
            "job_name": "envoys",
            "honor_labels": True,
            "params": {"usedonly": [""]},
            "scrape_interval": "200ms",
            "scrape_timeout": "200ms",
            "http_sd_configs": [
                {
                    "url": f"http://{address}/v1/targets",
                    "refresh_interval": "1s",
                    "authorization": {"type": "Bearer", "credentials": shown},
                }
            ],
        }
        prometheus = Prometheus(folder, settings={"scrape_configs": [job], "rule_files": [str(RULES)]})
        try:
            prometheus.start()
            found = Asked(lab, prometheus, address)
            until(lambda: found.table("sum(up)") == {(): len(PROXIES)})
            _traffic(lab)
            until(lambda: sum(found.table(_COUNTED, "destination_version").values()) == _V1 + _V2 + _PLAIN + _GATEWAY)
            _traffic(lab)  # a rate is of what grows
            yield found
        finally:
            prometheus.stop()


_COUNTED = f'sum by (destination_version) (envoy_cluster_upstream_rq_completed{{destination_service="{REVIEWS}"}})'


def _traffic(lab: Lab) -> None:
    for _ in range(_V1):
        assert lab.ask() == 200
    for _ in range(_V2):
        assert lab.ask(version="v2") == 200
    for _ in range(_PLAIN):
        assert lab.ask(version="none") == 200
    for _ in range(_GATEWAY):
        assert lab.ask("gateway", REVIEWS) == 200
    for _ in range(_FAILED):
        assert lab.ask(host="broken.example.com") == 503
    with socket.create_connection(("127.0.0.1", lab.ports["tcp"]), timeout=10) as connection:
        assert connection.recv(6) == b"mysql\n"
        connection.sendall(b"select")
        assert connection.recv(6) == b"select"


def test_the_fleet_is_listed_to_who_may_read(asked: Asked) -> None:
    """With a token; without one there is an error, for which Prometheus keeps what it had."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://{asked.daemon}/v1/targets", timeout=10)
    caught.value.close()
    assert caught.value.code == 401
    labels = asked.table("up", "proxy", "namespace", "workload", "gateway", "app", "version")
    assert set(labels) == {
        ("edge", "default", "edge", "true", "", ""),
        ("web-1", "default", "web-1", "false", "web", ""),
        ("reviews-v1", "default", "reviews-v1", "false", "reviews", "v1"),
    }


def test_what_was_sent_is_what_is_counted(asked: Asked) -> None:
    """By service and version; by caller; and what failed before it got anywhere."""
    query = (
        'sum by (destination_service, destination_version) (envoy_cluster_upstream_rq_completed{direction="outbound"})'
    )
    wanted = {
        (REVIEWS, "v1"): 2.0 * (_V1 + _GATEWAY),
        (REVIEWS, "v2"): 2.0 * _V2,
        (REVIEWS, ""): 2.0 * _PLAIN,
        ("broken.example.com", ""): 2.0 * _FAILED,
    }
    until(lambda: asked.table(f"{query} > 0", "destination_service", "destination_version") == wanted)
    callers = f'sum by (workload) (envoy_cluster_upstream_rq_completed{{destination_service="{REVIEWS}"}})'
    assert asked.table(callers, "workload") == {
        ("web-1",): 2.0 * (_V1 + _V2 + _PLAIN),
        ("edge",): 2.0 * _GATEWAY,
    }
    failed = 'sum by (destination_service) (envoy_cluster_upstream_rq_xx{envoy_response_code_class="5"})'
    assert asked.table(failed, "destination_service") == {("broken.example.com",): 2.0 * _FAILED}


def test_dashboards_for_istio_find_its_series(asked: Asked) -> None:
    """By its names and labels: requests, durations and connections, as the caller and as the callee see them."""
    by = ("source_workload", "source_app", "destination_service_name", "destination_service_namespace", "response_code")
    of_web = {("web-1", "web", "reviews", "default", "200"): 2.0 * (_V1 + _V2 + _PLAIN)}
    source = f'sum by ({", ".join(by)}) (istio_requests_total{{reporter="source", source_workload="web-1", response_code="200"}})'
    until(lambda: asked.table(source, *by) == of_web)
    callee = ("destination_workload", "destination_workload_namespace", "destination_app", "destination_version")
    destination = f'sum by ({", ".join(callee)}) (istio_requests_total{{reporter="destination"}})'
    assert set(asked.table(destination, *callee)) == {("reviews-v1", "default", "reviews", "v1")}
    slow = "histogram_quantile(0.9, sum by (le, destination_version) (rate(istio_request_duration_milliseconds_bucket[1m])))"
    until(lambda: {("v1",), ("v2",)} <= set(asked.table(slow, "destination_version")))
    assert asked.table("sum(istio_request_duration_milliseconds_count) > 0")
    opened = "sum by (destination_service_name) (istio_tcp_connections_opened_total)"
    assert asked.table(opened, "destination_service_name") == {("mysql.example.com",): 2.0}
    for name in ("istio_tcp_sent_bytes_total", "istio_tcp_received_bytes_total"):
        until(lambda name=name: bool(asked.query(name)))  # type: ignore[misc]


def test_promtool_takes_the_rules() -> None:
    """And finds nothing that is defined twice."""
    done = subprocess.run(
        ["promtool", "check", "rules", "--lint-fatal", str(RULES)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


@pytest.mark.parametrize("title", [panel["title"] for panel in _panels()])
def test_every_panel_shows_something(asked: Asked, title: str) -> None:
    """Each query is one that Prometheus takes; all but those of what does not happen here have series."""
    (panel,) = (panel for panel in _panels() if panel["title"] == title)
    queries = [_filled(target["expr"]) for target in panel["targets"]]
    if title in _NO_DATA:
        assert [asked.query(query) for query in queries] == [[]] * len(queries)
    else:
        for query in queries:
            asked.query(query)
        until(lambda: any(map(asked.query, queries)))


def _filled(query: str) -> str:
    """A query with Grafana's variables as it fills them in."""
    query = query.replace("$__rate_interval", "1m")
    for variable in ("service", "version", "namespace", "workload"):
        query = query.replace(f"${variable}", ".*")
    assert "$" not in query
    return query


def test_the_canary_stands_beside_the_stable_one(asked: Asked) -> None:
    """Its share of the traffic, its errors and its durations, each a series of its own."""
    titles = {panel["title"]: panel["targets"][0]["expr"] for panel in _panels()}
    for title in ("Share of traffic by version", "Errors by version", "p99 by version"):
        query = _filled(titles[title].replace("$service", REVIEWS))
        until(lambda query=query: set(asked.table(query, "destination_version")) == {("v1",), ("v2",), ("",)})  # type: ignore[misc]


def test_the_dashboard_is_laid_out() -> None:
    """Every panel has a place of its own within 24 columns, and a datasource that whoever imports it chooses."""
    taken: set[tuple[int, int]] = set()
    for panel in _panels():
        place = panel["gridPos"]
        cells = {(place["x"] + column, place["y"] + line) for column in range(place["w"]) for line in range(place["h"])}
        assert panel["datasource"]["uid"] == "${datasource}"
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
