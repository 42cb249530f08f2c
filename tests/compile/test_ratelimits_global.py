"""Global limits in a real Envoy, counted by a real service, which knows them by the configuration that is rendered for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.compile.counting import service_configurations
from reconciler.envoy.admin import Admin
from reconciler.settings import AdminSettings
from tests.compile.envoys import free_port
from tests.compile.limited import EDGE, HOURLY, ONE, Client, gateway, limit
from tests.compile.limiter import Limiter, serving
from tests.compile.meshes import documents, mesh_of

_HOST = "rates.example.com"
_PATIENT = "timeout: 10s"


def _counter(port: int) -> str:
    return f"""
kind: ServiceEntry
metadata: {{name: rates}}
spec:
  hosts: [{_HOST}]
  resolution: STATIC
  ports: [{{number: 8081, name: grpc, protocol: GRPC}}]
  endpoints: [{{address: 127.0.0.1, ports: {{grpc: {port}}}}}]
"""


def _counted(limits: str, *, target: str = EDGE, domain: str = "shop", rest: str = _PATIENT) -> str:
    """The fields of a RateLimit whose limits the service counts."""
    return f"{target}, global: {{service: {{host: {_HOST}}}, domain: {domain}, {rest}, limits: [{limits}]}}"


@contextmanager
def _gateway(folder: Path, *policies: str) -> Iterator[tuple[Client, Limiter]]:
    limiter = Limiter(service_configurations(mesh_of(documents(*policies)).rate_limits))
    with serving(limiter) as port, gateway(folder, _counter(port), *policies) as client:
        yield client, limiter


def test_all_requests_of_a_gateway_count_together(tmp_path: Path) -> None:
    """The service says when it is enough, whatever the host or path."""
    with _gateway(tmp_path, limit(_counted("{name: all, requests: 2, unit: DAY}"))) as (client, limiter):
        assert client.statuses(1) == [200]
        assert client.statuses(1, "/one", host="b.example.com") == [200]
        assert client.statuses(2) == [429, 429]
        assert client.statuses(2, "/gone") == [410, 410], "nobody is asked about what Envoy answers by itself"
    assert limiter.asked == [("shop", (("limit", "all"),))] * 4


def test_two_proxies_count_together(tmp_path: Path) -> None:
    """What one proxy let through, the other knows of: that is what global limits are for."""
    policy = limit(_counted("{name: all, requests: 2, unit: DAY}"))
    limiter = Limiter(service_configurations(mesh_of(policy).rate_limits))
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    with (
        serving(limiter) as port,
        gateway(folders[0], _counter(port), policy) as one,
        gateway(folders[1], _counter(port), policy) as two,
    ):
        assert (one.statuses(1), two.statuses(1)) == ([200], [200])
        assert (one.statuses(1), two.statuses(1)) == ([429], [429])


def test_what_is_counted_by_is_known_to_the_service(tmp_path: Path) -> None:
    """Descriptors and the service's configuration fit, with conditions and values of every kind."""
    limits = (
        "{name: users, requests: 1, unit: MINUTE, by: [{header: X-User}]},"
        "{name: paths, requests: 1, unit: HOUR, match: {method: {exact: PUT}}, by: [{path: true}, {queryParameter: k}]},"
        "{name: both, requests: 1, unit: SECOND, match: {headers: {x: {}}, queryParams: {k: {exact: v}}}},"
        "{name: clients, requests: 1, unit: DAY, match: {queryParams: {d: {}}}, by: [{remoteAddress: true}]}"
    )
    with _gateway(tmp_path, limit(_counted(limits))) as (client, limiter):
        assert client.statuses(2, x_user="ann") == [200, 429]
        assert client.statuses(2, x_user="bob") == [200, 429]
        assert client.statuses(2, "/a?k=1", method="PUT") == [200, 429]
        assert client.statuses(2, "/a?k=2", method="PUT") == [200, 429]
        assert client.statuses(2, "/?k=v", x="1") == [200, 429]
        assert client.statuses(2, "/?d=") == [200, 429]
        asked = len(limiter.asked)
        assert client.statuses(3, "/free") == [200] * 3
    assert len(limiter.asked) == asked, "a request that no limit is about asks nobody"


