from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from reconciler.cli.demo.bookinfo import BY_ORDER
from reconciler.cli.demo.commands import DaemonExitedError
from reconciler.cli.demo.drift import BY_HAND, RouteFile
from reconciler.cli.demo.screen import Screen
from reconciler.cli.demo.stage import Stage
from reconciler.cli.demo.traffic import Sample, Tally
from reconciler.cli.demo.witness import ClaimError, Witness, none_failed, split_as
from reconciler.envoy import Admin
from reconciler.model.resource import ResourceType
from reconciler.settings import AdminSettings
from tests.e2e.on_files import example_on_files


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage after one pass: all reviews come from v1. Without a daemon, so that nothing else happens on it."""
    with Stage(policies=example_on_files(tmp_path_factory.mktemp("policies"))) as found:
        assert found.reconcile().code == 0
        yield found


@pytest.fixture
def witness(stage: Stage) -> Witness:
    """A witness whose screen nobody looks at."""
    return Witness(stage, Screen(Console(file=io.StringIO())))


RATINGS = "policies/ratings/traffic.yaml"
WAY = ("ingressgateway", "productpage-v1", "productpage-v1", "details-v1", "productpage-v1", "reviews-v1")


def test_a_request_is_followed_through_logs_and_counters(stage: Stage, witness: Witness) -> None:
    """Every Envoy on its way has it under one id, by the connections that the others name; each came back with its answer."""
    journey = witness.followed(WAY)
    assert [hop.outbound for hop in journey.hops] == [True, False, True, False, True, False]
    departures = [hop for hop in journey.hops if hop.outbound]
    assert [arrival.proxy for hop in departures if (arrival := journey.arrival(hop))] == [
        "productpage-v1", "details-v1", "reviews-v1",
    ]  # fmt: skip
    assert journey.request in stage.envoys["reviews-v1"].log.read_text()


def test_a_request_that_goes_another_way_is_no_proof(witness: Witness) -> None:
    """The demo fails if an Envoy that it names has not seen the request, or one that it does not name has."""
    with pytest.raises(ClaimError, match="the request was logged by ingressgateway, productpage-v1, "):
        witness.followed((*WAY[:-1], "reviews-v2"))


def test_a_fleet_that_is_not_in_sync_is_seen_in_its_status(stage: Stage, witness: Witness) -> None:
    """One proxy that lags, or that no row is of, and the demo fails."""
    commit = "0123456789abcdef"
    rows = [f"{proxy.key}  in-sync  0  applied  exact  -  0123456 1s ago" for proxy in stage.mesh.proxies]
    witness.connected("\n".join(["PROXY STATE PENDING", *rows]), commit)
    with pytest.raises(ClaimError, match=r"default/details-v1 is not what it should be: behind 1"):
        witness.connected("\n".join(rows).replace("in-sync  0", "behind  1", 1), commit)
    with pytest.raises(ClaimError, match="there is none"):
        witness.connected("\n".join(rows[1:]), commit)
    with pytest.raises(ClaimError, match="not what it should be"):
        witness.connected("\n".join(rows), "fedcba9876543210")


def test_what_envoys_took_is_counted(stage: Stage, witness: Witness) -> None:
    """One route file more is one update of one Envoy; nothing at all is no update."""
    assert not witness.changed(lambda: None)
    file = RouteFile.find(stage.root / "envoy" / "productpage-v1" / "xds", service="reviews")
    before = file.path.read_bytes()

    def edit() -> None:
        file.answer_here()
        witness.until(lambda: _version(stage, file.name) == BY_HAND, "the edit")

    sent = witness.changed(edit)
    assert [(proxy, ".rds." in what) for proxy, what in sent.elements()] == [("productpage-v1", True)]
    draft = file.path.with_name(".draft")
    draft.write_bytes(before)
    draft.replace(file.path)
    witness.until(lambda: _version(stage, file.name) == file.version, "the route of before")


def _version(stage: Stage, route: str) -> str:
    with Admin(stage.admins["productpage-v1"], AdminSettings()) as admin:
        return admin.versions().versions[ResourceType.ROUTE, route]


def test_a_split_that_git_does_not_ask_for_is_no_proof(witness: Witness) -> None:
    """The demo fails if the traffic does something else than what it says."""
    with witness.traffic:
        witness.measured({"v1": 100, "v2": 0})
        with pytest.raises(ClaimError, match=r"reviews v1 served \d+ of \d+ requests; 90% means"):
            witness.measured({"v1": 90, "v2": 10})


def test_one_failed_request_fails_the_demo() -> None:
    """Zero failures are claimed, so one is too many, and its words are shown."""
    fine = [Sample(0.0, 0.1, "200", "v1")] * 999
    none_failed(Tally.of(fine))
    with pytest.raises(ClaimError, match="1 of 1000 requests failed: 503 no healthy upstream"):
        none_failed(Tally.of([*fine, Sample(0.0, 0.1, "503", "", "no healthy upstream")]))


def test_what_failed_by_order_is_accounted_for_to_the_request() -> None:
    """One failure more or less than was ordered, or one that was not ordered, and the demo fails."""
    told = Sample(0.0, 0.1, "502", "", BY_ORDER)
    tally = Tally.of([*[Sample(0.0, 0.1, "200", "v3")] * 8, *[told] * 2])
    none_failed(tally, ordered=2)
    for ordered in (0, 1, 3):
        with pytest.raises(ClaimError, match=rf"2 of 10 requests failed \(2 by order, which {ordered} should have\)"):
            none_failed(tally, ordered=ordered)
    swapped = Tally.of([*[Sample(0.0, 0.1, "200", "v3")] * 8, told, Sample(0.0, 0.1, "503", "", "down")])
    with pytest.raises(ClaimError, match=r"\(1 by order, which 2 should have\): 503 down"):
        none_failed(swapped, ordered=2)


def test_what_a_version_failed_is_its_share_too() -> None:
    """A canary that answers with errors has still been given its weight."""
    fine, told = Sample(0.0, 0.1, "200", "v2"), Sample(0.0, 0.1, "502", "", BY_ORDER)
    tally = Tally.of([*[fine] * 900, *[told] * 100])
    split_as(tally, {"v2": 90.0, "v3": 10.0}, failing="v3")
    with pytest.raises(ClaimError, match="reviews v3 served 0 of 1000 requests; 10% means"):
        split_as(tally, {"v2": 90.0, "v3": 10.0})


def test_a_daemon_that_died_ends_the_waiting_at_once(witness: Witness) -> None:
    """Its last words are shown instead of a timeout."""
    witness.start_daemon("--interval", "never")
    with pytest.raises(DaemonExitedError, match="'never' is not a duration"):
        witness.until(lambda: False, "nothing")


def test_the_receipt_of_a_pass_is_proof(stage: Stage, witness: Witness) -> None:
    """What the record branch says of a commit is shown once it is there."""
    witness.proven(stage.clone.tip("main"))


def test_an_instance_that_gets_hardly_anything_is_no_proof(witness: Witness) -> None:
    """One that is not there serves nothing, and the demo says so."""
    with witness.traffic, pytest.raises(ClaimError, match=r"details-v2 has less than a quarter to do: .*details-v1"):
        witness.shared("details", "details-v2")


def test_all_proxies_are_waited_for_only_where_some_may_be_on_their_way(stage: Stage, witness: Witness) -> None:
    """Of a change that is merged, the first receipt counts; of a start, the one that has every proxy."""
    stage.envoys["ratings-v1"].kill()
    text = stage.clone.read(RATINGS)
    commit = stage.clone.commit("Wait longer", {RATINGS: text.replace(b"timeout: 2s", b"timeout: 3s")})
    assert stage.reconcile().code == 4
    with pytest.raises(ClaimError, match="the receipt says"):
        witness.proven(commit)
    stage.envoys["ratings-v1"].start()
    witness.start_daemon("--interval", "200ms")
    witness.proven(commit, since="the start", gathering=True)
    witness.kill_daemon()  # the other tests have the stage to themselves
