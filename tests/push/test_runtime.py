"""An Envoy that someone else configures: its weights, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reconciler.clock import SystemClock
from reconciler.envoy import Admin
from reconciler.envoy.binary import EnvoyProcess
from reconciler.model import protos
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.observation import Proof
from reconciler.model.origin import Origin
from reconciler.model.proxy import Proxy, Push, RuntimePush, RuntimeRoute
from reconciler.model.receipt import Outcome, OutcomeKind
from reconciler.model.resource import Resource, ResourceId, ResourceType, View
from reconciler.push import Target
from reconciler.settings import AdminSettings
from tests.push.conftest import Backends, Ports
from tests.push.lab import Shelf, address, changes, split, wait_for_push
from tests.push.traffic import Load, ask

ADMIN_LAYER = {"layers": [{"name": "admin", "admin_layer": {}}]}


@dataclass
class Foreign:
    """A running Envoy with a static split under `routing.reviews`, and its mapping."""

    admin: Admin
    port: int
    routes: list[RuntimeRoute] = field(default_factory=list)

    @property
    def proxy(self) -> Policy[Proxy]:
        spec = Proxy(admin=self.admin.address, push=Push(runtime=RuntimePush(routes=tuple(self.routes))))
        return Policy("Proxy", Key("default", "foreign"), spec, Origin("proxies.yaml", 0))

    def map(self, prefix: str, **clusters: str) -> None:
        self.routes.append(RuntimeRoute(virtual_service="reviews", route="primary", prefix=prefix, clusters=clusters))

    def target(self, weights: Mapping[str, int]) -> Target:
        keys = [Resource.of(ResourceType.RUNTIME, key, str(weight).encode()) for key, weight in weights.items()]
        seen = self.admin.observe(self.proxy, at=SystemClock().now)
        view = View.of(self.proxy.key, keys)
        return Target(proxy=self.proxy, view=view, observation=seen, changes=changes(seen, view))

    def push(self, **weights: int) -> Outcome:
        target = self.target({f"routing.reviews.{cluster}": weight for cluster, weight in weights.items()})
        return wait_for_push([target], {self.proxy.key: self.admin}).outcomes[self.proxy.key]


@contextmanager
def foreign(
    folder: Path, port: int, backs: Mapping[str, int], admin: Mapping[str, Any], runtime: Any
) -> Iterator[Foreign]:
    """Start one whose bootstrap has everything."""
    shelf = Shelf(str(folder))
    clusters = []
    for name, back in backs.items():
        ends = {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(back)}}]}]}
        clusters.append({"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": ends})
    routes = split("static", "routing.reviews", **{name: 100 if name == "v1" else 0 for name in backs})
    listener = protos.to_dict(protos.decode(shelf.listener("in", port, routes)))
    pipe = {"address": {"pipe": {"path": str(folder / "admin.sock")}}} | dict(admin)
    config = {"admin": pipe, "static_resources": {"clusters": clusters, "listeners": [listener]}} | runtime
    file = folder / "bootstrap.json"
    file.write_text(json.dumps(config))
    where = f"unix://{folder / 'admin.sock'}"
    process = EnvoyProcess(bootstrap=file, admin=where, log=folder / "log")
    with process, Admin(where, AdminSettings()) as client:
        yield Foreign(client, port)


Make = Callable[..., Foreign]


@pytest.fixture
def make(envoy: str, short_path: Path, stack: ExitStack, make_port: Ports, make_backend: Backends) -> Make:
    """Start a foreign Envoy, with an admin layer unless told otherwise."""
    assert envoy

    def start(*clusters: str, admin: Mapping[str, Any] | None = None, layers: Any = ADMIN_LAYER) -> Foreign:
        backs = {name: make_backend(name) for name in clusters or ("v1", "v2")}
        runtime = {"layered_runtime": layers} if layers else {}
        return stack.enter_context(foreign(short_path, make_port(), backs, admin or {}, runtime))

    return start


def test_weights_move_under_load(make: Make, *, full: bool) -> None:
    """Weights move back and forth with no failed request, and are proven by the values in effect."""
    one = make()
    one.map("routing.reviews", v1="v1", v2="v2")
    with Load(one.port) as load:
        for flip in range(200 if full else 20):
            moved = flip % 2 == 0
            outcome = one.push(v1=0 if moved else 100, v2=100 if moved else 0)
            assert (outcome.kind, outcome.proof, outcome.detail) == (OutcomeKind.APPLIED, Proof.EXACT, "")
            assert outcome.pushed
            load.wait(10)
    assert set(load.answers) == {"v1", "v2"}


def test_weights_that_are_right_are_not_sent(make: Make) -> None:
    """The configured weights are in effect: nothing to change, nothing to send."""
    one = make()
    one.map("routing.reviews", v1="v1", v2="v2")
    outcome = one.push(v1=100, v2=0)
    assert (outcome.kind, outcome.proof, outcome.pushed) == (OutcomeKind.APPLIED, Proof.EXACT, False)
    assert one.admin.versions().overrides == 0


def test_all_keys_of_a_route_travel_together(make: Make) -> None:
    """A route with one changed key gets all its keys, so that none is left to the configuration it might change to."""
    one = make()
    one.map("routing.reviews", v1="v1", v2="v2")
    assert one.push(v1=100, v2=7).proof is Proof.EXACT
    assert one.admin.versions().overrides > 0
    assert ask(one.port) in {"v1", "v2"}
    seen = one.admin.observe(one.proxy, at=SystemClock().now).resources
    values = {id_.name: item.body for id_, item in seen.items()}
    assert values == {"routing.reviews.v1": b"100", "routing.reviews.v2": b"7"}


@pytest.mark.parametrize(
    ("prefix", "clusters", "words"),
    [
        ("routing.typo", {"v1": "v1", "v2": "v2"}, "no live weighted route has the runtime key prefix routing.typo"),
        ("routing.reviews", {"v1": "v1", "v2": "gone"}, "has no cluster gone"),
        ("routing.reviews", {"v2": "v2"}, "also weighs v1, which the mapping leaves out"),
    ],
)
def test_what_no_live_route_reads_is_refused_by_name(
    make: Make, prefix: str, clusters: dict[str, str], words: str
) -> None:
    """A mapping that the live configuration does not have is named; nothing is sent for it."""
    one = make()
    one.map(prefix, **clusters)
    target = one.target({f"{prefix}.{cluster}": 55 for cluster in clusters.values()})
    outcome = wait_for_push([target], {one.proxy.key: one.admin}).outcomes[one.proxy.key]
    assert (outcome.kind, outcome.pushed) == (OutcomeKind.REJECTED, False)
    assert "reviews primary" in outcome.detail
    assert words in outcome.detail
    assert one.admin.versions().overrides == 0


def test_a_key_that_is_not_mapped_is_refused_by_name(make: Make) -> None:
    """Runtime keys that no mapped route has are never set."""
    one = make()
    one.map("routing.reviews", v1="v1", v2="v2")
    target = one.target({"routing.reviews.v1": 100, "routing.reviews.v2": 0, "overload.everything": 1})
    outcome = wait_for_push([target], {one.proxy.key: one.admin}).outcomes[one.proxy.key]
    assert (outcome.kind, outcome.pushed) == (OutcomeKind.REJECTED, False)
    assert "overload.everything" in outcome.detail


def test_one_bad_mapping_does_not_hold_up_the_others(make: Make) -> None:
    """A route is the unit: those that can be pushed are, and the outcome names the one that can't."""
    one = make()
    one.map("routing.typo", v1="v1")
    one.map("routing.reviews", v1="v1", v2="v2")
    target = one.target({"routing.reviews.v1": 0, "routing.reviews.v2": 100, "routing.typo.v1": 5})
    outcome = wait_for_push([target], {one.proxy.key: one.admin}).outcomes[one.proxy.key]
    assert (outcome.kind, outcome.pushed) == (OutcomeKind.REJECTED, True)
    assert "routing.typo" in outcome.detail
    assert ask(one.port) == "v2"


