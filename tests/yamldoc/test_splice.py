from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reconciler.model.origin import FieldPath
from reconciler.yamldoc import Edit, SpliceError, YamlError, load, splice

NEW = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    | st.sampled_from(["on", "0777", "v2", "a: b", "x # y", "it's", '"', "-", "", "null", "a,b", "[", "{}"])
)
KEYS = st.text("abcxyz-", min_size=1, max_size=5).filter(lambda text: text[0] != "-")
COMMENTS = st.sampled_from(["", " # weight", "  #'\"[{", " #"])
ENDS = st.sampled_from(["\n", "\r\n"])


@st.composite
def scalars(draw: st.DrawFn, *, flow: bool) -> str:
    """The text of one scalar, plain or quoted."""
    plain = st.sampled_from(["100", "v1", "1.5", "true", "null", "0x1F", "reviews.default", "a b"])
    quoted = st.sampled_from(["'it''s'", "'5'", '"a\\tb"', '"100"', "''", '"ö: #"'])
    return draw(plain | quoted | (st.just("") if not flow else st.nothing()))


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Documents with comments, quotes, flow style, lists, block scalars and either kind of line end."""
    end = draw(ENDS)
    lines: list[str] = []
    for number in range(draw(st.integers(1, 3))):
        if number or draw(st.booleans()):
            lines.append("---" + draw(COMMENTS))
        for key in draw(st.lists(KEYS, min_size=1, max_size=4, unique=True)):
            lines.extend(draw(entries(key)))
    mark = draw(st.sampled_from(["", "\ufeff"]))
    return mark + end.join(lines) + draw(st.sampled_from(["", end]))


@st.composite
def entries(draw: st.DrawFn, key: str) -> list[str]:
    """One key of a mapping with its value, as lines."""
    comment = draw(COMMENTS)
    match draw(st.sampled_from(["scalar", "list", "flow", "map", "block", "comment"])):
        case "scalar":
            return [f"{key}: {draw(scalars(flow=False))}{comment}"]
        case "list":
            return [
                f"{key}:{comment}",
                *(f"  - {item}{comment}" for item in draw(st.lists(scalars(flow=True), min_size=1, max_size=3))),
            ]
        case "flow":
            one, two, three = (draw(scalars(flow=True)) for _ in range(3))
            return [f"{key}: {{a: {one}, 'b': [{two}, {three}]}}{comment}"]
        case "map":
            return [
                f"{key}:{comment}",
                f"    in: {draw(scalars(flow=False))}{comment}",
                f"    out: {draw(scalars(flow=True))}",
            ]
        case "block":
            return [f"{key}: |{comment}", "  text: 1", "", "  # no comment"]
        case _:
            return [f"{key}: x", "", f"  # about {key}", ""]


def leaves(value: Any, path: FieldPath = ()) -> list[FieldPath]:
    """The paths of all scalars."""
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in leaves(item, (*path, key))]
    if isinstance(value, list):
        return [leaf for index, item in enumerate(value) for leaf in leaves(item, (*path, index))]
    return [path]


def replaced(documents: tuple[Any, ...], edit: Edit) -> Any:
    """The documents with one value changed."""
    out = json.loads(json.dumps(documents))
    target = out[edit.document]
    for step in edit.path[:-1]:
        target = target[step]
    target[edit.path[-1]] = edit.value
    return out


@given(texts(), st.data())
def test_a_splice_changes_one_value_and_no_byte_around_it(text: str, data: st.DataObject) -> None:
    """What comes before and after the value is the same text, and everything else reads the same."""
    content = text.encode()
    before = load(content)
    places = [(number, leaf) for number, document in enumerate(before) for leaf in leaves(document)]
    document, path = data.draw(st.sampled_from(places))
    edit = Edit(document, path, data.draw(NEW))
    try:
        after = splice(content, [edit])
    except SpliceError as error:
        assert "block scalar" in error.message  # noqa: PT017 -- the only honest refusal of such texts
        return
    assert json.dumps(load(after)) == json.dumps(replaced(before, edit))
    same = 0
    while same < min(len(content), len(after)) and content[same] == after[same]:
        same += 1
    tail = 0
    while tail < min(len(content), len(after)) - same and content[-1 - tail] == after[-1 - tail]:
        tail += 1
    assert b"\n" not in content[same : len(content) - tail]
    assert b"#" not in content[same : len(content) - tail] or "#" in str(_at(before, edit))


def _at(documents: tuple[Any, ...], edit: Edit) -> Any:
    value = documents[edit.document]
    for step in edit.path:
        value = value[step]
    return value


@given(texts(), st.data())
def test_splicing_the_old_value_back_restores_the_meaning(text: str, data: st.DataObject) -> None:
    """A step and its revert cancel out."""
    content = text.encode()
    before = load(content)
    places = [(number, leaf) for number, document in enumerate(before) for leaf in leaves(document)]
    document, path = data.draw(st.sampled_from(places))
    old = _at(before, Edit(document, path, None))
    assume(not isinstance(old, dict | list) and "\n" not in str(old))
    there = splice(content, [Edit(document, path, 7)])
    assert json.dumps(load(splice(there, [Edit(document, path, old)]))) == json.dumps(before)


WEIGHTS = b"""\
spec:
  http:
  - route:   # the split
    - {destination: {host: r}, weight: 95}   # stable
    - destination: {host: r}\r
      weight:   5   # canary\r
