"""The daemon's own figures over a fleet of real Envoys: a commit that converges, drift, and a proxy that goes."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from reconciler.http import HttpClient
from reconciler.settings import AdminSettings
from tests.e2e.rig import Rig
from tests.e2e.test_daemon import daemon
from tests.e2e.test_drift import by_hand


def figures(address: str) -> dict[str, float]:
    """Every sample by its name and the values of its labels."""
    with HttpClient(f"http://{address}", AdminSettings()) as http:
        text = http.get("/metrics").body.decode()
    return {
        " ".join((item.name, *(value for _, value in sorted(item.labels.items())))): item.value
        for family in text_string_to_metric_families(text)
        for item in family.samples
    }


def test_a_commit_drift_and_a_proxy_that_goes_are_what_the_figures_say(rig: Rig) -> None:
    """Each is counted once: convergence for the commit, one resource for the drift; and the proxy that is gone is named."""
    with daemon(rig, "--drift-interval", "500ms", "--http", "127.0.0.1:0") as running:
        found = re.search(r"HTTP on http://(\S+)", running.text())
        assert found is not None, running.text()
        address = found[1]
        rig.wait(lambda: figures(address)["reconciler_converged"] == 1, "the first commit has converged")
        first = figures(address)
        assert first["reconciler_convergence_seconds_count"] == 1
        assert first["reconciler_pushes_total applied"] >= 1
        assert first["reconciler_resources_changed_total create change listener"] == 1

        head = rig.commit(rig.routes(70, 30), "v2 at 30%")
        rig.wait(lambda: figures(address)["reconciler_convergence_seconds_count"] == 2, "the second has, too")
        second = figures(address)
        assert 0 < second["reconciler_convergence_seconds_sum"] < 60
        assert second["reconciler_converged"] == 1
        assert "reconciler_drift_corrected_total route" not in second
        assert [name for name in second if name.startswith("reconciler_applied_commit_info")] == [
            f"reconciler_applied_commit_info {head} {head} main"
        ]

        by_hand(rig)
        rig.wait(lambda: any("drift_corrected" in name for name in figures(address)), "drift is counted")
        third = figures(address)
        assert sum(value for name, value in third.items() if "drift_corrected_total" in name) == 1
        assert third["reconciler_convergence_seconds_count"] == 2

        rig.envoys["edge"].stop()
        rig.wait(lambda: figures(address)["reconciler_proxies unreachable"] == 1, "the proxy is missed")
        assert figures(address)["reconciler_proxy_trouble default/edge unreachable"] == 1
        assert figures(address)["reconciler_converged"] == 0
