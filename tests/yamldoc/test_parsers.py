from __future__ import annotations

from contextlib import closing
from typing import Any

from hypothesis import given

from reconciler.yamldoc.loading import _Builder
from reconciler.yamldoc.positions import Node, _Composer
from reconciler.yamldoc.stream import BOM, Events, _stretch
from tests.yamldoc.test_splice import texts


def both_ways(text: str, *, thorough: bool) -> tuple[list[Any], list[Any]]:
    """The values, and the places of all keys and values, by one of the two parsers."""
    base = len(BOM) if text.startswith(BOM) else 0
    with closing(Events(text, base, thorough=thorough)) as events:
        values = list(_stretch(events, lambda each: _Builder(text, each).document()))
    with closing(Events(text, base, thorough=thorough)) as events:
        roots = list(_stretch(events, lambda each: _Composer(each).document()))
    return values, [places(root) for root in roots]


def places(node: Node) -> Any:
    """Where a node and all below it begin; a value that isn't written has no place of its own."""
    return (
        None if node.start == node.end else node.start,
        node.key if node.start != node.end else None,
        {step: places(child) for step, child in node.children.items()},
    )


@given(texts())
def test_both_parsers_read_the_same(text: str) -> None:
    """Which one reads a document depends on a colon; what it means and where its values stand must not."""
    assert both_ways(text, thorough=True) == both_ways(text, thorough=False)