"""


def test_a_weight_moves_and_its_comments_stay() -> None:
    """The case that the product lives on, byte for byte."""
    route = ("spec", "http", 0, "route")
    out = splice(WEIGHTS, [Edit(0, (*route, 0, "weight"), 75), Edit(0, (*route, 1, "weight"), 25)])
    assert out == WEIGHTS.replace(b"95", b"75").replace(b"  5 ", b"  25 ")


@pytest.mark.parametrize(
    ("text", "value", "out"),
    [
        (b"a: v1\n", "v2", b"a: v2\n"),
        (b"a: 'v1'\n", "it's", b"a: 'it''s'\n"),
        (b'a: "v1"\n', "v2", b'a: "v2"\n'),
        (b"a: v1\n", "on", b'a: "on"\n'),
        (b"a: [v1]\n", "x", b"a: x\n"),
        (b"a:\n", 5, b"a: 5\n"),
        (b"a: # none\n", "x", b"a: x # none\n"),
        (b"a: '1'\n", 1, b"a: 1\n"),
        (b"a: 1\n", None, b"a: null\n"),
    ],
)
def test_a_value_keeps_the_style_of_the_one_it_replaces(text: bytes, value: Any, out: bytes) -> None:
    """Quotes stay quotes; a plain string is quoted only where it would be read as something else."""
    if b"[" in text:
        with pytest.raises(SpliceError, match="not a plain or quoted value"):
            splice(text, [Edit(0, ("a",), value)])
    else:
        assert splice(text, [Edit(0, ("a",), value)]) == out


@pytest.mark.parametrize(
    ("text", "path", "problem"),
    [
        (b"a: 1\n", ("b",), "b is not in the text"),
        (b"a: {b: 1}\n", ("a",), "not a plain or quoted value"),
        (b"a: |\n  x\n", ("a",), "a is a block scalar"),
        (b"a: &x 1\nb: *x\n", ("a",), "a has an anchor"),
        (b"a: &x 1\nb: *x\n", ("b",), "not a plain or quoted value"),
        (b"a: &x {c: 1}\nb: *x\n", ("b", "c"), "would change something else too"),
        (b"a: &x {c: 1}\nb: *x\n", ("a", "c"), "would change something else too"),
    ],
)
def test_what_cannot_be_changed_in_place_is_refused(text: bytes, path: FieldPath, problem: str) -> None:
    """Never a guess: a shared value, a value that is no scalar, a value that isn't there."""
    with pytest.raises(SpliceError, match=problem) as caught:
        splice(text, [Edit(0, path, 2)])
    assert caught.value.diagnostics[0].hint


def test_two_edits_of_one_value_and_broken_texts_are_refused() -> None:
    """Neither has one right outcome."""
    with pytest.raises(SpliceError, match="same value"):
        splice(b"a: 1\n", [Edit(0, ("a",), 2), Edit(0, ("a",), 3)])
    with pytest.raises(SpliceError, match="not in the text"):
        splice(b"a: 1\n", [Edit(3, ("a",), 2)])
    with pytest.raises(YamlError):
        splice(b"a: [\n", [Edit(0, ("a",), 2)])
