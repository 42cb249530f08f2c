"""What a real Envoy counts as requests, errors and times of a cluster: exactly, once per request, whatever happened on the way."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reconciler.http import HttpClient
from reconciler.model.reading import Counts
from reconciler.model.resource import set_version
from reconciler.settings import AdminSettings
from tests.envoy.counted import LATE, RETRY, Application, Caller, calling, entrance, port_of, upstream
from tests.envoy.live import CLUSTER, until
from tests.http.servers import nobody, serving


@dataclass(frozen=True)
class Case:
    """Two requests of one kind, and what they are to add up to."""

    path: str
    expected: Counts
    times: int = 0
    route: Mapping[str, Any] = field(default_factory=dict)
    upstream: str = "application"
    more: Mapping[str, Any] = field(default_factory=dict)


TWO, BAD = Counts(requests=2), Counts(requests=2, errors=2)
SHORT, HASTY = (
    {"timeout": f"{LATE / 4}s"},
    {"timeout": "5s", "retry_policy": RETRY | {"per_try_timeout": f"{LATE / 4}s"}},
)
CASES = {
    "good": Case("200", TWO, 2),
    "a client's fault": Case("404", TWO, 2),
    "5xx": Case("500", BAD, 2),
    "an upstream's 503": Case("503", BAD, 2),
    "an upstream's 504": Case("504", replace(BAD, timeouts=2), 2),
    "gRPC's errors": Case("grpc", TWO, 2),
    "timeout": Case("hang", replace(BAD, timeouts=2), route=SHORT),
    "reset": Case("reset", replace(BAD, resets=2)),
    "not HTTP": Case("noise", replace(BAD, resets=2)),
    "torn after its headers": Case("torn", TWO),
    "no endpoint": Case("200", replace(BAD, unhealthy=2), upstream="none"),
    "no connection": Case("200", replace(BAD, resets=2), upstream="nobody"),
    "retried, then good": Case("flaky", TWO, 2, route={"retry_policy": RETRY}),
    "retried in vain": Case("503", BAD, 2, route={"retry_policy": RETRY}),
    "reset at each try": Case("reset", replace(BAD, resets=2), route={"retry_policy": RETRY}),
    "no connection at each try": Case("x", replace(BAD, resets=2), route={"retry_policy": RETRY}, upstream="nobody"),
    "late at each try": Case("hang", replace(BAD, timeouts=2), route=HASTY),
    "late, then good": Case("late", TWO, 2, route=HASTY),
    "no room": Case(
        "200", BAD, more={"circuit_breakers": {"thresholds": [{"max_requests": 0, "max_pending_requests": 0}]}}
    ),
}


def named(case: str) -> str:
    """A cluster's name as it is compiled."""
    return f"outbound|9080|{case.replace(' ', '-')}|x.default.svc.cluster.local"


def timed(counts: Counts) -> int:
    """How many have a time."""
    return sum(counts.times.values())


def test_each_request_is_counted_once(short_path: Path) -> None:
    """Two requests are two, and errors are errors, with retries, timeouts, resets, and where there is nobody to answer."""
    with serving(Application()) as server, nobody() as gone:
        ports = {"application": [server.port], "none": [], "nobody": [int(gone.rpartition(":")[2])]}
        clusters = {case: upstream(named(case), *ports[it.upstream], **it.more) for case, it in CASES.items()}
        routes = {str(n): {"cluster": named(case), **it.route} for n, (case, it) in enumerate(CASES.items())}
        with calling(short_path, clusters, routes) as caller:
            paths = [f"/{n}/{case.path}/{n}" for n, case in enumerate(CASES.values())]
            for path in paths:
                caller.get(path)
                caller.get(path)
            admin = caller.live.admin
            names = {case: named(case) for case in CASES}

            def counts() -> dict[str, Counts]:
                seen = admin.counters(names.values()).clusters
                return {case: seen[name].counts for case, name in names.items()}

            # Counts are there at once, times at Envoy's next flush.
            assert {case: replace(it, times={}) for case, it in counts().items()} == {
                case: replace(it.expected, times={}) for case, it in CASES.items()
            }
            times = {case: it.times for case, it in CASES.items()}
            until(lambda: {case: timed(it) for case, it in counts().items()} == times)
            healthy = {
                case: item.healthy for case, name in names.items() for item in [admin.counters([name]).clusters[name]]
            }
            assert healthy == {case: int(it.upstream != "none") for case, it in CASES.items()}