def test_an_envoy_without_an_admin_layer_is_refused_by_name(make: Make) -> None:
    """Without an admin layer Envoy can't be told; the outcome says so, and traffic stays."""
    one = make(layers=None)
    one.map("routing.reviews", v1="v1", v2="v2")
    outcome = one.push(v1=0, v2=100)
    assert outcome.kind is OutcomeKind.REJECTED
    assert "admin layer" in outcome.detail
    assert ask(one.port) == "v1"


def test_a_post_that_is_not_allowed_is_named(make: Make) -> None:
    """Where `allow_paths` leaves `/runtime_modify` out, the outcome says which path was not allowed."""
    allowed = [{"prefix": path} for path in ("/ready", "/stats", "/config_dump")] + [{"exact": "/runtime"}]
    one = make(admin={"allow_paths": allowed})
    one.map("routing.reviews", v1="v1", v2="v2")
    outcome = one.push(v1=0, v2=100)
    assert outcome.kind is OutcomeKind.REJECTED
    assert "/runtime_modify" in outcome.detail
    assert ask(one.port) == "v1"


def test_a_layer_above_that_hides_the_values_is_late_and_named(make: Make) -> None:
    """Values that a stronger layer hides are not in effect: the outcome shows which, with the value that is."""
    static = {"name": "above", "static_layer": {"routing.reviews.v1": 100, "routing.reviews.v2": 1}}
    one = make(layers={"layers": [*ADMIN_LAYER["layers"], static]})
    one.map("routing.reviews", v1="v1", v2="v2")
    outcome = one.push(v1=0, v2=100)
    assert outcome.kind is OutcomeKind.LATE
    assert "routing.reviews.v2 is 1, not 100" in outcome.detail


def test_a_key_that_should_go_is_deleted(make: Make) -> None:
    """A key that the view no longer has is deleted, and the configured weight is in effect again."""
    one = make()
    one.map("routing.reviews", v1="v1", v2="v2")
    assert one.push(v1=0, v2=100).proof is Proof.EXACT
    target = one.target({})
    gone = {change.id for change in target.changes}
    assert gone == {ResourceId(ResourceType.RUNTIME, f"routing.reviews.{name}") for name in ("v1", "v2")}
    wait_for_push([target], {one.proxy.key: one.admin})
    assert one.admin.versions().overrides == 0
    assert ask(one.port) == "v1"
