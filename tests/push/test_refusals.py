"""What Envoy refuses is said in its words, and taken back."""

from __future__ import annotations

from reconciler.model.observation import Proof
from reconciler.model.receipt import OutcomeKind
from reconciler.model.resource import Resource, ResourceId, ResourceType
from tests.push.conftest import Ports
from tests.push.lab import Lab, SplitLab, apply, made
from tests.push.traffic import Load, ask

RING = {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": 4096, "maximum_ring_size": 1024}}


def bad_cluster(lab: Lab) -> list[Resource]:
    """A cluster that Envoy refuses only when it builds it, sorted before a good one: the kind that silences CDS for good."""
    ends = [lab.shelf.endpoints("bad", 1), lab.shelf.endpoints("later", 1)]
    return [lab.shelf.cluster("bad", **RING), lab.shelf.cluster("later"), *ends]


def test_a_refused_cluster_is_taken_back(split_lab: SplitLab) -> None:
    """Refused in ADD: named with its file, traffic goes on, nothing of it is live or on the disk, a restart serves."""
    lab, at, port = split_lab
    before = lab.bytes_on_disk()
    with Load(port) as load:
        outcome = apply(lab, [*at(100), *bad_cluster(lab)])
        load.wait(20)
    assert (outcome.kind, outcome.proof) == (OutcomeKind.REJECTED, Proof.NONE)
    assert "cds.pb" in outcome.detail
    assert outcome.rejected == (ResourceId(ResourceType.CLUSTER, "bad"),)  # not `later`, which is good
    assert outcome.view == lab.view(at(0)).version
    assert set(load.answers) == {"v1"}
    assert lab.bytes_on_disk() == before
    assert lab.admin.versions().warming == 0
    lab.process.kill()
    lab.process.start()
    assert ask(port) == "v1"


def test_after_a_refusal_the_next_good_push_goes_through(split_lab: SplitLab) -> None:
    """A refused cluster leaves nothing behind that would hold up the next update."""
    lab, at, port = split_lab
    assert apply(lab, [*at(0), *bad_cluster(lab)]).kind is OutcomeKind.REJECTED
    extra = [lab.shelf.cluster("later"), lab.shelf.endpoints("later", 1)]
    assert apply(lab, [*at(100), *extra]).proof is Proof.EXACT
    assert ask(port) == "v2"


def test_a_refused_listener_is_told_in_envoys_words(split_lab: SplitLab, make_port: Ports) -> None:
    """Envoy keeps its reason for a listener, and so the outcome has it."""
    lab, at, port = split_lab
    inline = {
        "virtual_hosts": [
            {"name": "a", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "no"}}]}
        ]
    }
    good = lab.shelf.listener("good", make_port(), "web")
    outcome = apply(lab, [*at(0), lab.shelf.listener("bad", make_port(), inline), good])
    assert outcome.kind is OutcomeKind.REJECTED
    assert "lds.pb" in outcome.detail
    assert "unknown cluster 'no'" in outcome.detail
    assert outcome.rejected == (ResourceId(ResourceType.LISTENER, "bad"),)
    assert lab.bytes_on_disk() == lab.rendered(at(0))
    assert ask(port) == "v1"


def test_a_refused_route_is_taken_back(split_lab: SplitLab) -> None:
    """Refused in REPOINT: the route that served serves on, also after a restart."""
    lab, at, port = split_lab
    twice = [{"name": name, "domains": ["*"]} for name in "ab"]
    bad = made(ResourceType.ROUTE, name="web", virtual_hosts=twice)
    outcome = apply(lab, [*(item for item in at(0) if item.id != bad.id), bad])
    assert outcome.kind is OutcomeKind.REJECTED
    assert "routes/web.pb" in outcome.detail
    assert outcome.rejected == (bad.id,)
    assert lab.bytes_on_disk() == lab.rendered(at(0))
    lab.process.kill()
    lab.process.start()
    assert ask(port) == "v1"


def test_of_several_routes_only_the_refused_one_is_named(split_lab: SplitLab, make_port: Ports) -> None:
    """Envoy counts refusals by type; a good route that was sent at the same time is not blamed, whichever it reads first."""
    lab, at, _ = split_lab
    names = [f"{letter}-route" for letter in "abcdef"]
    listeners = [lab.shelf.listener(name, make_port(), name) for name in names]
    first = [lab.shelf.route(name, v1=100) for name in names]
    assert apply(lab, [*at(0), *listeners, *first]).proof is Proof.EXACT
    twice = [{"name": name, "domains": ["*"]} for name in "ab"]
    bad = made(ResourceType.ROUTE, name="c-route", virtual_hosts=twice)
    second = [bad if name == "c-route" else lab.shelf.route(name, v1=50, v2=50) for name in names]
    outcome = apply(lab, [*at(0), *listeners, *second])
    assert outcome.kind is OutcomeKind.REJECTED
    assert outcome.rejected == (bad.id,)


def test_a_crash_after_a_refusal_is_mended(split_lab: SplitLab) -> None:
    """A refused file that was left on the disk is replaced by the next push, though its part of the live state is right."""
    lab, at, _ = split_lab
    refused = lab.rendered([*at(0), *bad_cluster(lab)])[str(lab.directory / "cds.pb")]
    (lab.directory / "cds.pb").write_bytes(refused)
    assert apply(lab, at(100)).proof is Proof.EXACT
    assert lab.bytes_on_disk() == lab.rendered(at(100))


def test_what_never_warms_is_late_and_named(split_lab: SplitLab, make_port: Ports) -> None:
    """A listener whose routes never come is late, and the outcome says which; the others serve on."""
    lab, at, port = split_lab
    server = {
        "api_type": "GRPC",
        "transport_api_version": "V3",
        "grpc_services": [{"envoy_grpc": {"cluster_name": "silent"}}],
    }
    nowhere = {"resource_api_version": "V3", "initial_fetch_timeout": "0s", "api_config_source": server}
    lost = lab.shelf.listener("waits", make_port(), "never", source=nowhere)
    outcome = apply(lab, [*at(0), lost], seconds=0.5)
    assert (outcome.kind, outcome.proof) == (OutcomeKind.LATE, Proof.NONE)
    assert "still warming: listener waits" in outcome.detail
    assert outcome.view == lab.view(at(0)).version
    assert ask(port) == "v1"
