"""The cheap reading: what stats say, by the real names, and when they prove a view."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.envoy import matches
from reconciler.envoy.readings import NotAnEnvoyError, Stats, VersionTexts
from reconciler.model.observation import Versions
from reconciler.model.resource import Resource, set_version
from tests.envoy.live import CLUSTER, ENDPOINTS, LISTENER, ROUTE, RUNTIME, SECRET, view

WORLD = view([Resource.of(type_, "x", b"1") for type_ in (SECRET, CLUSTER, ENDPOINTS, LISTENER, ROUTE)])
FINE = f"""cluster_manager.cds.version_text: "{set_version(WORLD.of_type(CLUSTER))}"
listener_manager.lds.version_text: "{set_version(WORLD.of_type(LISTENER))}"
cluster.x.version_text: "{WORLD.of_type(ENDPOINTS)[0].version}"
http.p.rds.x.version_text: "{WORLD.of_type(ROUTE)[0].version}"
sds.x.version_text: "{WORLD.of_type(SECRET)[0].version}"
sds.x.update_rejected: 8
cluster.x.update_rejected: 2
http.p.rds.x.update_failure: 3
http.q.rds.y.update_rejected: 4
listener_manager.lds.update_rejected: 5
cluster_manager.cds.update_failure: 6
listener_manager.total_listeners_draining: 0
server.live: 1
server.state: 0
"""


def read(text: str) -> Versions:
    """The reading of these stats."""
    return Stats(text.encode()).versions("then")


def test_refusals_are_summed_by_type() -> None:
    """Semantic refusals and unreadable files alike, of every subscription of a type."""
    assert dict(read(FINE).rejected) == {
        SECRET: 8,
        CLUSTER: 6,
        ENDPOINTS: 2,
        LISTENER: 5,
        ROUTE: 7,
        RUNTIME: 0,
    }


def test_a_view_that_is_shown_matches() -> None:
    """All versions equal, nothing warming, no overrides, live."""
    assert matches(read(FINE), WORLD)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("server.live: 1", "server.live: 0"),
        ("server.state: 0", "server.state: 2"),
        ("server.state: 0\n", ""),
        ("server.live", "cluster_manager.warming_clusters: 1\nserver.live"),
        ("server.live", "listener_manager.total_listeners_warming: 1\nserver.live"),
        ("server.live", "runtime.admin_overrides_active: 1\nserver.live"),
        ('cds.version_text: "', 'cds.version_text: "z'),
        ('lds.version_text: "', 'lds.version_text: "z'),
        ('cluster.x.version_text: "', 'cluster.x.version_text: "z'),
        ('http.p.rds.x.version_text: "', 'http.p.rds.x.version_text: "z'),
        ("http.p.rds.x.version_text", "http.p.rds.z.version_text"),
        ("cluster.x.version_text", "cluster.z.version_text"),
        ('sds.x.version_text: "', 'sds.x.version_text: "z'),
        ("sds.x.version_text", "sds.z.version_text"),
        ("cluster_manager.cds.version_text", "cluster_manager.cds.else"),
        ("server.live", 'http.q.rds.x.version_text: "other"\nserver.live'),
    ],
)
def test_anything_else_does_not(old: str, new: str) -> None:
    """Each condition counts."""
    assert old in FINE
    assert not matches(read(FINE.replace(old, new)), WORLD)


def test_of_discovered_endpoints_it_is_enough_that_there_are_some() -> None:
    """They move without a push, under whatever version; a cluster that shows none has none."""

    class Anything:
        host = "x"

        def at(self, _: object) -> Resource:
            raise AssertionError

    found = view(
        [replace(item, recipe=Anything() if item.id.type is ENDPOINTS else None) for item in WORLD.resources.values()]
    )
    moved = FINE.replace('cluster.x.version_text: "', 'cluster.x.version_text: "z')
    assert matches(read(moved), found)
    assert not matches(read(moved), WORLD)
    assert not matches(read(FINE.replace("cluster.x.version_text", "cluster.z.version_text")), found)


def test_runtime_keys_never_match() -> None:
    """Stats say whether something is overridden, not with what."""
    assert not matches(read(FINE), view([*WORLD.resources.values(), Resource.of(RUNTIME, "a.b", b"1")]))


def test_since_a_proof_refusals_and_restarts_count() -> None:
    """After either, the version of a set may stand over content that is not its own."""
    proven, now = read(FINE), read(FINE)
    assert matches(now, WORLD, since=proven)
    assert not matches(replace(now, epoch="later"), WORLD, since=proven)
    for type_, equal in ((CLUSTER, False), (LISTENER, False), (ROUTE, True), (ENDPOINTS, True), (SECRET, True)):
        moved = replace(now, rejected=dict(now.rejected) | {type_: now.rejected[type_] + 1})
        assert matches(moved, WORLD, since=proven) is equal


NAMED = {"cluster.x": ENDPOINTS, "http.p.rds.x": ROUTE, "sds.x": SECRET}


def by_ads(texts: dict[str, str]) -> str:
    """The stats of a proxy on ADS: what is subscribed to by name shows the version of a set."""
    found = FINE
    for stem, type_ in NAMED.items():
        found = found.replace(f'{stem}.version_text: "{WORLD.of_type(type_)[0].version}"', texts.get(stem, ""))
    return found


@pytest.mark.parametrize("stem", NAMED)
def test_a_set_s_version_counts_for_what_was_proven_with_it_and_for_nothing_else(stem: str) -> None:
    """By ADS a text says nothing by itself; the same text as when the content was equal says that it still is."""
    texts = {stem: f'{stem}.version_text: "set"' for stem in NAMED}
    proven = read(by_ads(texts))
    assert matches(read(by_ads(texts)), WORLD, since=proven)
    assert not matches(proven, WORLD)
    assert not matches(read(by_ads(texts | {stem: f'{stem}.version_text: "other"'})), WORLD, since=proven)
    gone = {name: text for name, text in texts.items() if name != stem}
    assert not matches(read(by_ads(gone)), WORLD, since=proven)
    assert not matches(read(by_ads(gone)), WORLD, since=read(by_ads(gone)))


@pytest.mark.parametrize(
    ("line", "connected"),
    [("", None), ("control_plane.connected_state: 1\n", True), ("control_plane.connected_state: 0\n", False)],
)
def test_a_proxy_says_whether_it_is_connected(line: str, connected: bool | None) -> None:  # noqa: FBT001
    """Of one without an ADS server there is nothing to say."""
    assert read(FINE + line).connected is connected


@pytest.mark.parametrize("text", ["", "<html>server.live: 1</html>", "server.live: \n", "server.live: 2\n", "a: b\n"])
def test_what_has_no_server_is_no_envoy(text: str) -> None:
    """Every Envoy says whether it is live."""
    with pytest.raises(NotAnEnvoyError):
        Stats(text.encode())


@pytest.mark.parametrize(
    "line", ["cluster.a.update_rejected: x", "cluster_manager.warming_clusters: -1", "server.uptime: long"]
)
def test_counts_are_numbers(line: str) -> None:
    """A count that is none is no Envoy's."""
    with pytest.raises(NotAnEnvoyError):
        Stats(f"{line}\n{FINE}".encode())


