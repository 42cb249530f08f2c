from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.envoy.binary import EnvoyProcess
from reconciler.http import HttpClient
from reconciler.model.receipt import OutcomeKind
from reconciler.settings import AdminSettings
from tests.e2e.rig import Rig

FOREIGN = """\
node: {{id: foreign, cluster: foreign}}
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {admin}}}}}}}
layered_runtime: {{layers: [{{name: admin, admin_layer: {{}}}}]}}
static_resources:
  listeners:
  - name: in
    address: {{socket_address: {{address: 127.0.0.1, port_value: {listen}}}}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          route_config:
            name: theirs
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{prefix: /}}
                route:
                  weighted_clusters:
                    runtime_key_prefix: routing.details
                    clusters: [{{name: details_v1, weight: 100}}, {{name: details_v2, weight: 0}}]
          http_filters:
          - name: router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - {{name: details_v1, type: STATIC, load_assignment: {{cluster_name: details_v1, endpoints: [{{lb_endpoints: [{{endpoint: {{
      address: {{socket_address: {{address: 127.0.0.1, port_value: {v1}}}}}}}}}]}}]}}}}
  - {{name: details_v2, type: STATIC, load_assignment: {{cluster_name: details_v2, endpoints: [{{lb_endpoints: [{{endpoint: {{
      address: {{socket_address: {{address: 127.0.0.1, port_value: {v2}}}}}}}}}]}}]}}}}
"""

PROXY = """\
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {{name: foreign}}
spec:
  admin: http://127.0.0.1:{admin}
  push:
    runtime:
      routes:
      - {{virtualService: default/details, route: primary, prefix: {prefix}, clusters: {{v1: details_v1, v2: details_v2}}}}
"""


class Foreign(Rig):
    """The small mesh, in front of which stands an Envoy that someone else configured."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.admin_port = self.ports.reserve()
        self.listen["foreign"] = self.ports.reserve()

    def start_foreign(self, *, runtime: bool = True) -> None:
        text = FOREIGN.format(admin=self.admin_port, listen=self.listen["foreign"], **self.app_ports)
        if not runtime:
            text = text.replace("layered_runtime: {layers: [{name: admin, admin_layer: {}}]}\n", "")
        file = self.folder / "foreign.yaml"
        file.write_text(text)
        envoy = EnvoyProcess(
            bootstrap=file, admin=f"http://127.0.0.1:{self.admin_port}", log=self.folder / "foreign.log"
        )
        envoy.start()
        self.envoys["foreign"] = envoy

    def proxy(self, prefix: str = "routing.details") -> dict[str, str]:
        return {"policies/foreign.yaml": PROXY.format(admin=self.admin_port, prefix=prefix)}


@pytest.fixture
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    with Foreign(tmp_path_factory.mktemp("x")) as rig:
        yield rig


def test_a_weight_in_git_moves_the_traffic_of_an_envoy_that_someone_else_configured(rig: Foreign) -> None:
    """With nothing but its admin port: weights move, a restart loses them until the next pass, drift is seen."""
    rig.start_foreign()
    rig.commit(rig.proxy(), "Take the foreign Envoy in")
    rig.apply()
    rig.commit(rig.routes(75, 25), "v2 at 25%")
    rig.apply()
    rig.share_is(25, name="foreign")
    assert "outcome: applied" in rig.recorded("foreign")

    rig.envoys["foreign"].kill()
    rig.start_foreign()
    rig.share_is(0, name="foreign", requests=100)
    rig.apply()
    rig.share_is(25, name="foreign")

    with HttpClient(f"http://127.0.0.1:{rig.admin_port}", AdminSettings()) as client:
        client.post("/runtime_modify", {"routing.details.details_v1": "0", "routing.details.details_v2": "100"})
    preview = rig.command("--dry-run", "--output", "json", "--select", "proxy/foreign").json()
    assert {change["cause"] for change in preview["proxies"][0]["changes"]} == {"drift"}
    rig.apply()
    rig.share_is(25, name="foreign")


def test_a_mapping_that_the_live_envoy_does_not_have_is_refused_by_name(rig: Foreign) -> None:
    """Envoy says OK to any runtime key, so the mapping is checked against its live routes before anything is sent."""
    rig.start_foreign()
    rig.commit(rig.proxy("routing.typo") | rig.routes(75, 25), "Take the foreign Envoy in, wrongly")
    report = rig.run()
    assert report.exit_code() == 4
    outcome = next(outcome for key, outcome in report.outcomes.items() if key.name == "foreign")
    assert outcome.kind in {OutcomeKind.REJECTED, OutcomeKind.FAILED}
    assert "routing.typo" in outcome.detail
    rig.share_is(0, name="foreign", requests=100)


def test_an_envoy_without_an_admin_layer_is_refused_by_name(rig: Foreign) -> None:
    """Its runtime can't be set; the outcome says which layer is missing."""
    rig.start_foreign(runtime=False)
    rig.commit(rig.proxy() | rig.routes(75, 25), "Take the foreign Envoy in")
    report = rig.run()
    assert report.exit_code() == 4
    outcome = next(outcome for key, outcome in report.outcomes.items() if key.name == "foreign")
    assert "admin layer" in outcome.detail


def test_what_runtime_cannot_push_is_named_in_the_plan(rig: Foreign) -> None:
    """A second, unmapped route of the VirtualService is a note on that proxy, never silently left out."""
    rig.start_foreign()
    more = next(iter(rig.routes(75, 25).values())) + (
        "  - name: fallback\n    route:\n    - destination: {host: details, subset: v1}\n"
    )
    more = more.replace("  - name: primary\n", "  - name: primary\n    match: [{uri: {prefix: /details}}]\n")
    rig.commit({**rig.proxy(), "policies/routes.yaml": more}, "Two routes")
    report = rig.run()
    assert report.plan is not None
    notes = next(item.notes for item in report.plan.proxies if item.proxy.name == "foreign")
    assert any("fallback" in note.message for note in notes)
