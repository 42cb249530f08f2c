"""Views: what a proxy should have, in order, and with other content in places."""

from __future__ import annotations

import pytest

from reconciler.model.key import Key
from reconciler.model.resource import Resource, ResourceId, ResourceType, View


def _route(name: str, body: bytes) -> Resource:
    return Resource.of(ResourceType.ROUTE, name, body)


_VIEW = View.of(Key("default", "a"), [_route("80", b"x"), _route("90", b"y")])


def test_an_exchanged_view_is_the_view_of_the_new_content() -> None:
    """Other content keeps its place; the view that it was made from stays as it was."""
    exchanged = _VIEW.exchanged([_route("80", b"z")])
    assert exchanged == View.of(_VIEW.proxy, [_route("90", b"y"), _route("80", b"z")])
    assert [*exchanged.resources] == [*_VIEW.resources]
    assert _VIEW.resources[ResourceId(ResourceType.ROUTE, "80")].body == b"x"


def test_what_is_not_there_can_not_be_exchanged() -> None:
    """A new resource would not be in its place in the order."""
    with pytest.raises(KeyError):
        _VIEW.exchanged([_route("85", b"z")])
