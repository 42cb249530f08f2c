"""Templates: real Envoy fragments that operators edit, with errors that say where."""

from __future__ import annotations

import pytest

from reconciler.compile import Prototypes, TemplateError
from reconciler.compile.templates import TEMPLATES
from reconciler.model.resource import ResourceType
from tests.compile.meshes import (
    compiled,
    documents,
    house_templates,
    manager,
    messages,
    only,
    service,
    sidecar_proxy,
    workload,
)

_MESH = documents(service("a"), workload("a1", app="a", address="10.0.0.1"), sidecar_proxy("a1"))


def test_the_house_ships_every_template_and_no_other() -> None:
    """A policy repository needs none of its own."""
    assert set(house_templates()) == set(TEMPLATES)
    Prototypes.parse(house_templates())


def test_every_house_template_says_what_the_compiler_sets() -> None:
    """Operators read in the file itself what they may change."""
    for name, text in house_templates().items():
        assert text.startswith("#"), name
        assert "envoy." in text.partition("\n\n")[0], name
        if TEMPLATES[name].decided:
            assert "The compiler sets:" in text, name


@pytest.mark.parametrize(
    ("name", "text", "code", "place", "says"),
    [
        ("cluster.yaml", "# c\nconnect_timeut: 1s\n", "template-field", ":2:1", "'connect_timeut'"),
        ("cluster.yaml", "circuitBreakers:\n  thresholds:\n  - maxRequests: 1\n  - oops: 1\n", "template-field", ":4:5", "'oops'"),
        ("cluster.yaml", "connectTimeout: 10\n", "template-field", ":1:17", "Duration"),
        ("cluster.yaml", "\nlb_policy: BEST\n", "template-field", ":2:12", "BEST"),
        ("cluster.yaml", "circuit_breakers:\n  thresholds: {a: 1}\n", "template-field", ":2:15", "must be in []"),
        ("cluster.yaml", "circuit_breakers: [1]\n", "template-field", ":1:1", "expected"),
        ("cluster.yaml", "a: [}\n", "yaml-syntax", ":1:5", ""),
        ("cluster.yaml", "- a\n", "template-type", ":1:1", "envoy.config.cluster.v3.Cluster"),
        ("cluster.yaml", "lb_policy: RANDOM\n---\nlb_policy: RANDOM\n", "template-type", ":3:1", "single"),
        ("cluster.yaml", "lb_policy: RANDOM\nloadAssignment: {cluster_name: x}\n", "template-decided", ":2:1", "load_assignment"),
        ("bootstrap.yaml", "admin:\n  address: {pipe: {path: /a}}\n", "template-decided", ":2:3", "admin.address"),
        ("route.yaml", "route: {timeout: 1s, cluster: a}\n", "template-decided", ":1:22", "route.cluster"),
        (
            "http-connection-manager.yaml",
            "http_filters:\n- name: a\n  typed_config: {'@type': type.googleapis.com/envoy.Nope}\n",
            "template-field", ":3:17", "envoy.Nope",
        ),
        ("clusters.yaml", "lb_policy: RANDOM\n", "template-unknown", "", "no template"),
    ],
)  # fmt: skip
def test_a_template_that_cannot_be_used_is_refused_with_its_place(
    name: str, text: str, code: str, place: str, says: str
) -> None:
    """Unknown files and fields, wrong values, and fields that would be overwritten are errors at a line and column."""
    with pytest.raises(TemplateError) as caught:
        Prototypes.parse(house_templates() | {name: text})
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == code
    assert diagnostic.place == f"envoy-templates/{name}{place}"
    assert says in diagnostic.message
    assert "\n" not in diagnostic.message


def test_all_errors_of_all_templates_are_collected() -> None:
    """One round is enough to mend everything, a template that is missing included."""
    templates = house_templates() | {"cluster.yaml": "a: 1", "route.yaml": "b: 1"}
    del templates["virtual-host.yaml"]
    with pytest.raises(TemplateError) as caught:
        Prototypes.parse(templates)
    assert [item.file for item in caught.value.diagnostics] == [
        "envoy-templates/cluster.yaml",
        "envoy-templates/route.yaml",
        "envoy-templates/virtual-host.yaml",
    ]
    assert caught.value.diagnostics[-1].code == "template-missing"


def test_an_empty_template_leaves_everything_to_envoy() -> None:
    """No house default survives in a file that an operator has emptied."""
    view = only(compiled(_MESH, cluster=""))
    cluster = messages(view, ResourceType.CLUSTER)["outbound|9080||a.default.svc.cluster.local"]
    assert "connect_timeout" not in cluster
    assert "circuit_breakers" not in cluster


def test_an_empty_access_log_logs_nothing() -> None:
    """The access log is the one template that may be left out of the result."""
    assert "access_log" not in manager(only(compiled(_MESH, access_log="# nothing\n")), "10.0.0.1_9080")
    assert "access_log" in manager(only(compiled(_MESH)), "10.0.0.1_9080")


def test_what_operators_set_is_in_every_resource_of_the_kind() -> None:
    """A template's fields are copied; what the compiler decides is put on top."""
    view = only(
        compiled(
            _MESH,
            cluster="connect_timeout: 3s\nmetadata: {filter_metadata: {team: {name: a}}}\n",
            listener_inbound="enable_reuse_port: true\n",
            virtual_host_unknown="routes: [{match: {prefix: /}, direct_response: {status: 404}}]\n",
        )
    )
    clusters = messages(view, ResourceType.CLUSTER)
    assert clusters["outbound|9080||a.default.svc.cluster.local"]["connect_timeout"] == "3s"
    assert clusters["outbound|9080||a.default.svc.cluster.local"]["metadata"] == {
        "filter_metadata": {"team": {"name": "a"}}
    }
    assert clusters["inbound|9080||"]["connect_timeout"] == "10s"
    listeners = messages(view, ResourceType.LISTENER)
    assert listeners["10.0.0.1_9080"]["enable_reuse_port"] is True
    assert listeners["127.0.0.1_9080"]["enable_reuse_port"] is False
    block_all = messages(view, ResourceType.ROUTE)["9080"]["virtual_hosts"][-1]
    assert block_all["routes"][0]["direct_response"] == {"status": 404}


def test_prototypes_are_never_filled() -> None:
    """A second compile with the same prototypes finds them as they were parsed."""
    once = only(compiled(_MESH))
    assert only(compiled(_MESH)).version == once.version
