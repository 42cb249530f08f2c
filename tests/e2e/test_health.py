"""Health checks end to end: a policy asks for them, an instance that is down gets no request, and `status` says who sees it."""

from __future__ import annotations

import pytest

from tests.e2e.rig import HOST, SERVICE, Rig

_CHECK = """\
apiVersion: reconciler/v1alpha1
kind: HealthCheck
metadata: {name: details}
spec: {host: details, subsets: [v1], tcp: {}, interval: 100ms}
"""


@pytest.mark.long
def test_status_shows_what_the_callers_of_a_service_see(fleet: Rig) -> None:
    """One instance of two is down; no request fails for it. A proxy that is down too is named and spoils nothing."""
    down = fleet.ports.reserve()
    third = f"  - {{address: 127.0.0.1, ports: {{http: {down}}}, labels: {{version: v1}}}}\n---"
    service = (SERVICE % fleet.app_ports).replace("---", third, 1)
    fleet.commit({"policies/details.yaml": service, "policies/check.yaml": _CHECK}, "Check")
    fleet.apply()
    fleet.share_is(0, requests=200)
    healthy = fleet.command("status", "-o", "json").json()["health"]
    (found,) = healthy["services"]
    assert (healthy["answered"], healthy["silent"]) == (3, [])
    assert (found["cluster"], found["callers"]) == (f"outbound|9080|v1|{HOST}", 3)
    assert found["hosts"] == [{"address": "127.0.0.1", "port": down, "callers": 3, "troubles": {"failed-check": 3}}]
    fleet.envoys["edge-3"].stop()
    ran = fleet.command("status")
    assert "details.default:9080 v1: 1 of 2 failed (health check) as seen by 2 proxies" in ran.out.splitlines()
    assert "does not say" not in ran.out
    assert ran.code == 4
    silent = fleet.command("status", "-o", "json").json()["health"]["silent"]
    assert [(item["proxy"], item["code"]) for item in silent] == [("default/edge-3", "admin-unreachable")]
