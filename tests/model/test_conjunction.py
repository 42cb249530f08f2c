"""Two matches as one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.conjunction import both
from reconciler.model.virtualservice import HTTPMatch, StringMatch


def match(**fields: Any) -> HTTPMatch:
    """A match, with fields in Python's spelling and text matchers as mappings."""
    return HTTPMatch.model_validate(fields, by_name=True)


EXACT, PREFIX, REGEX, THERE = {"exact": "/ab"}, {"prefix": "/a"}, {"regex": "/a.?"}, StringMatch()

TOGETHER = [
    ({}, {}, {}),
    ({"uri": PREFIX}, {}, {"uri": PREFIX}),
    ({"uri": PREFIX}, {"uri": EXACT}, {"uri": EXACT}),
    ({"uri": REGEX}, {"uri": EXACT}, {"uri": EXACT}),
    ({"uri": REGEX}, {"uri": REGEX}, {"uri": REGEX}),
    ({"uri": PREFIX}, {"uri": {"prefix": "/abc"}}, {"uri": {"prefix": "/abc"}}),
    ({"uri": {"prefix": "/A"}, "ignore_uri_case": True}, {"uri": EXACT}, {"uri": EXACT}),
    (
        {"uri": {"prefix": "/A"}, "ignore_uri_case": True},
        {"uri": EXACT, "ignore_uri_case": True},
        {"uri": EXACT, "ignore_uri_case": True},
    ),
    ({"headers": {"X-A": THERE}}, {"headers": {"x-a": EXACT}}, {"headers": {"X-A": EXACT}}),
    ({"headers": {"x-a": REGEX}}, {"headers": {"x-a": THERE}}, {"headers": {"x-a": REGEX}}),
    (
        {"headers": {"x-a": EXACT}, "query_params": {"q": EXACT}},
        {"headers": {"x-b": EXACT}, "query_params": {"Q": PREFIX}},
        {"headers": {"x-a": EXACT, "x-b": EXACT}, "query_params": {"q": EXACT, "Q": PREFIX}},
    ),
    (
        {"without_headers": {"x-a": EXACT}},
        {"without_headers": {"x-b": PREFIX, "X-A": EXACT}},
        {"without_headers": {"x-a": EXACT, "x-b": PREFIX}},
    ),
    ({"port": 80, "name": "a"}, {"name": "b", "stat_prefix": "s"}, {"port": 80, "name": "a.b", "stat_prefix": "s"}),
    ({"source_labels": {"a": "b"}}, {"source_labels": {"c": "d"}}, {"source_labels": {"a": "b", "c": "d"}}),
    ({"gateways": ("a", "mesh")}, {"gateways": ("mesh", "b")}, {"gateways": ("mesh",)}),
]

NOTHING = [
    ({"uri": PREFIX}, {"uri": {"exact": "/b"}}),
    ({"uri": {"exact": "/A"}}, {"uri": {"exact": "/a"}}),
    ({"uri": REGEX}, {"uri": {"exact": "/abc"}}),
    ({"uri": PREFIX}, {"uri": {"prefix": "/b"}}),
    ({"method": {"exact": "GET"}}, {"method": {"exact": "PUT"}}),
    ({"port": 80}, {"port": 81}),
    ({"source_labels": {"a": "b"}}, {"source_labels": {"a": "c"}}),
    ({"source_namespace": "a"}, {"source_namespace": "b"}),
    ({"gateways": ("a",)}, {"gateways": ("b",)}),
]

UNSAYABLE = [
    ({"uri": PREFIX}, {"uri": REGEX}, "uri"),
    ({"uri": REGEX}, {"uri": {"regex": "/b"}}, "uri"),
    ({"uri": {"regex": r"\pN"}}, {"uri": EXACT}, "uri"),
    ({"uri": {"prefix": "/A"}}, {"uri": {"prefix": "/Abc"}, "ignore_uri_case": True}, "ignoreUriCase"),
    ({"headers": {"x-a": PREFIX}}, {"headers": {"X-A": REGEX}}, "headers.X-A"),
    ({"without_headers": {"x-a": PREFIX}}, {"without_headers": {"X-A": REGEX}}, "withoutHeaders.X-A"),
    ({"gateways": ("a",)}, {"source_namespace": "b"}, "gateways"),
]


@pytest.mark.parametrize(("one", "other", "expected"), TOGETHER)
def test_conditions_of_both_are_put_together(
    one: dict[str, Any], other: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Of two conditions on one thing the narrower is kept; the order does not matter but for names."""
    assert both(match(**one), match(**other)) == match(**expected)
    turned = both(match(**other), match(**one))
    assert turned is not None
    assert turned.uri == match(**expected).uri
    assert {name.lower() for name in turned.headers} == {name.lower() for name in match(**expected).headers}


@pytest.mark.parametrize(("one", "other"), NOTHING)
def test_conditions_that_no_request_has_match_nothing(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Nothing is not everything: the caller leaves such a rule out."""
    assert both(match(**one), match(**other)) is None
    assert both(match(**other), match(**one)) is None


@pytest.mark.parametrize(("one", "other", "field"), UNSAYABLE)
def test_what_no_single_match_can_say_is_an_error(one: dict[str, Any], other: dict[str, Any], field: str) -> None:
    """A wider or a narrower match would send requests where nobody asked them to go."""
    with pytest.raises(ValueError, match=field):
        both(match(**one), match(**other))


TEXTS = st.text("ab", max_size=3)
MATCHERS = st.one_of(
    TEXTS.map(lambda text: StringMatch(exact=text)),
    TEXTS.map(lambda text: StringMatch(prefix=text)),
    st.just(StringMatch()),
)


def takes(matcher: StringMatch, value: str) -> bool:
    """Whether a header with this value matches."""
    if matcher.exact is not None:
        return value == matcher.exact
    return value.startswith(matcher.prefix or "")


@given(MATCHERS, MATCHERS, TEXTS)
def test_both_takes_what_both_take(one: StringMatch, other: StringMatch, value: str) -> None:
    """The law, for one header."""
    found = both(HTTPMatch(headers={"x": one}), HTTPMatch(headers={"x": other}))
    assert (found is not None and takes(found.headers["x"], value)) == (takes(one, value) and takes(other, value))
