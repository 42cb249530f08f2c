"""One Envoy that reads files: order, counters, refusals, the disk."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from reconciler.clock import Clock
from reconciler.envoy import Admin
from reconciler.model.observation import Proof
from reconciler.model.receipt import OutcomeKind
from reconciler.push.disk import Disk
from reconciler.push.files import FilesWay
from reconciler.push.watches import Watches
from reconciler.push.ways import Target
from tests.push.conftest import Backends, Ports
from tests.push.lab import Lab, SplitLab, apply, inodes, pushed, service, split
from tests.push.traffic import Load, ask


def test_from_nothing_to_exact(lab: Lab, make_port: Ports, make_backend: Backends) -> None:
    """A first push is applied, exact, and serves; what is on the disk is what the view says."""
    port = make_port()
    resources = service(lab, "a", port, make_backend("a"))
    outcome = apply(lab, resources)
    assert (outcome.kind, outcome.proof, outcome.detail) == (OutcomeKind.APPLIED, Proof.EXACT, "")
    assert outcome.view == lab.view(resources).version
    assert outcome.pushed
    assert ask(port) == "a"
    assert lab.bytes_on_disk() == lab.rendered(resources)


def test_one_weight_is_one_file_and_one_route_update(split_lab: SplitLab) -> None:
    """A changed weight touches one file, and of Envoy's update counters one moves by one."""
    lab, at, port = split_lab
    counters, before = lab.counters(), inodes(lab.directory)
    outcome = apply(lab, at(100))
    assert (outcome.kind, outcome.proof) == (OutcomeKind.APPLIED, Proof.EXACT)
    assert ask(port) == "v2"
    after = inodes(lab.directory)
    assert [path for path in after if after[path] != before.get(path)] == [str(lab.directory / "routes/web.pb")]
    assert lab.counters() - counters == Counter({"http.in.rds.web.update_success": 1})


def test_nothing_to_do_touches_nothing(split_lab: SplitLab) -> None:
    """A target without changes is proven by its observation: no file, no call, no counter."""
    lab, at, _ = split_lab
    counters, before = lab.counters(), inodes(lab.directory)
    outcome = apply(lab, at(0))
    assert (outcome.kind, outcome.proof, outcome.pushed) == (OutcomeKind.APPLIED, Proof.EXACT, False)
    assert inodes(lab.directory) == before
    assert lab.counters() == counters


def test_a_service_comes_and_goes_under_load(split_lab: SplitLab, make_port: Ports, make_backend: Backends) -> None:
    """No request to others fails while a whole service is added and removed, and nothing of it stays behind."""
    lab, at, port = split_lab
    clean = lab.bytes_on_disk()
    other, back = make_port(), make_backend("b")
    with Load(port) as load:
        for _ in range(3):
            load.wait(30)
            assert apply(lab, [*at(0), *service(lab, "b", other, back)]).proof is Proof.EXACT
            assert ask(other) == "b"
            load.wait(30)
            assert apply(lab, at(0)).proof is Proof.EXACT
            assert ask(other) == "ConnectionRefusedError"
    assert set(load.answers) == {"v1"}
    assert lab.bytes_on_disk() == clean


def test_weights_flip_under_load(split_lab: SplitLab, *, full: bool) -> None:
    """No request fails while weights move back and forth, and both versions are seen."""
    lab, at, port = split_lab
    with Load(port) as load:
        for flip in range(100 if full else 10):
            assert apply(lab, at(100 if flip % 2 == 0 else 0)).proof is Proof.EXACT
            load.wait(200 if full else 30)
    assert set(load.answers) == {"v1", "v2"}


def test_a_changed_cluster_reads_its_endpoints_at_once(split_lab: SplitLab) -> None:
    """A changed cluster warms until its endpoints are read; from a file that is at once, not after 15 s."""
    lab, at, port = split_lab
    resources = [
        lab.shelf.cluster("v1", connect_timeout="2s"),
        *(item for item in at(0) if str(item.id) != "cluster v1"),
    ]
    with Load(port) as load:
        outcome = apply(lab, resources, seconds=5)
        load.wait(20)
    assert outcome.proof is Proof.EXACT
    assert set(load.answers) == {"v1"}


