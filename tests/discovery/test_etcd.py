"""etcd as a registry: the contract, what keys and values mean, and real members that are stopped, frozen, compacted and asked for passwords."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reconciler.clock import SystemClock
from reconciler.discovery.conformance import Member, Mood, Rule, Watched, rules, watching
from reconciler.discovery.contract import AdapterError, Gone, Snapshot, Surroundings
from reconciler.discovery.platforms.etcd import EtcdAdapter, build
from reconciler.model.discovered import Found
from reconciler.model.discovery import Etcd
from reconciler.settings import AdminSettings
from tests.certificates import Authority
from tests.discovery.test_etcd_reading import value
from tests.etcd.server import Cluster, Relay, encoded
from tests.http.servers import answer, routed, serving

AROUND = Surroundings(registry="main", domain="cluster.local", clock=SystemClock())
HASTY = AdminSettings(connect_timeout=1.0, read_timeout=2.0)
BEAT = 0.3
PASSWORD = "s3cr:t-word"  # noqa: S105 -- what nobody may see
GARBAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<html>welcome</"


class Etcds:
    """One member that asks for passwords, as the conformance test wants a platform."""

    within = 10.0
    patience = 10.0
    alive = 5.0
    secrets = (PASSWORD,)

    def __init__(self, folder: Path) -> None:
        self.cluster = Cluster(folder)
        self.relay = Relay(self.cluster.addresses[0])
        self.cluster.ask_for_passwords("mesh", PASSWORD, prefix="svc/")
        self._file = folder / "user"
        self._file.write_text(f"mesh:{PASSWORD}\n", encoding="utf-8")

    def adapter(self) -> EtcdAdapter:
        """See Platform."""
        spec = Etcd(addresses=(self.relay.address,), prefix="svc/", username_file=str(self._file))
        return EtcdAdapter(spec, AROUND, beat=BEAT, patience=HASTY)

    def host(self, service: str) -> str:
        """See Platform."""
        return f"{service}.default.svc.cluster.local"

    def publish(self, services: Mapping[str, Sequence[Member]]) -> None:
        """See Platform."""
        wanted = {
            f"svc/{name}/{each.address}": value(
                each.address, each.port, labels=dict(each.labels), health=str(each.health)
            )
            for name, members in services.items()
            for each in members
        }
        for key in self.cluster.keys():  # noqa: SIM118 -- no mapping
            if key not in wanted:
                self.cluster.delete(key)
        for key, text in wanted.items():
            self.cluster.put(key, text)

    def be(self, mood: Mood) -> None:
        """See Platform."""
        (member,) = self.cluster.members
        password = PASSWORD[::-1] if mood is Mood.DENYING else PASSWORD
        self._file.write_text(f"mesh:{password}\n", encoding="utf-8")
        self.relay.delay = 0.3 if mood is Mood.SLOW else 0
        self.relay.garbage = GARBAGE if mood is Mood.GARBAGE else b""
        if mood is Mood.GARBAGE:
            self.relay.drop()
        if mood is Mood.PARTITIONED:
            member.freeze()
        elif mood is Mood.DOWN:
            member.stop()
        else:
            member.start()
            self.cluster.wait(member)
            self.cluster.sign_in()

    def restart(self) -> None:
        """See Platform."""
        self.be(Mood.DOWN)
        self.be(Mood.WELL)

    def close(self) -> None:
        """End it."""
        self.relay.close()
        self.cluster.close()


@pytest.fixture(scope="module")
def etcds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcds]:
    platform = Etcds(tmp_path_factory.mktemp("etcd"))
    yield platform
    platform.close()


@pytest.mark.parametrize("rule", rules(), ids=str)
def test_it_conforms(rule: Rule, etcds: Etcds) -> None:
    """Every rule of the contract, with nothing that it lacks."""
    rule.check(etcds)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three members; each test brings them back to life before it begins."""
    cluster = Cluster(tmp_path_factory.mktemp("etcd"), 3)
    yield cluster
    cluster.close()


