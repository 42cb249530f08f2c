from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from reconciler.cli.demo.canaries import ROLLOUT, onward
from reconciler.cli.demo.example import Places, moved, next_version, succeeded_by, weigh, weights_of
from reconciler.errors import BugError
from reconciler.model.services import declared
from reconciler.policy import load as load_mesh
from reconciler.settings import shipped
from reconciler.yamldoc import load
from tests.policy.memory import MemoryTree

PLACES = Places(
    port=lambda number: number + 30_000,
    admin=lambda name: f"unix:///somewhere/{name}.sock",
    directory=lambda name: f"/elsewhere/{name}",
)
TRAFFIC = "reviews/traffic.yaml"


def example() -> dict[str, bytes]:
    """The shipped files, by path."""
    root = shipped("policies")
    return {str(file.relative_to(root)): file.read_bytes() for file in sorted(root.rglob("*")) if file.is_file()}


def documents(files: Mapping[str, bytes]) -> Iterator[Any]:
    """All documents of all policies."""
    for name, text in files.items():
        if name.endswith(".yaml"):
            yield from load(text)


def test_nothing_of_the_shipped_example_stays_on_a_fixed_port_or_path() -> None:
    """Every port that is bound, every socket and every folder is the stage's own; services keep theirs, which are names."""
    found = {(doc["kind"], doc["metadata"]["name"]): doc["spec"] for doc in documents(moved(example(), PLACES))}
    for (kind, name), spec in found.items():
        if kind == "WorkloadEntry":
            assert all(port > 30_000 for port in spec["ports"].values())
        if kind == "Gateway":
            assert all(server["port"]["number"] > 30_000 for server in spec["servers"])
        if kind == "Sidecar":
            for listener in [*spec.get("ingress", ()), *spec.get("egress", ())]:
                assert listener.get("port", {"number": 65_535})["number"] > 30_000
                assert int(listener.get("defaultEndpoint", "127.0.0.1:65535").rpartition(":")[2]) > 30_000
        if kind == "Proxy":
            assert spec["admin"] == f"unix:///somewhere/{name}.sock"
            edge = name == "ingressgateway"
            assert spec["push"] == ({"files": {"directory": f"/elsewhere/{name}"}} if edge else {"ads": {}})
        if kind == "ServiceEntry":
            assert [port["number"] for port in spec["ports"]] == [9080]
    assert {kind for kind, _ in found} >= {"WorkloadEntry", "Gateway", "Sidecar", "Proxy", "ServiceEntry"}


def test_callers_and_sidecars_still_agree_on_their_port() -> None:
    """A workload's endpoint port and its sidecar's inbound port move together."""
    specs = {(doc["kind"], doc["metadata"]["name"]): doc["spec"] for doc in documents(moved(example(), PLACES))}
    workloads = [name for kind, name in specs if kind == "WorkloadEntry"]
    for name in workloads:
        ports = specs["WorkloadEntry", name]["ports"].values()
        inbound = [listener["port"]["number"] for listener in specs["Sidecar", name]["ingress"]]
        assert list(ports) == inbound
    assert workloads


def test_comments_and_other_files_survive_the_move() -> None:
    """Only values change: every line has as many words as before, and files that are no policies are the same bytes."""
    before, after = example(), moved(example(), PLACES)
    assert after["README.md"] == before["README.md"]
    for name, text in before.items():
        assert text.count(b"#") == after[name].count(b"#")
        assert [len(line.split()) for line in text.splitlines()] == [
            len(line.split()) for line in after[name].splitlines()
        ]


def test_ports_and_endpoints_written_in_a_service_move_too() -> None:
    """A folder of policies other than the shipped one may declare its endpoints in place."""
    text = (
        b"kind: ServiceEntry\nspec:\n  endpoints:\n  - {address: 127.0.0.1, ports: {http: 9000}}\n---\n- not a policy\n"
    )
    changed = moved({"a.yml": text}, PLACES)["a.yml"]
    assert changed == text.replace(b"9000", b"39000")