def test_an_inline_route_to_a_new_cluster_is_accepted(lab: Lab, make_port: Ports, make_backend: Backends) -> None:
    """Envoy refuses an inline route to a cluster that it lacks, so the cluster is confirmed before the listener is sent."""
    port = make_port()
    listener = lab.shelf.listener("in", port, split("inline", a=1))
    outcome = apply(lab, [lab.shelf.cluster("a"), lab.shelf.endpoints("a", make_backend("a")), listener])
    assert outcome.proof is Proof.EXACT, outcome.detail
    assert ask(port) == "a"


def test_a_listener_takes_over_the_address_of_another(lab: Lab, make_port: Ports, make_backend: Backends) -> None:
    """A renamed listener keeps its address: Envoy gets both halves in one update."""
    port = make_port()
    common = [lab.shelf.cluster("a"), lab.shelf.endpoints("a", make_backend("a")), lab.shelf.route("r", a=1)]
    assert apply(lab, [*common, lab.shelf.listener("old", port, "r")]).proof is Proof.EXACT
    assert apply(lab, [*common, lab.shelf.listener("new", port, "r")]).proof is Proof.EXACT
    assert ask(port) == "a"


def test_a_stale_disk_is_mended_by_the_next_push(split_lab: SplitLab) -> None:
    """What only a restart would notice, a wiped or edited file, is right again after any push to the proxy."""
    lab, at, port = split_lab
    (lab.directory / "endpoints/v1.pb").unlink()
    (lab.directory / "cds.pb").write_bytes(b"junk")
    (lab.directory / "routes/orphan.pb").write_bytes(b"left by a crash")
    (lab.directory / "routes/notes.txt").write_bytes(b"mine")
    assert apply(lab, at(100)).proof is Proof.EXACT
    assert lab.bytes_on_disk() == lab.rendered(at(100))
    assert (lab.directory / "routes/notes.txt").exists()
    lab.process.kill()
    lab.process.start()
    assert ask(port) == "v2"


def test_runtime_overrides_are_cleared(split_lab: SplitLab) -> None:
    """On a proxy that is configured fully, an override made by hand is drift: it goes, with no file touched."""
    lab, at, _ = split_lab
    lab.admin.set_runtime({"some.key": "7"})
    before = inodes(lab.directory)
    target = lab.target(at(0))
    assert [str(change.id) for change in target.changes] == ["runtime some.key"]
    outcome = pushed([target], [lab]).outcomes[lab.proxy.key]
    assert (outcome.kind, outcome.proof) == (OutcomeKind.APPLIED, Proof.EXACT)
    assert inodes(lab.directory) == before


def test_a_disk_error_fails_by_name_and_the_old_config_serves(split_lab: SplitLab) -> None:
    """A path that can't be written is named with the reason; what was in force is in force, and the next push heals."""
    lab, at, port = split_lab
    folder, moved = lab.directory / "routes", lab.directory / "moved"
    folder.rename(moved)
    folder.write_bytes(b"a file where a folder should be")
    outcome = apply(lab, at(100))
    assert outcome.kind is OutcomeKind.FAILED
    assert str(folder) in outcome.detail
    assert outcome.view == lab.view(at(0)).version
    assert ask(port) == "v1"
    folder.unlink()
    moved.rename(folder)
    assert apply(lab, at(100)).proof is Proof.EXACT
    assert ask(port) == "v2"


def test_a_missing_directory_fails_by_name(split_lab: SplitLab, tmp_path: Path) -> None:
    """A directory that isn't there is a mistake in the policy, or was wiped: it is named, and not made."""
    lab, at, _ = split_lab
    target = lab.target(at(100))

    def elsewhere(target: Target, admin: Admin, clock: Clock) -> FilesWay:
        return FilesWay(target, admin=admin, clock=clock, disk=Disk(str(tmp_path / "typo")), watches=Watches())

    outcome = pushed([target], [lab], ways=elsewhere).outcomes[lab.proxy.key]
    assert (outcome.kind, outcome.pushed) == (OutcomeKind.FAILED, False)
    assert str(tmp_path / "typo") in outcome.detail
