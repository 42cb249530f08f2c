from __future__ import annotations

import json
from pathlib import Path

from reconciler.cli.services.inventory import cluster_of
from reconciler.cli.shapes import INVENTORY, fits
from reconciler.model.discovered import Instance, Knowledge, Standing
from reconciler.model.protocol import Protocol
from reconciler.model.services import Health, Port
from tests.cli.services.inventories import SUFFIX, catalogue, document, found, member, of, service
from tests.cycle.desires import RUNTIME

A, B = member("a-1", "10.0.0.1", "a"), member("b-1", "10.0.0.2", "b")
HTTP = Port(80, "http", Protocol.HTTP, 8080)


def test_git_and_registries_are_one_service_and_each_instance_says_where_it_is_from(tmp_path: Path) -> None:
    """The file of the WorkloadEntry, or the registry; and of the service both."""
    listed = Instance(
        address="127.0.0.9", ports={"http": 81}, labels={"version": "v2"}, weight=3, locality="r/z",
        health=Health.DRAINING,
    )  # fmt: skip
    whole = document(tmp_path, {"a": A, "b": service("b", 80) + "---\n" + B}, catalogue(("files", found("b", listed))))
    item = of(whole, "b")
    assert item["declared"] == {"file": "policies/b.yaml", "document": 0, "line": None}
    assert (item["registries"], item["resolution"], item["namespace"]) == (["files"], "STATIC", "default")
    own, other = item["endpoints"]
    assert (own["address"], own["ports"], own["workload"], own["registry"]) == (
        "10.0.0.2",
        {"http": 8080},
        "b-1",
        None,
    )
    assert own["declared"] == {"file": "policies/b.yaml", "document": 1, "line": None}
    assert (other["address"], other["ports"], other["registry"], other["declared"]) == (
        "127.0.0.9", {"http": 81}, "files", None,
    )  # fmt: skip
    assert (other["labels"], other["weight"], other["locality"]) == ({"version": "v2"}, 3, "r/z")
    assert item["counts"] == {"instances": 2, "healthy": 1, "unhealthy": 0, "draining": 1}


def test_a_service_of_registries_alone_has_no_file(tmp_path: Path) -> None:
    """And of a host whose ports nobody says there is no service: it is named apart."""
    one = Instance(address="127.0.0.9", ports={"": 81})
    known = catalogue(
        ("files", found("c", one, ports=(HTTP,))), ("more", found("c", one)), ("more", found("d", one)),
        ("others", found("e", one)),
    )  # fmt: skip
    whole = document(tmp_path, {"a": A}, known)
    assert (of(whole, "c")["declared"], of(whole, "c")["registries"]) == (None, ["files", "more"])
    assert whole["unused"] == [{"host": "d" + SUFFIX, "registries": ["more"]}]


def test_callers_are_the_proxies_whose_view_has_a_cluster(tmp_path: Path) -> None:
    """So `exportTo` and Sidecars count; and an Envoy that somebody else configures is nobody's caller."""
    narrow = (
        "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: b}\n"
        "spec: {workloadSelector: {labels: {app: b}}, egress: [{hosts: ['./open.default.svc.cluster.local']}]}\n"
    )
    files = {
        "a": A, "b": f"{B}---\n{narrow}", "c": member("c-1", "10.0.0.3", "c", "other"), "open": service("open", 81),
        "own": service("own", 82, "."), "shut": service("shut", 83, "'~'"),
    }  # fmt: skip
    whole = document(tmp_path, files, catalogue())
    assert of(whole, "open")["callers"] == {"proxies": ["default/a-1", "default/b-1", "other/c-1"], "of": 3}
    assert of(whole, "own")["callers"] == {"proxies": ["default/a-1"], "of": 3}
    assert of(whole, "shut")["callers"] == {"proxies": [], "of": 3}
    assert whole["proxies"][0] == {"proxy": "default/a-1", "admin": "unix:///run/a-1", "configured_here": True}


def test_an_envoy_that_others_configure_is_no_caller(tmp_path: Path) -> None:
    """What it may call is not known here, and it does not count as one that may not."""
    split = (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: details}\nspec: {hosts: [details], "
        "http: [{name: primary, route: [{destination: {host: details, subset: v1}, weight: 1}, "
        "{destination: {host: details, subset: v2}, weight: 1}]}, {name: other, route: [{destination: {host: details, "
        "subset: v1}, weight: 1}, {destination: {host: details, subset: v2}, weight: 1}]}]}\n---\n"
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: details}\nspec: {host: details, "
        "subsets: [{name: v1, labels: {v: '1'}}, {name: v2, labels: {v: '2'}}]}\n---\n"
    )
    whole = document(tmp_path, {"a": A, "d": split + service("details", 80), "legacy": RUNTIME}, catalogue())
    assert of(whole, "details")["callers"] == {"proxies": ["default/a-1"], "of": 1}
    assert [item["configured_here"] for item in whole["proxies"]] == [True, False]


def test_ten_thousand_instances_are_all_in_the_document_and_it_has_its_shape(tmp_path: Path) -> None:
    """JSON leaves nothing out; and what a daemon sends is what a command takes."""
    many = tuple(Instance(address=f"10.0.{n // 250}.{n % 250}", ports={"http": 80}) for n in range(10_000))
    standing = Standing(registry="files", kind="file_sd", knowledge=Knowledge.LIVE, services=1, instances=10_000)
    known = catalogue(("files", found("b", *many)), standings=(standing,))
    whole = json.loads(json.dumps(document(tmp_path, {"b": service("b", 80)}, known) | {"pid": 1}))
    assert len(of(whole, "b")["endpoints"]) == len(many)
    assert fits(whole, INVENTORY)
    assert [item["registry"] for item in whole["registries"]] == ["files"]


def test_only_outbound_clusters_are_calls() -> None:
    """By Istio's name of them; a host may contain anything else."""
    assert cluster_of("outbound|80|v1|b.example.com") == ("b.example.com", 80, "v1")
    assert cluster_of("outbound|80||a|b") == ("a|b", 80, "")
    for name in ("inbound|80||", "outbound|80", "outbound|x||b", "PassthroughCluster", "outbound|²||b"):
        assert cluster_of(name) is None
