"""The files layout that the compiler and the push share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import BugError
from reconciler.model.files import file_name, path_of
from reconciler.model.resource import ResourceId, ResourceType

SETS = (ResourceType.CLUSTER, ResourceType.LISTENER)
NAMES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text(st.sampled_from("./%~ab\0"), max_size=12),
    st.text(st.sampled_from("aé/"), min_size=150, max_size=400),
)


def test_ordinary_names_stay_readable() -> None:
    """A resource's file is found by the name that Envoy shows."""
    name = "outbound|9080|v2|reviews.default.svc.cluster.local"
    assert file_name(name) == name


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a/b", "a%2Fb"), ("100%", "100%25"), ("..", "%2E%2E"), (".hidden.x", "%2Ehidden.x"), ("a\0b", "a%00b")],
)
def test_what_a_file_name_cannot_hold_is_encoded(name: str, expected: str) -> None:
    """Slashes, NULs and leading dots can't leave the folder or hide the file."""
    assert file_name(name) == expected


@given(name=NAMES)
def test_every_name_fits_into_one_path_component(name: str) -> None:
    """No name escapes its folder or is too long for a file system, with room for a temporary suffix."""
    result = file_name(name)
    assert "/" not in result
    assert "\0" not in result
    assert not result.startswith(".")
    assert len(result.encode()) <= 200


@given(one=NAMES, other=NAMES)
def test_different_names_have_different_files(one: str, other: str) -> None:
    """Two resources never share a file."""
    assert (file_name(one) == file_name(other)) == (one == other)


def test_long_names_with_one_beginning_stay_apart() -> None:
    """What is cut off is told apart by its hash."""
    assert file_name("x" * 300 + "a") != file_name("x" * 300 + "b")


def test_sets_share_a_file_and_the_others_have_their_own() -> None:
    """Envoy subscribes to clusters and listeners as sets, to routes, endpoints and secrets by name."""
    paths = [
        path_of("/var/lib/envoy/a/", ResourceId(type_, "9080"))
        for type_ in (*SETS, ResourceType.ROUTE, ResourceType.ENDPOINTS, ResourceType.SECRET)
    ]
    assert paths == [
        "/var/lib/envoy/a/cds.pb",
        "/var/lib/envoy/a/lds.pb",
        "/var/lib/envoy/a/routes/9080.pb",
        "/var/lib/envoy/a/endpoints/9080.pb",
        "/var/lib/envoy/a/secrets/9080.pb",
    ]


def test_runtime_keys_have_no_file() -> None:
    """A runtime key in a files view is a fault of ours, not a path."""
    with pytest.raises(BugError):
        path_of("/var/lib/envoy/a", ResourceId(ResourceType.RUNTIME, "a.b"))