def test_limits_of_several_documents_hold_beside_each_other(tmp_path: Path) -> None:
    """A rule's and a gateway's, local and global ones: each refuses with its own answer, in its own domain."""
    everywhere = _counted("{name: all, requests: 4, unit: DAY}") + ", response: {status: 503}"
    local = f"local: [{{name: posts, requests: 1, {HOURLY}, match: {{method: {{exact: POST}}}}}}]"
    rule = _counted("{name: all, requests: 2, unit: DAY}", target=ONE, domain="rules") + f", {local}"
    with _gateway(tmp_path, limit(everywhere, "edge"), limit(rule, "rule")) as (client, limiter):
        assert client.statuses(2, "/one", method="POST") == [200, 429]
        assert client.statuses(2, "/one") == [200, 429]
        assert client.statuses(2) == [200, 503]
    assert {domain for domain, _ in limiter.asked} == {"shop", "rules"}


def test_a_refusal_says_what_the_policy_says(tmp_path: Path) -> None:
    """Status and headers are the policy's, and what the service knows of the rest."""
    answer = ", response: {status: 503, headers: {x-limited: 'yes'}, rateLimitHeaders: true}"
    with _gateway(tmp_path, limit(_counted("{name: all, requests: 1, unit: MINUTE}") + answer)) as (client, _):
        first, second = client.get(), client.get()
    assert (first.status, first.headers["x-limited"]) == (200, None)
    assert (first.headers["x-ratelimit-limit"], first.headers["x-ratelimit-remaining"]) == ("1, 1;w=60", "0")
    assert (second.status, second.headers["x-limited"]) == (503, "yes")


def test_what_an_envoy_runs_is_what_was_compiled(tmp_path: Path) -> None:
    """Read back from its admin endpoint, every message of a limit is equal: drift can be told from what was pushed."""
    match = "match: {path: {exact: /a}, headers: {x: {}}, queryParams: {k: {exact: v}}}"
    by = "by: [{path: true}, {queryParameter: k}, {remoteAddress: true}, {header: x}]"
    answer = "response: {status: 503, headers: {x-b: '1', x-a: ''}, rateLimitHeaders: true}"
    local = f"local: [{{name: all, requests: 5, {HOURLY}, {match}, {by}}}]"
    fields = _counted(f"{{name: all, requests: 5, unit: DAY, {match}, {by}}}")
    policies = [
        limit(f"{fields}, {local}, {answer}", "edge"),
        limit(f"{fields}, {local}, {answer}".replace(EDGE, ONE), "rule"),
    ]
    with _gateway(tmp_path, *policies) as (client, _):
        assert client.running is not None
        proxy, view = client.running
        with Admin(proxy.spec.admin, AdminSettings()) as admin:
            seen = admin.observe(proxy, at=lambda: datetime.now(UTC))
    assert seen.error is None
    assert {id_: item.version for id_, item in seen.resources.items()} == {
        id_: item.version for id_, item in view.resources.items()
    }


@pytest.mark.parametrize(("fail_open", "status"), [("true", 200), ("false", 500)])
def test_without_its_service_a_proxy_does_as_told(tmp_path: Path, fail_open: str, status: int) -> None:
    """Requests are let through while nobody counts, or refused."""
    policy = limit(_counted("{name: all, requests: 1, unit: DAY}", rest=f"{_PATIENT}, failOpen: {fail_open}"))
    with gateway(tmp_path, _counter(free_port()), policy) as client:
        assert client.statuses(3) == [status] * 3


@pytest.mark.parametrize(("fail_open", "status"), [("true", 200), ("false", 500)])
def test_a_slow_service_holds_requests_up_for_so_long_and_no_longer(
    tmp_path: Path, fail_open: str, status: int
) -> None:
    """After the timeout its silence counts as its absence."""
    fields = _counted("{name: all, requests: 1, unit: DAY}", rest=f"timeout: 20ms, failOpen: {fail_open}")
    with _gateway(tmp_path, limit(fields)) as (client, limiter):
        limiter.gate.clear()
        assert client.statuses(3) == [status] * 3
