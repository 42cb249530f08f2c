"""The backstop: all that the real Envoy refuses is found, at the place that it comes from, and nothing else is."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from reconciler.cycle.backstop import check
from reconciler.envoy.validation import Validator
from reconciler.errors import Severity
from reconciler.model.origin import FieldPath, Finding
from tests.compile.meshes import gateway_proxy, house_templates, mesh_of, service, sidecar_proxy, workload
from tests.compile.strategies import texts

_ENDPOINT = """
kind: ServiceEntry
metadata: {{name: {name}}}
spec:
  hosts: [{name}.default.svc.cluster.local]
  resolution: STATIC
  ports: [{{number: 9080, name: http, protocol: HTTP}}]
  endpoints: [{{address: {address}, labels: {{version: v1}}}}]
"""
_LONG = f"/{'x' * 120}.sock"
_RULE = """
kind: DestinationRule
metadata: {name: a}
spec: {host: a.default.svc.cluster.local, trafficPolicy: {connectionPool: {tcp: {connectTimeout: 0s}}}}
"""
_ROUTES = """
kind: VirtualService
metadata: {name: a}
spec:
  hosts: [a.default.svc.cluster.local]
  gateways: [mesh, g]
  http:
  - name: fine
    match: [{uri: {prefix: /ok}}]
    route: [{destination: {host: a}}]
  - match: [{uri: {regex: "fine.*"}}, {uri: {regex: "a(b"}}]
    route: [{destination: {host: a}}]
  - name: odd
    match: [{headers: {x-h: {regex: "zz)"}}}]
    route: [{destination: {host: a}}]
  - route: [{destination: {host: a}}]