def test_a_client_that_leaves_is_not_counted(short_path: Path) -> None:
    """Before there are headers there is no outcome; what was asked later is all there is."""
    with (
        serving(Application()) as server,
        calling(short_path, {"a": upstream("a", server.port)}, {"a": {"cluster": "a"}}) as caller,
    ):
        hasty = AdminSettings(read_timeout=LATE / 4)
        with HttpClient(f"http://127.0.0.1:{port_of(caller.live)}", hasty) as client:
            assert Caller(caller.live, client).get("/a/hang") == 0
        assert caller.get("/a/200") == 200
        assert caller.live.admin.counters(["a"]).clusters["a"].counts.requests == 1


def test_what_a_mirror_sends_counts_for_its_cluster(short_path: Path) -> None:
    """So a mirrored canary can be judged by the same counts."""
    with serving(Application()) as server:
        clusters = {name: upstream(name, server.port) for name in ("main", "shadow")}
        route = {"cluster": "main", "request_mirror_policies": [{"cluster": "shadow"}]}
        with calling(short_path, clusters, {"a": route}) as caller:
            assert [caller.get("/a/500") for _ in range(3)] == [500] * 3
            admin = caller.live.admin
            until(lambda: admin.counters(["shadow"]).clusters["shadow"].counts.requests == 3)
            seen = admin.counters(["main", "shadow"]).clusters
            assert [seen[name].counts.errors for name in ("main", "shadow")] == [3, 3]


def test_every_request_of_many_is_counted(short_path: Path) -> None:
    """Exactly as many as the upstream served, from many clients at once; there is never a time without its request."""
    application = Application()
    with ExitStack() as stack:
        server = stack.enter_context(serving(application))
        caller = stack.enter_context(calling(short_path, {"a": upstream("a", server.port)}, {"a": {"cluster": "a"}}))
        port, admin = port_of(caller.live), caller.live.admin
        before = admin.counters(["a"]).clusters["a"].counts

        def some(_: int) -> None:
            with HttpClient(f"http://127.0.0.1:{port}", AdminSettings()) as client:
                for number in range(50):
                    client.get("/a/503" if number % 10 == 0 else "/a/200")

        def all_seen() -> bool:
            counts = admin.counters(["a"]).clusters["a"].counts
            assert timed(counts) <= counts.requests
            assert counts.errors <= counts.requests
            return counts.requests >= 400

        with ThreadPoolExecutor(4) as pool:
            running = pool.map(some, range(8))
            until(all_seen)
            list(running)
        until(lambda: timed(admin.counters(["a"]).clusters["a"].counts) == 400)
        since = admin.counters(["a"]).clusters["a"].counts.minus(before)
        assert since is not None
        assert (since.requests, since.errors, timed(since)) == (400, 40, 400)
        assert application.asked == 400


def test_times_are_left_out_where_nobody_asks(short_path: Path) -> None:
    """They are most of the answer; all other counts are the same."""
    with (
        serving(Application()) as server,
        calling(short_path, {"a": upstream("a", server.port)}, {"a": {"cluster": "a"}}) as caller,
    ):
        caller.get("/a/200")
        admin = caller.live.admin
        until(lambda: timed(admin.counters(["a"]).clusters["a"].counts) == 1)
        assert admin.counters(["a"], times=False).clusters["a"].counts == Counts(requests=1)