def test_a_weight_is_changed_and_nothing_else() -> None:
    """The edit of a canary is two numbers in the file."""
    text = example()[TRAFFIC]
    changed = weigh(text, {"v1": 75, "v2": 25})
    assert changed != text
    assert weigh(changed, {"v1": 100, "v2": 0}) == text
    routes = load(changed)[0]["spec"]["http"][0]["route"]
    assert [(share["destination"]["subset"], share["weight"]) for share in routes] == [("v1", 75), ("v2", 25)]


@pytest.mark.parametrize("change", [{"service": "ratings"}, {"rule": "secondary"}])
def test_a_weight_that_is_not_there_is_a_fault(change: dict[str, str]) -> None:
    """An edit that finds nothing to edit is never taken for done."""
    with pytest.raises(BugError, match="no weights for v2"):
        weigh(example()[TRAFFIC], {"v2": 25}, **change)


def test_one_more_instance_fits_beside_the_others() -> None:
    """The example with it is as valid as without it, and nothing of the two instances is the same."""
    files = {f"policies/{name}": text.decode() for name, text in example().items() if name.endswith(".yaml")}
    more = next_version(example()["details/v1.yaml"]).decode()
    loaded = load_mesh(MemoryTree({**files, "policies/details/v2.yaml": more}))
    assert [str(item) for item in loaded.diagnostics] == []
    assert loaded.mesh is not None
    (details,) = (service for service in declared(loaded.mesh) if service.host.startswith("details."))
    assert [end.labels["version"] for end in details.endpoints] == ["v1", "v2"]
    ports = [port for service in declared(loaded.mesh) for end in service.endpoints for port in end.ports.values()]
    ports += [
        int(item.default_endpoint.rpartition(":")[2]) for car in loaded.mesh.sidecars for item in car.spec.ingress
    ]
    assert len(ports) == len(set(ports))
    admins = [proxy.spec.admin for proxy in loaded.mesh.proxies]
    assert len(admins) == len(set(admins)) == 8


def test_weights_are_read_where_they_are_written() -> None:
    """What an edit wrote is what is found; a file without such a rule has none."""
    text = example()[TRAFFIC]
    assert weights_of(text) == {"v1": 100.0, "v2": 0.0}
    assert weights_of(weigh(text, {"v1": 90, "v2": 10})) == {"v1": 90.0, "v2": 10.0}
    assert weights_of(text, service="ratings") == {}


def test_a_version_takes_the_place_of_one_without_traffic() -> None:
    """Only the split names another subset; what the subsets mean stays."""
    text = weigh(example()[TRAFFIC], {"v1": 0, "v2": 100})
    changed = succeeded_by(text, "v1", "v3")
    assert weights_of(changed) == {"v3": 0.0, "v2": 100.0}
    assert load(changed)[1] == load(text)[1]


def walks(rollout: str, files: Mapping[str, bytes]) -> list[str]:
    """What is wrong with the example once it has this rollout."""
    texts = {f"policies/{name}": text.decode() for name, text in files.items() if name.endswith(".yaml")}
    loaded = load_mesh(MemoryTree({**texts, "policies/reviews/rollout.yaml": rollout}))
    if loaded.mesh is not None:
        assert [str(item.key) for item in loaded.mesh.rollouts] == ["default/reviews"]
    return [str(item) for item in loaded.diagnostics]


def test_the_rollouts_of_the_demo_fit_the_example() -> None:
    """Nothing is wrong with them, not even a warning; nor with the second one, where each version takes another's place."""
    files = example()
    assert walks(ROLLOUT.decode(), files) == []
    further = {**files, TRAFFIC: succeeded_by(weigh(files[TRAFFIC], {"v1": 0, "v2": 100}), "v1", "v3")}
    assert walks(onward(ROLLOUT).decode(), further) == []
    assert walks(onward(ROLLOUT).decode(), files) != []


def test_the_rollout_in_the_readme_can_be_pasted() -> None:
    """Whoever puts it beside the example's policies has a canary that walks, and nothing to correct."""
    (rollout,) = re.findall(
        r"^```yaml\n(apiVersion.*?)^```$", example()["README.md"].decode(), flags=re.MULTILINE | re.DOTALL
    )
    assert walks(rollout, example()) == []
