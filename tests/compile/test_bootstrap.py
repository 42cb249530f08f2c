"""What an Envoy is started with."""

from __future__ import annotations

import pytest

from reconciler.compile import AdminAddressError, Prototypes, RuntimeBootstrapError, bootstrap
from reconciler.model.mesh import Policy
from reconciler.model.protos import to_dict
from reconciler.model.proxy import Proxy
from tests.compile.meshes import house_templates, mesh_of


def _proxy(admin: str, push: str = "files: {directory: /var/lib/envoy/a}") -> Policy[Proxy]:
    text = f'kind: Proxy\nmetadata: {{name: p, namespace: shop}}\nspec: {{workload: w, admin: "{admin}", push: {{{push}}}}}'
    (proxy,) = mesh_of(text).proxies
    return proxy


def test_a_bootstrap_says_who_where_and_from_what() -> None:
    """Node, admin endpoint, and the files that clusters and listeners come from; no layer in which runtime could be changed."""
    message = to_dict(bootstrap(_proxy("unix:///run/a.sock"), Prototypes.parse(house_templates())))
    assert message["node"]["id"] == "shop/p"
    assert message["node"]["cluster"] == "w.shop"
    assert message["node"]["metadata"]["workload"] == "w"
    assert message["admin"]["address"] == {"pipe": {"path": "/run/a.sock", "mode": 0o600}}
    assert {"exact": "/ready"} in message["admin"]["allow_paths"]
    assert message["stats_flush_interval"] == "1s"
    assert not [layer for layer in message["layered_runtime"]["layers"] if "admin_layer" in layer]
    tags = {tag["tag_name"]: tag.get("fixed_value") for tag in message["stats_config"]["stats_tags"]}
    assert (tags["proxy"], tags["namespace"], tags["workload"]) == ("p", "shop", "w")
    sources = message["dynamic_resources"]
    assert sources["cds_config"]["path_config_source"] == {"path": "/var/lib/envoy/a/cds.pb"}
    assert sources["lds_config"]["path_config_source"] == {"path": "/var/lib/envoy/a/lds.pb"}
    assert sources["cds_config"]["resource_api_version"] == "V3"


@pytest.mark.parametrize(
    ("admin", "address", "port"),
    [
        ("http://127.0.0.1:9901", "127.0.0.1", 9901),
        ("http://localhost:9901/", "127.0.0.1", 9901),
        ("http://[::1]:9901", "::1", 9901),
    ],
)
def test_an_admin_endpoint_over_tcp(admin: str, address: str, port: int) -> None:
    """Where the Proxy document says it is read."""
    message = to_dict(bootstrap(_proxy(admin), Prototypes.parse(house_templates())))
    assert message["admin"]["address"] == {"socket_address": {"address": address, "port_value": port}}


@pytest.mark.parametrize(
    "admin", ["http://envoy.example:9901", "http://127.0.0.1", "http://127.0.0.1:0", "https://x", ""]
)
def test_an_admin_address_that_cannot_be_bound_is_an_error(admin: str) -> None:
    """A name resolves where the reconciler is, not where the Envoy is."""
    policy = _proxy(admin or "x")
    with pytest.raises(AdminAddressError, match="admin"):
        bootstrap(policy, Prototypes.parse(house_templates()))


def test_a_runtime_proxy_has_no_bootstrap() -> None:
    """Someone else configures it."""
    with pytest.raises(RuntimeBootstrapError) as caught:
        bootstrap(_proxy("http://127.0.0.1:1", "runtime: {}"), Prototypes.parse(house_templates()))
    assert caught.value.code == "runtime-bootstrap"
    assert "shop/p" in caught.value.message


def test_operators_add_to_the_bootstrap() -> None:
    """Their fields are kept beside ours."""
    templates = house_templates() | {"bootstrap.yaml": "admin: {profile_path: /tmp/p}\nstats_flush_interval: 5s\n"}
    message = to_dict(bootstrap(_proxy("unix:///run/a.sock"), Prototypes.parse(templates)))
    assert message["admin"] == {
        "profile_path": "/tmp/p",  # noqa: S108 -- a value that is only compared
        "address": {"pipe": {"path": "/run/a.sock", "mode": 0o600}},
    }
    assert message["stats_flush_interval"] == "5s"
