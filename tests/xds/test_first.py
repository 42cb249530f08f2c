"""The plane, without a stream: what it keeps of what is published."""

from __future__ import annotations

from reconciler.model import protos
from reconciler.model.key import Key
from reconciler.model.resource import ResourceType, set_version
from reconciler.xds import Plane


def test_a_proxy_that_never_connected_is_published_for_and_not_settled() -> None:
    """Publishing waits for nobody: a proxy that comes later is served what was published last."""
    plane, key = Plane(), Key("default", "a")
    cluster = protos.resource(ResourceType.CLUSTER, protos.from_dict(ResourceType.CLUSTER, {"name": "a"}))
    plane.publish(key, [cluster], commit="c1")
    state = plane.wait(key, timeout=0)
    assert (state.published, state.commit, state.connected, state.settled) == (True, "c1", False, False)


def test_what_was_published_is_told_with_the_versions_that_are_to_be_had() -> None:
    """Whoever proves a push compares with what the plane serves, and may ask for it at any time."""
    plane, key = Plane(), Key("default", "a")
    assert plane.published(key) == {}
    clusters = [
        protos.resource(ResourceType.CLUSTER, protos.from_dict(ResourceType.CLUSTER, {"name": name})) for name in "ab"
    ]
    plane.publish(key, clusters)
    assert plane.published(key) == {item.id: item for item in clusters}
    assert plane.state(key).sets[ResourceType.CLUSTER] == set_version(clusters)


def test_who_is_retained_is_served_and_nobody_else() -> None:
    """A proxy that left the mesh keeps what it has: it is not told anything any more, not even that things are gone."""
    plane = Plane()
    for name in ("a", "b"):
        plane.publish(Key("default", name), [])
    plane.retain({Key("default", "a")})
    assert [plane.state(Key("default", name)).published for name in ("a", "b")] == [True, False]