"""
_GATEWAY = """
kind: Gateway
metadata: {name: g}
spec: {selector: {istio: edge}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
"""
_MESH = (service("reviews"), workload("reviews-v1", app="reviews", address="10.0.0.1"), sidecar_proxy("reviews-v1"))


def _said(*texts: str, limit: int = 400, **overrides: str) -> tuple[Finding, ...]:
    """What is found in these documents, with some house templates added to."""
    house = house_templates()
    changed = {_file(name): _added(house[_file(name)], text) for name, text in overrides.items()}
    return check(mesh_of(*texts), {**house, **changed}, house, validator=Validator(), limit=limit)


def _added(house: str, text: str) -> str:
    """A template with more at its end; of a field that is in both the added one stays."""
    keys = {line.partition(":")[0] for line in text.splitlines()}
    kept, inside = [], -1
    for line in house.splitlines(keepends=True):
        depth = len(line) - len(line.lstrip(" "))
        if inside >= 0 and depth > inside:
            continue  # a part of the field that goes
        inside = depth if line.partition(":")[0] in keys else -1
        kept.extend([] if inside >= 0 else [line])
    return "".join(kept) + text


def _file(name: str) -> str:
    return f"{name.replace('_', '-')}.yaml"


def _places(found: tuple[Finding, ...]) -> set[tuple[str, FieldPath]]:
    return {(item.origin.file if item.origin else "", item.path) for item in found}


def test_a_clean_mesh_passes_with_and_without_proxies() -> None:
    """What is right is refused by nobody; the documents of a mesh without proxies are checked all the same."""
    assert _said(*_MESH) == ()
    assert _said(*_MESH[:2], _GATEWAY, _ROUTES.replace("a(b", "ab").replace("zz)", "zz")) == ()


@pytest.mark.parametrize("proxies", [(), (gateway_proxy(), sidecar_proxy("x"), sidecar_proxy("y"))])
def test_all_that_is_refused_is_found_at_its_place(proxies: tuple[str, ...]) -> None:
    """Envoy stops at the first; the user gets all of them, each once, at the value that Envoy speaks of."""
    bad = _ENDPOINT.format(name="b", address=f"unix://{_LONG}")
    found = _said(_ENDPOINT.format(name="a", address="10.0.0.1"), bad, _ROUTES, _GATEWAY, _RULE, *proxies)
    assert {item.code for item in found} == {"envoy-refused"}
    assert {item.severity for item in found} == {Severity.ERROR}
    assert len(found) == 4
    assert _places(found) == {
        ("policies/mesh-1.yaml", ("spec", "endpoints", 0, "address")),
        ("policies/mesh-2.yaml", ("spec", "http", 1, "match", 1, "uri", "regex")),
        ("policies/mesh-2.yaml", ("spec", "http", 2, "match", 0, "headers", "x-h", "regex")),
        ("policies/mesh-4.yaml", ("spec", "trafficPolicy", "connectionPool", "tcp", "connectTimeout")),
    }
    words = next(item.message for item in found if item.origin and item.origin.file.endswith("mesh-1.yaml"))
    assert words.endswith(f': Path "{_LONG}" exceeds maximum UNIX domain socket path size of 108')


def test_certificates_of_other_hosts_are_taken_and_tls_settings_are_not() -> None:
    """What a TLS server says is checked although its certificates are not here."""
    server = "{port: {number: 443, name: https, protocol: HTTPS}, hosts: [a.example.com], tls: {mode: MUTUAL, credentialName: a%s}}"
    gateway = "kind: Gateway\nmetadata: {name: g}\nspec: {selector: {istio: edge}, servers: [%s]}\n"
    assert _said(gateway % (server % "")) == ()
    (found,) = _said(gateway % (server % ", cipherSuites: [NO-SUCH-CIPHER]"))
    assert _places((found,)) == {("policies/mesh-0.yaml", ("spec", "servers", 0, "tls", "cipherSuites", 0))}


def test_an_admin_address_that_no_envoy_can_open_is_found() -> None:
    """A bootstrap is made for each proxy, and each proxy's own part of it is shown to Envoy too."""
    long = sidecar_proxy("x").replace("/run/x.sock", f"/run/{'x' * 120}.sock")
    (found,) = _said(*_MESH, long)
    assert _places((found,)) == {("policies/mesh-3.yaml", ("spec", "admin"))}
    assert "exceeds maximum UNIX domain socket path size" in found.message
    name = sidecar_proxy("x").replace("unix:///run/x.sock", "http://a.host.name:9901")
    (found,) = _said(*_MESH, name)
    assert (found.code, found.path) == ("admin-address", ("spec", "admin"))


_POISON: Mapping[str, tuple[dict[str, str], str, FieldPath]] = {
    "crooked load balancing": (
        {"cluster": "lb_policy: RING_HASH\nring_hash_lb_config: {minimum_ring_size: 10, maximum_ring_size: 5}\n"},
        "cluster.yaml",
        ("ring_hash_lb_config", "maximum_ring_size"),
    ),
    "value out of range": (
        {"cluster": "outlier_detection: {max_ejection_percent: 200}\n"},
        "cluster.yaml",
        ("outlier_detection", "max_ejection_percent"),
    ),
    "regular expression": (
        {"route": '  regex_rewrite: {pattern: {regex: "a(b"}, substitution: x}\n'},
        "route.yaml",
        ("route", "regex_rewrite"),
    ),
    "two rewrites": (
        {"route": '  regex_rewrite: {pattern: {regex: "ab"}, substitution: x}\n  prefix_rewrite: /x\n'},
        "route.yaml",
        ("route", "regex_rewrite"),
    ),
    "log format": (
        {"access_log": '  log_format: {text_format_source: {inline_string: "%NO_SUCH%"}}\n'},
        "access-log.yaml",
        ("typed_config", "log_format"),
    ),
    "local reply": (
        {
            "http_connection_manager": "local_reply_config: "
            "{body_format: {text_format_source: {inline_string: '%NO_SUCH%'}}}\n"
        },
        "http-connection-manager.yaml",
        ("local_reply_config", "body_format"),
    ),
    "virtual host": (
        {"virtual_host": 'cors: {allow_origin_string_match: [{safe_regex: {regex: "a(b"}}]}\n'},
        "virtual-host.yaml",
        ("cors", "allow_origin_string_match", 0, "safe_regex", "regex"),
    ),
    "bootstrap": (
        {"bootstrap": "stats_config: {stats_tags: [{tag_name: x, regex: 'a(b'}]}\n"},
        "bootstrap.yaml",
        ("stats_config", "stats_tags", 0, "regex"),
    ),
}


@pytest.mark.parametrize("name", sorted(_POISON))
def test_poison_in_a_template_is_traced_to_its_field(name: str) -> None:
    """A template is part of every route or cluster that is made from it; it is one finding, in the template."""
    overrides, file, path = _POISON[name]
    found = _said(*_MESH, limit=400, **overrides)
    assert found, "Envoy took it"
    assert {item.origin.file for item in found if item.origin} == {f"envoy-templates/{file}"}
    assert found[0].path[: len(path)] == path
    assert len(found) == 1


def test_poison_of_several_kinds_at_once_is_all_found() -> None:
    """One template's fault does not hide another's, nor that of a document."""
    found = _said(
        _ENDPOINT.format(name="a", address="10.0.0.1"),
        _ROUTES,
        _GATEWAY,
        cluster="outlier_detection: {max_ejection_percent: 200}\n",
        route="  prefix_rewrite: /x\n  path_rewrite_policy: {name: x}\n",
        bootstrap="stats_config: {stats_tags: [{tag_name: x, regex: 'a(b'}]}\n",
    )
    files = [item.origin.file for item in found if item.origin]
    assert sorted(set(files)) == [
        "envoy-templates/bootstrap.yaml",
        "envoy-templates/cluster.yaml",
        "envoy-templates/route.yaml",
        "policies/mesh-1.yaml",
    ]
    assert files.count("policies/mesh-1.yaml") == 2


def test_a_deprecated_field_is_a_warning() -> None:
    """Envoy takes it today; who upgrades Envoy wants to know before."""
    (found,) = _said(*_MESH, route="  max_grpc_timeout: 1s\n")
    assert (found.code, found.severity) == ("envoy-warned", Severity.WARNING)
    assert found.origin is not None
    assert (found.origin.file, found.path) == ("envoy-templates/route.yaml", ("route", "max_grpc_timeout"))
    assert "max_grpc_timeout is deprecated" in found.message


def test_a_file_of_the_proxys_host_is_no_error() -> None:
    """It can't be here, and what needs it can't be checked here: that is said, and the rest is checked."""
    page = "response_headers_to_add: [{header: {key: x, value: 'y'}}]\n"
    house = house_templates()
    unknown = house["virtual-host-unknown.yaml"].replace("{status: 502}", "{status: 502, body: {filename: /no/page}}")
    found = check(
        mesh_of(*_MESH),
        {**house, "virtual-host-unknown.yaml": unknown, "virtual-host.yaml": house["virtual-host.yaml"] + page},
        house,
        validator=Validator(),
    )
    assert [(item.code, item.severity) for item in found] == [("envoy-file-absent", Severity.WARNING)]
    assert found[0].path[:4] == ("routes", 0, "direct_response", "body")


def test_what_no_document_can_be_named_for_is_said_of_the_proxy() -> None:
    """A fault of the shipped templates is nobody's document; it is shown with the resource, not swallowed."""
    broken = house_templates()
    broken["listener-inbound.yaml"] += "listener_filters: [{name: no.such.filter}]\n"
    found = check(mesh_of(*_MESH), broken, broken, validator=Validator())
    assert [item.code for item in found] == ["envoy-refused"]
    assert "listener 10.0.0.1_9080 (proxy default/reviews-v1)" in found[0].message


def test_the_search_ends_and_says_so() -> None:
    """So much is wrong that not all of it is looked for: what was found is shown, and that there may be more."""
    entries = [_ENDPOINT.format(name=f"s{number}", address=f"unix://{_LONG}{number}") for number in range(8)]
    found = _said(*entries, limit=20)
    assert found[-1].code == "envoy-unfinished"
    assert "asked 20 times" in found[-1].message
    refused = [item for item in found if item.code == "envoy-refused"]
    assert 0 < len(refused) < 8
    assert len({item.origin for item in refused}) == len(refused)


def test_envoys_that_others_configure_have_nothing_to_check() -> None:
    """A mesh of only such proxies is not called valid by an Envoy that was not asked."""
    runtime = """
kind: Proxy
metadata: {name: other}
spec: {admin: "http://127.0.0.1:1", push: {runtime: {routes: []}}}
"""
    (found,) = _said(*_MESH[:2], runtime)
    assert (found.code, found.severity) == ("envoy-nothing", Severity.WARNING)


def test_words_name_no_file_of_this_machine() -> None:
    """The bootstrap that Envoy was given is ours and gone; its path helps nobody."""
    found = _said(_ENDPOINT.format(name="a", address=f"unix://{_LONG}"))
    assert not re.search(r"bootstrap\.pb|source/", found[0].message)


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.data())
def test_every_mesh_of_every_shape_is_taken(data: st.DataObject) -> None:
    """Whatever our own checks let through, the real Envoy takes."""
    _taken(data.draw(texts()))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(texts())
def _every_mesh(documents: list[str]) -> None:
    _taken(documents)


def test_every_mesh_at_length(request: pytest.FixtureRequest) -> None:
    """As above, many times, with `--full`."""
    if not request.config.getoption("--full"):
        pytest.skip("a sample is taken by the test above; --full runs all")
    _every_mesh()


def _taken(documents: list[str]) -> None:
    house = house_templates()
    found = check(mesh_of(*documents), house, house, validator=Validator())
    assert found == ()
