"""Which proxies carry a rollout's split, by which clusters, and which of them are proven to have it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from reconciler.cycle.walking.scope import scope, verified
from reconciler.model.key import Key
from reconciler.model.receipt import OutcomeKind, ProxyReceipt, Receipt
from tests.cycle.desires import EDGE, ROLLOUT, ROUTES, course, desired, policies
from tests.cycle.walked import START
from tests.e2e.rig import GATEWAY, SERVICE

LEGACY = Key("default", "legacy")
HOST = "details.default.svc.cluster.local"


def test_whoever_routes_by_the_split_carries_it_also_at_weight_zero(tmp_path: Path) -> None:
    """Gateways by Istio's names of clusters, Envoys of others by what their mapping calls them, of the rules that move only."""
    found = desired(tmp_path, policies(canary=0))
    carried = scope(found, course(found))
    assert list(carried) == [EDGE, LEGACY]
    assert carried[EDGE].canary == {f"outbound|9080|v2|{HOST}"}
    assert carried[EDGE].stable == {f"outbound|9080|v1|{HOST}"}
    assert carried[LEGACY].canary == {"two"}
    assert carried[LEGACY].stable == {"one"}


def test_an_envoy_whose_mapping_leaves_the_rule_out_carries_nothing(tmp_path: Path) -> None:
    """Nor does a gateway that the VirtualService is not for."""
    files = policies()
    files["legacy"] = "\n".join(line for line in files["legacy"].splitlines() if "primary" not in line)
    values = {"name": "edge-2", "port": 8081, "admin": "/run/edge-2.sock", "directory": "/var/lib/edge-2"}
    found = desired(tmp_path, files | {"edge-2": GATEWAY % values})
    assert list(scope(found, course(found))) == [EDGE]
    mapped = desired(tmp_path / "all", policies(rollout=ROLLOUT.replace("[primary]", "[primary, other]")))
    assert scope(mapped, course(mapped))[LEGACY].canary == {"two", "due"}


def test_a_service_with_several_ports_has_a_cluster_for_each(tmp_path: Path) -> None:
    """All that the rule's shares name; clusters of other hosts and subsets are not among them."""
    ports = "ports: [{number: 9080, name: http, protocol: HTTP}, {number: 9090, name: more, protocol: HTTP}]"
    service = SERVICE.replace("ports: [{number: 9080, name: http, protocol: HTTP}]", ports) % {"v1": 81, "v2": 82}
    routes = ROUTES.replace("host: details,", "host: details, port: {number: 9090},", 2)
    routes %= {"canary": 10, "stable": 90, "other": 0, "other_stable": 100}
    found = desired(tmp_path, policies(details=service.replace("{http: 8", "{more: 1, http: 8"), routes=routes.replace(
        "details, subset: v1}, weight: 100", "details, port: {number: 9080}, subset: v1}, weight: 100").replace(
        "details, subset: v2}, weight: 0", "details, port: {number: 9080}, subset: v2}, weight: 0")))  # fmt: skip
    carried = scope(found, course(found))[EDGE]
    assert carried.canary == {f"outbound|9090|v2|{HOST}", f"outbound|9080|v2|{HOST}"}


def test_a_target_that_is_not_there_concerns_nobody(tmp_path: Path) -> None:
    """A mesh without proxies, too."""
    files = {name: text for name, text in policies().items() if name not in {"edge", "legacy"}}
    found = desired(tmp_path, files | {"routes": files["routes"].replace("  gateways: [edge]\n", "")})
    assert scope(found, course(found)) == {}
    seen = verified(found, course(found), [], [])
    assert (seen.scope, dict(seen.laggards), seen.since) == (frozenset(), {}, None)


def receipt(minutes: int, **views: tuple[str, OutcomeKind, str]) -> Receipt:
    """One that says of proxies which view they have, how it ended, and details."""
    entries = {
        Key("default", name): ProxyReceipt(view=view, proof="exact", outcome=kind, detail=detail)
        for name, (view, kind, detail) in views.items()
    }
    at = START + timedelta(minutes=minutes)
    return Receipt(commit="c", at=at, subject="", policy_commit="p", plan_digest="", outcome="", proxies=entries)


def test_who_is_not_proven_to_have_it_lags_and_why(tmp_path: Path) -> None:
    """Not pushed to, unreachable, or seen with another view; proof in a receipt is all that counts."""
    found = desired(tmp_path, policies())
    at, keys = course(found), [EDGE, LEGACY]
    edge, legacy = found.views[EDGE].version, found.views[LEGACY].version
    good = {"edge": (edge, OutcomeKind.APPLIED, ""), "legacy": (legacy, OutcomeKind.APPLIED, "")}

    assert len(verified(found, at, keys, []).laggards) == 2
    never = verified(found, at, keys, [receipt(0, edge=good["edge"])])
    assert dict(never.laggards) == {LEGACY: "it has not been pushed to yet"}
    down = verified(found, at, keys, [receipt(0, **good | {"edge": (edge, OutcomeKind.UNREACHABLE, "refused")})])
    assert dict(down.laggards) == {EDGE: "refused"}
    silent = verified(found, at, keys, [receipt(0, **good | {"edge": (edge, OutcomeKind.LATE, "")})])
    assert dict(silent.laggards) == {EDGE: "it is late"}
    old = verified(found, at, keys, [receipt(0, **good | {"legacy": ("else", OutcomeKind.APPLIED, "")})])
    assert (list(old.laggards), old.since) == ([LEGACY], None)
    assert verified(found, at, keys, [receipt(0, **good)]).laggards == {}


def test_it_is_live_since_the_first_receipt_that_shows_it_without_a_gap(tmp_path: Path) -> None:
    """A laggard in between begins the time anew; one that is allowed does not. A commit's time is rounded down, so a second is added: no pause may be short."""
    found = desired(tmp_path, policies())
    keys, edge, legacy = [EDGE, LEGACY], found.views[EDGE].version, found.views[LEGACY].version
    both = {"edge": (edge, OutcomeKind.APPLIED, ""), "legacy": (legacy, OutcomeKind.APPLIED, "")}
    one = both | {"legacy": (legacy, OutcomeKind.UNREACHABLE, "")}
    history = [receipt(9, **both), receipt(7, **both), receipt(5, **one), receipt(3, **both), receipt(1)]
    assert verified(found, course(found), keys, history).since == START + timedelta(minutes=7, seconds=1)
    lenient = desired(tmp_path, policies(rollout=ROLLOUT.replace("  canary: v2\n", "  canary: v2\n  maxLaggards: 1\n")))
    assert verified(lenient, course(lenient), keys, history).since == START + timedelta(minutes=3, seconds=1)
