"""What holds for every mesh: determinism, and views in which nothing points nowhere."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.compile import Compiled, Prototypes, compile_mesh
from reconciler.model.mesh import Mesh
from reconciler.model.protos import decode, to_dict
from reconciler.model.resource import ResourceType, View
from reconciler.model.services import declared
from tests.compile.golden import result
from tests.compile.meshes import house_templates, mesh_of
from tests.compile.strategies import texts

_FEW = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
_PROTOTYPES = house_templates()


def _shuffled(mesh: Mesh, seed: int) -> Mesh:
    """The same documents with the same origins, in another order."""
    order = random.Random(seed)  # noqa: S311 -- an order, not a secret
    changed: dict[str, Any] = {
        name: tuple(order.sample(value, len(value)))
        for name, value in ((name, getattr(mesh, name)) for name in mesh.__dataclass_fields__)
        if isinstance(value, tuple)
    }
    return replace(mesh, **changed)


def _compiled(mesh: Mesh) -> Compiled:
    return compile_mesh(mesh, declared(mesh), Prototypes.parse(_PROTOTYPES))


def compile_shuffled(mesh: Mesh, seed: int) -> Compiled:
    """Compile the same documents and services in another order; the templates too."""
    order = random.Random(seed)  # noqa: S311 -- an order, not a secret
    services, templates = list(declared(mesh)), list(_PROTOTYPES.items())
    order.shuffle(services)
    order.shuffle(templates)
    return compile_mesh(_shuffled(mesh, seed), services, Prototypes.parse(dict(templates)))


def _bytes(compiled: Compiled) -> list[tuple[str, str, bytes]]:
    return [
        (str(key), str(id_), item.body) for key, view in compiled.views.items() for id_, item in view.resources.items()
    ]


@_FEW
@given(documents=texts(), seed=st.integers(0, 1000))
def test_the_order_of_the_input_never_matters(documents: list[str], seed: int) -> None:
    """The same documents give the same bytes, in the same order, and the same findings."""
    mesh = mesh_of(*documents)
    one, other = _compiled(mesh), compile_shuffled(mesh, seed)
    assert _bytes(one) == _bytes(other)
    assert one.findings == other.findings
    assert {key: view.version for key, view in one.views.items()} == {
        key: view.version for key, view in other.views.items()
    }


@_FEW
@given(documents=texts())
def test_nothing_in_a_view_points_nowhere(documents: list[str]) -> None:
    """Every cluster that a route names, every file that a cluster or listener waits for, is in the view; and no other."""
    compiled = _compiled(mesh_of(*documents))
    clashing = any(finding.code == "port-clash" for finding in compiled.findings)
    for view in compiled.views.values():
        clusters = {item.id.name: to_dict(decode(item)) for item in view.of_type(ResourceType.CLUSTER)}
        eds = {name for name, cluster in clusters.items() if cluster.get("type") == "EDS"}
        assert eds == {item.id.name for item in view.of_type(ResourceType.ENDPOINTS)}
        assert set(_named(view, "cluster")) <= clusters.keys()
        listeners = [to_dict(decode(item)) for item in view.of_type(ResourceType.LISTENER)]
        assert {name for listener in listeners for name in _values(listener, "cluster_name")} <= clusters.keys()
        waited = {name for listener in listeners for name in _values(listener, "route_config_name")}
        pushed = {item.id.name for item in view.of_type(ResourceType.ROUTE)}
        # Of an inbound and an outbound listener in one place, which is an error, only one is in the view.
        assert waited <= pushed if clashing else waited == pushed


@_FEW
@given(documents=texts())
def test_names_and_domains_are_unique(documents: list[str]) -> None:
    """Envoy refuses a route configuration in which two virtual hosts share a name or a domain."""
    for view in _compiled(mesh_of(*documents)).views.values():
        for item in view.of_type(ResourceType.ROUTE):
            hosts = to_dict(decode(item))["virtual_hosts"]
            domains = [domain.lower() for host in hosts for domain in host["domains"]]
            assert len(domains) == len(set(domains))
            assert len({host["name"] for host in hosts}) == len(hosts)


@_FEW
@given(documents=texts())
def test_another_proxy_changes_nothing_for_the_others(documents: list[str]) -> None:
    """What proxies share is an economy, not an influence: each has what it would have alone."""
    mesh = mesh_of(*documents)
    together = _compiled(mesh).views
    for proxy in mesh.proxies:
        alone = _compiled(replace(mesh, proxies=(proxy,))).views
        assert alone[proxy.key].version == together[proxy.key].version


_PROGRAM = """
import sys
from tests.compile.golden import source
from tests.compile.meshes import mesh_of
from tests.compile.test_laws import compile_shuffled
for key, view in compile_shuffled(mesh_of(source()), int(sys.argv[1])).views.items():
    for id_, item in view.resources.items():
        print(key, id_, item.version, item.body.hex())
"""


def test_every_process_compiles_the_same_bytes() -> None:
    """Whatever its hash seed and the order of its input; protobuf maps, sets and dicts leave no trace."""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", _PROGRAM, seed],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(outputs) == 1
    expected = [
        f"{key} {id_} {item.version} {item.body.hex()}"
        for key, view in result().views.items()
        for id_, item in view.resources.items()
    ]
    assert outputs.pop().splitlines() == expected


def _named(view: View, field: str) -> Iterator[str]:
    """Cluster names in routes, of route configurations and of listeners."""
    for type_ in (ResourceType.ROUTE, ResourceType.LISTENER):
        for item in view.of_type(type_):
            yield from _values(to_dict(decode(item)), field)


def _values(value: Any, field: str) -> Iterator[str]:
    """All strings under a field, and the names in weighted clusters."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == field and isinstance(item, str):
                yield item
            elif key == "weighted_clusters" and field == "cluster":
                yield from (cluster["name"] for cluster in item["clusters"])
            else:
                yield from _values(item, field)
    elif isinstance(value, list):
        for item in value:
            yield from _values(item, field)