@contextmanager
def watched(*addresses: str, **spec: Any) -> Iterator[Watched]:
    """A watch that has begun."""
    adapter = EtcdAdapter(Etcd(addresses=addresses, **spec), AROUND, beat=BEAT, patience=HASTY)
    with watching(adapter) as watch:
        watch.wait(lambda it: bool(it.events) or it.error is not None, within=20, what="first event")
        yield watch


def addresses(services: Mapping[str, Found], host: str = "web.default.svc.cluster.local") -> list[str]:
    """Where a service's instances are."""
    return [each.address for each in services[host].instances] if host in services else []


def test_many_keys_are_listed_a_page_at_a_time(three: Cluster) -> None:
    """All of them, as they were at one revision; and what comes later."""
    revive(three)
    for number in range(25):
        requests = [
            {"request_put": {"key": encoded(f"many/s{number}/{each}"), "value": encoded(f"10.{number}.0.{each}:80")}}
            for each in range(1, 101)
        ]
        three.call("kv/txn", {"success": requests})
    with watched(three.addresses[0], prefix="many/") as watch:
        assert len(watch.services) == 25
        assert all(len(each.instances) == 100 for each in watch.services.values())
        three.delete("many/s7/1")
        watch.until(lambda now: len(addresses(now, "s7.default.svc.cluster.local")) == 99, within=10, what="one less")


def revive(cluster: Cluster) -> None:
    """All members run and answer."""
    for member in cluster.members:
        member.start()
    for member in cluster.members:
        cluster.wait(member)


def test_a_lease_that_ends_takes_its_instance_along(three: Cluster) -> None:
    """An instance that dies is gone without anybody saying so."""
    revive(three)
    three.put("lease/web/1", value("10.0.0.1"))
    three.put("lease/web/2", value("10.0.0.2"), lease=three.lease(2))
    with watched(three.addresses[0], prefix="lease/") as watch:
        assert addresses(watch.services) == ["10.0.0.1", "10.0.0.2"]
        watch.until(lambda now: addresses(now) == ["10.0.0.1"], within=20, what="end of the lease")
        three.delete("lease/web/1")
        watch.wait(lambda it: Gone("web.default.svc.cluster.local") in it.events, within=10, what="end of the service")


def test_a_key_that_changes_its_host_leaves_the_old_one(three: Cluster) -> None:
    """Both services are told."""
    revive(three)
    three.put("move/x/1", value("10.0.0.1", labels={"job": "a.example"}))
    with watched(three.addresses[0], prefix="move/", host_label="job") as watch:
        three.put("move/x/1", value("10.0.0.1", labels={"job": "b.example"}))
        watch.until(
            lambda now: addresses(now, "b.example") == ["10.0.0.1"] and not addresses(now, "a.example"),
            within=10,
            what="move",
        )


def test_what_is_left_out_is_told_and_taken_back(three: Cluster) -> None:
    """A key that makes no sense takes nothing else along, and its problem ends with it."""
    revive(three)
    three.put("bad/web/1", value("10.0.0.1"))
    three.put("bad/web/2", "nonsense")
    with watched(three.addresses[0], prefix="bad/") as watch:
        watch.wait(lambda it: it.problem is not None, within=10, what="problem")
        assert watch.problem is not None
        assert "key 'bad/web/2'" in watch.problem.message
        assert addresses(watch.services) == ["10.0.0.1"]
        three.delete("bad/web/2")
        watch.wait(lambda it: it.problem is None, within=10, what="end of the problem")