def test_lines_that_are_none_are_passed_over() -> None:
    """A name with a newline in it, written by hand, does not make a proxy unreadable."""
    assert read(f'cluster.a\nb.version_text: "v"\n{FINE}').versions[CLUSTER, ""] == set_version(WORLD.of_type(CLUSTER))


def test_draining_is_seen() -> None:
    """Listeners and single filter chains drain."""
    assert not Stats(FINE.encode()).draining
    assert Stats(f"{FINE}listener_manager.total_filter_chains_draining: 1\n".encode()).draining


def test_versions_are_shown_as_they_were_written() -> None:
    """Envoy escapes a text for HTML; nobody wrote it like that."""
    assert read(FINE + 'cluster.h.version_text: "&lt;a&amp;b&gt;"\n').versions[ENDPOINTS, "h"] == "<a&b>"


_names = st.text(st.sampled_from("ab.:_/|"), min_size=1, max_size=8).filter(lambda name: name.strip("."))


@given(st.lists(st.sampled_from(["x", "rds", "a:b", "q.rds", "rds.q"]), min_size=1, max_size=4).map(".".join), _names)
def test_a_route_is_found_behind_any_prefix(name: str, prefix: str) -> None:
    """Whatever a listener's stat prefix and a route's name are, the real name finds the version."""
    stat = f"http.{prefix.replace(':', '_')}.rds.{name.replace(':', '_')}"
    assert VersionTexts({stat: "v"})[ROUTE, name] == "v"


def test_a_longer_name_is_not_a_shorter_one() -> None:
    """`x` is not `y.rds.x` where both are there; where only one is, a lookup of the other's tail still finds it."""
    both = VersionTexts({"http.p.rds.x": "short", "http.p.rds.y.rds.x": "long"})
    assert (both[ROUTE, "x"], both[ROUTE, "y.rds.x"]) == ("short", "long")
    assert dict(both) == {(ROUTE, "x"): "short", (ROUTE, "y.rds.x"): "long"}


def test_one_route_in_two_versions_is_neither() -> None:
    """Two listeners that run one route configuration differently show both."""
    texts = VersionTexts({"http.p.rds.x": "1", "http.q.rds.x": "2"})
    assert texts[ROUTE, "x"] == "1, 2"


def test_what_is_not_there_is_not_found() -> None:
    """As in any mapping."""
    texts = VersionTexts({"cluster.a": "1", "tcp.b": "2"})
    assert (texts.get((ENDPOINTS, "b")), texts.get((ROUTE, "a")), len(texts)) == (None, None, 1)