def test_a_restart_is_another_epoch(short_path: Path) -> None:
    """It counts from zero, under another name; the same process keeps its name, and has the one that versions say."""
    with (
        serving(Application()) as server,
        calling(short_path, {"a": upstream("a", server.port)}, {"a": {"cluster": "a"}}) as caller,
    ):
        admin = caller.live.admin
        caller.get("/a/200")
        first = admin.counters(["a"])
        assert (first.epoch, admin.counters(["a"]).epoch) == (admin.versions().epoch,) * 2
        assert first.clusters["a"].counts.requests == 1
        caller.live.process.kill()
        caller.live.process.start()
        second = admin.counters(["a"])
        assert second.epoch != first.epoch
        assert second.clusters["a"].counts == Counts()


def test_clusters_come_and_go(short_path: Path) -> None:
    """One that is not there is not in the reading; one that changes goes on counting, but not its times; one that is back starts anew."""
    with serving(Application()) as server:
        a, b = upstream("a", server.port), upstream("b", server.port)
        with calling(short_path, {"a": a, "b": b}, {"a": {"cluster": "a"}, "b": {"cluster": "b"}}) as caller:
            live = caller.live

            def put(*clusters: Any) -> None:
                live.write([*clusters, entrance({"a": {"cluster": "a"}, "b": {"cluster": "b"}}, port_of(live))])
                version = set_version(clusters)
                until(lambda: live.admin.versions().versions[CLUSTER, ""] == version)

            assert [caller.get(path) for path in ("/a/200", "/b/200")] == [200, 200]
            assert set(live.admin.counters(["a", "b", "c"]).clusters) == {"a", "b"}
            until(lambda: timed(live.admin.counters(["a"]).clusters["a"].counts) == 1)
            before = live.admin.counters(["a"])
            put(upstream("a", server.port, connect_timeout="2s"), b)
            changed = live.admin.counters(["a"])
            assert changed.epoch == before.epoch
            assert changed.clusters["a"].counts == Counts(requests=1)
            assert changed.clusters["a"].counts.minus(before.clusters["a"].counts) is None
            assert caller.get("/a/200") == 200
            until(lambda: timed(live.admin.counters(["a"]).clusters["a"].counts) == 1)
            assert live.admin.counters(["a"]).clusters["a"].counts.requests == 2
            put(b)
            until(lambda: "a" not in live.admin.counters(["a"]).clusters)
            put(a, b)
            assert live.admin.counters(["a"]).clusters["a"].counts == Counts()


def test_names_as_people_write_them(short_path: Path) -> None:
    """Characters that stats or regular expressions treat in their own way find their own cluster, and no other."""
    odd = [
        "a.b",
        "axb",
        "a:b",
        "a+b",
        "(a|b)",
        "[a]",
        "a\\.b",
        'a"b',
        "a b",
        "ä",
        "outbound|80||h.",
        "a&b=c#d?e%20",
        "cluster.a.b",
    ]
    with serving(Application()) as server:
        clusters = {name: upstream(name, server.port) for name in odd}
        routes = {str(number): {"cluster": name} for number, name in enumerate(odd)}
        with calling(short_path, clusters, routes) as caller:
            for number in range(len(odd)):
                for _ in range(number + 1):
                    assert caller.get(f"/{number}/200") == 200
            for number, name in enumerate(odd):
                seen = caller.live.admin.counters([name]).clusters
                assert {key: item.counts.requests for key, item in seen.items()} == {name: number + 1}
            assert set(caller.live.admin.counters(odd).clusters) == set(odd)


def test_many_clusters_are_read_in_several_requests(short_path: Path) -> None:
    """However long their names are; those that are there are found."""
    names = [f"outbound|{port}|v1|{'x' * 200}.example.com" for port in range(150)]
    with calling(short_path, {name: upstream(name) for name in names[:140]}, {"a": {"cluster": names[0]}}) as caller:
        assert set(caller.live.admin.counters(names).clusters) == set(names[:140])
        assert caller.live.admin.counters([]).clusters == {}