def test_a_frozen_member_is_left_for_the_next(three: Cluster) -> None:
    """Without an error: the registry can be read, and what happened meanwhile is seen."""
    revive(three)
    three.put("frozen/web/1", value("10.0.0.1"))
    with watched(*three.addresses, prefix="frozen/") as watch:
        three.members[0].freeze()
        three.wait(three.members[1])  # the one that is frozen may have been the leader
        three.put("frozen/web/2", value("10.0.0.2"), member=1)
        watch.until(lambda now: addresses(now) == ["10.0.0.1", "10.0.0.2"], within=30, what="change by another member")
        assert [type(event) for event in watch.events].count(Snapshot) == 2
        three.members[1].stop()  # two of three are gone now: nobody may answer alone
        watch.wait(lambda it: it.error is not None, within=60, what="error of a member without a leader")
        assert isinstance(watch.error, AdapterError)
        assert addresses(watch.services) == ["10.0.0.1", "10.0.0.2"]


def test_a_compacted_revision_is_listed_anew(three: Cluster) -> None:
    """Whoever was away for too long does not miss what was compacted away."""
    revive(three)
    three.put("compact/web/1", value("10.0.0.1"))
    relay = Relay(three.addresses[0])
    relay.delay = 1  # the list is old already when it comes
    adapter = EtcdAdapter(Etcd(addresses=(relay.address,), prefix="compact/"), AROUND, beat=BEAT, patience=HASTY)
    try:
        with watching(adapter) as watch:
            assert relay.held.wait(10)
            for number in range(2, 6):
                revision = three.put(f"compact/web/{number}", value(f"10.0.0.{number}"))
            three.compact(revision)
            relay.delay = 0
            watch.until(lambda now: len(addresses(now)) == 5, within=20, what="all of them")
            assert [len(addresses(each.services)) for each in watch.events if isinstance(each, Snapshot)] == [1, 5]
    finally:
        relay.close()


HEADER = {"cluster_id": "7", "revision": "9"}
LISTED = json.dumps(
    {"header": HEADER, "kvs": [{"key": encoded("web/1"), "value": encoded("10.0.0.1:80")}], "count": "1"}
).encode()


def line(**result: Any) -> bytes:
    """An answer of a watch that says this and ends."""
    return answer(200, json.dumps({"result": {"header": HEADER, **result}}).encode())


def told(watch_answer: bytes, range_answer: bytes = answer(200, LISTED)) -> Watched:
    """What a watch says to a server that answers so."""
    table = [("/v3/kv/range", range_answer), ("/v3/watch", watch_answer)]
    with (
        serving(routed(table, answer(404, b""))) as server,
        watching(EtcdAdapter(Etcd(addresses=(server.address,)), AROUND, beat=BEAT, patience=HASTY)) as watch,
    ):
        watch.wait(lambda it: it.error is not None, within=20, what="error")
    assert isinstance(watch.error, AdapterError)
    return watch


def test_a_revision_that_stays_compacted_is_an_error() -> None:
    """It is listed anew, but not for ever."""
    watch = told(line(canceled=True, compact_revision="12"))
    assert watch.error is not None
    assert "compacted" in str(watch.error)
    assert sum(isinstance(event, Snapshot) for event in watch.events) > 1


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (line(canceled=True, cancel_reason="etcdserver: permission denied"), "etcd denies it"),
        (line(canceled=True, cancel_reason="etcdserver: no leader"), "no leader"),
        (line(events=[{"kv": {"key": "%"}}]), "not etcd's"),
        (line(events=7), "not etcd's"),
        (line(), "the watch ended"),
        (answer(200, b'{"error": {"message": "transport is closing"}}'), "transport is closing"),
        (answer(200, b"7"), "not etcd's"),
        (answer(200, b"<html>"), "not etcd's"),
        (answer(503, b'{"message": "etcdserver: too many requests", "code": 8}'), "too many requests"),
        (answer(404, b"nobody here"), "the answer is 404"),
    ],
)
def test_a_watch_that_is_refused_says_why(reply: bytes, words: str) -> None:
    """What was listed before is used."""
    watch = told(reply)
    assert words in str(watch.error)
    assert addresses(watch.services) == ["10.0.0.1"]


@pytest.mark.parametrize(
    "reply",
    [
        b"[]",
        b"{}",
        b'{"header": {"revision": "x"}}',
        b'{"header": {"revision": "1", "cluster_id": "1"}, "kvs": [{"key": "%"}]}',
    ],
)
def test_a_list_that_is_none_is_an_error(reply: bytes) -> None:
    """Half of it is nothing."""
    watch = told(line(), answer(200, reply))
    assert watch.events == []
    assert watch.error is not None
    assert "not etcd's" in str(watch.error)


def test_files_with_passwords_are_read_or_named(tmp_path: Path, three: Cluster) -> None:
    """Each way to be wrong has its words; where nobody asks for a password, having one is no error."""
    path = tmp_path / "user"
    for content, words in ((None, "No such file"), (b"\xff", "not UTF-8"), (b"root", "no user and password")):
        if content is not None:
            path.write_bytes(content)
        spec = Etcd(addresses=("http://127.0.0.1:1",), username_file=str(path))
        with watching(build(spec, AROUND)) as watch:
            watch.wait(lambda it: it.error is not None, within=10, what="error")
        assert isinstance(watch.error, AdapterError)
        assert (watch.error.code, words in watch.error.message) == ("discovery-denied", True)
    revive(three)
    path.write_text("mesh:whatever", encoding="utf-8")
    with watched(three.addresses[0], prefix="none/", username_file=str(path)) as watch:
        assert watch.events == [Snapshot({})]


def test_a_token_is_renewed(etcds: Etcds) -> None:
    """Tokens are forgotten; the question after that gets a new one, and nobody notices."""
    etcds.be(Mood.WELL)
    etcds.publish({"reviews": [Member(address="10.0.0.1")]})
    with watching(etcds.adapter()) as watch:
        watch.wait(lambda it: bool(it.events), within=10, what="first event")
        etcds.cluster.call("auth/user/changepw", {"name": "mesh", "password": PASSWORD})  # invalidates its tokens
        count = len(watch.events)
        watch.wait(lambda it: len(it.events) > count + 1 or it.error is not None, within=10, what="some more events")
        assert watch.error is None


def test_both_sides_show_certificates(tmp_path: Path) -> None:
    """A member that wants them takes ours, and refuses who has none."""
    ours = Authority(tmp_path / "ours")
    own, theirs = ours.issue("mesh", file="mesh"), ours.issue("127.0.0.1", file="etcd")
    more = [
        f"--cert-file={theirs.chain}",
        f"--key-file={theirs.key}",
        f"--trusted-ca-file={ours.root}",
        "--client-cert-auth",
    ]
    files: dict[str, Any] = {"ca": str(ours.root), "certificate": str(own.chain), "key": str(own.key)}
    cluster = Cluster(tmp_path, more=more, settings=AdminSettings(connect_timeout=5, read_timeout=5, **files))
    try:
        cluster.put("web/1", value("10.0.0.1"))
        with watched(*cluster.addresses, **files) as watch:
            assert addresses(watch.services) == ["10.0.0.1"]
            cluster.put("web/2", value("10.0.0.2"))
            watch.until(lambda now: len(addresses(now)) == 2, within=10, what="second instance")
        with watched(*cluster.addresses, ca=str(ours.root)) as watch:
            assert isinstance(watch.error, AdapterError)
            assert "certificate" in watch.error.message
    finally:
        cluster.close()


def test_an_address_that_is_none_is_refused_when_the_adapter_is_made() -> None:
    """Trying again would not help."""
    with pytest.raises(ValueError, match="is not an address"):
        build(Etcd(addresses=("http://127.0.0.1:2379", "etcd:2379")), AROUND)
    with pytest.raises(ValueError, match="belong into a file") as caught:
        build(Etcd(addresses=("http://root:secret@127.0.0.1:2379",)), AROUND)
    assert "secret" not in str(caught.value)
