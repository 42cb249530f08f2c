from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.yamldoc import Drop, Edit, Put, SpliceError, load, splice
from tests.yamldoc.test_splice import COMMENTS, ENDS, KEYS, entries, texts

STATUS: dict[str, Any] = {"phase": "Progressing", "step": 3, "reason": "Ada: 5% # no"}
SCALARS = (
    st.booleans()
    | st.integers(-5, 10**6)
    | st.floats(0, 100)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
)
BLOCK_SCALAR = "    text: |\n      a: 1\n"


@st.composite
def policies(draw: st.DrawFn) -> str:
    """Documents with a spec that is a block, in brackets or JSON, other keys around it, and comments everywhere."""
    end = draw(ENDS)
    lines: list[str] = []
    for number in range(draw(st.integers(1, 3))):
        if number or draw(st.booleans()):
            lines.append("---" + draw(COMMENTS))
        indent = draw(st.sampled_from(["", "", "  "]))
        document = ["kind: Rollout" + draw(COMMENTS)]
        for key in draw(st.lists(KEYS, max_size=2, unique=True)):
            document += draw(entries(key))
        document += draw(specs())
        lines += [indent + line for line in document]
        lines += draw(
            st.lists(st.sampled_from(["", "# about the next", indent + "  # indented", "# last"]), max_size=3)
        )
        lines += draw(st.sampled_from([[], [], ["..."]]))
    mark = draw(st.sampled_from(["", "\ufeff"]))
    return mark + end.join(lines) + draw(st.sampled_from(["", end]))


@st.composite
def specs(draw: st.DrawFn) -> list[str]:
    """A spec with at least one key."""
    comment = draw(COMMENTS)
    comma = draw(st.sampled_from(["", ","]))
    forms = [
        [f"spec:{comment}", f"  stable: v1{comment}", "  # canary", "  canary: 'v2'"],
        [f"spec:{comment}", "    target:", f"      name: reviews{comment}", "", f"      routes: [a]{comment}"],
        [f"spec:{comment}", "  steps:", f"  - setWeight: 5{comment}", "  - pause: {}" + comment],
        ["spec: { stable: v1, canary: v2 }" + comment],
        ["spec: {", "  stable: v1,", f"  canary: v2{comma}{comment}", "}"],
        ['spec: {"stable": "v1", "steps": [{"setWeight": 5}]}' + comment],
        [f"spec:{comment}", "  text: |", "    a # b", "", "    c", f"  none:{comment}"],
    ]
    return draw(st.sampled_from(forms))


def wanted(before: tuple[Any, ...], document: int, path: tuple[str, ...], value: Any) -> str:
    """What is to be read afterwards."""
    out = json.loads(json.dumps(before))
    target = out[document]
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return json.dumps(out)


@given(policies(), st.data())
def test_a_status_is_put_into_one_document_and_changes_no_byte_of_the_rest(text: str, data: st.DataObject) -> None:
    """What is added stands in one piece; without it the file is the old one, to the last byte."""
    content = text.encode()
    before = load(content)
    document = data.draw(st.integers(0, len(before) - 1))

    after = splice(content, [Put(document, ("status",), STATUS)])

    assert json.dumps(load(after)) == wanted(before, document, ("status",), STATUS)
    assert _without_one_piece(after, content)
    assert (b"\r\n" in after) == (b"\r\n" in content) or b"\n" not in content
    assert after.endswith(b"\n") == content.endswith(b"\n")
    assert splice(after, [Put(document, ("status",), STATUS)]) == after


def _without_one_piece(longer: bytes, shorter: bytes) -> bool:
    """Whether taking one piece out of the longer text gives the shorter."""
    same = 0
    while same < len(shorter) and longer[same] == shorter[same]:
        same += 1
    tail = len(shorter) - same
    return longer.endswith(shorter[same:]) if tail else True


def _without_pieces(longer: bytes, shorter: bytes) -> bool:
    """Whether the shorter text is left where bytes are taken out of the longer: nothing moved, nothing went."""
    rest = iter(longer)
    return all(byte in rest for byte in shorter)


@given(policies(), st.data(), st.dictionaries(KEYS, SCALARS, min_size=1, max_size=4))
def test_a_status_is_exchanged_as_a_whole(text: str, data: st.DataObject, other: dict[str, Any]) -> None:
    """Writing one status over another is the same as writing it at once: no trace of the old one is left."""
    content = text.encode()
    document = data.draw(st.integers(0, len(load(content)) - 1))
    put = Put(document, ("status",), STATUS)

    assert splice(splice(content, [Put(document, ("status",), other)]), [put]) == splice(content, [put])


@given(policies(), st.data(), st.sampled_from(["paused", "run", "step"]), SCALARS)
def test_a_field_that_is_put_and_dropped_leaves_no_trace(text: str, data: st.DataObject, key: str, value: Any) -> None:
    """Pausing and resuming restore the file to the byte, or the second is refused for a comment's sake."""
    content = text.encode()
    before = load(content)
    document = data.draw(st.integers(0, len(before) - 1))

    after = splice(content, [Put(document, ("spec", key), value)])

    assert json.dumps(load(after)) == wanted(before, document, ("spec", key), value)
    assert _without_pieces(after, content)
    try:
        back = splice(after, [Drop(document, ("spec", key))])
    except SpliceError as error:
        assert "comment" in error.message  # noqa: PT017 -- in brackets, a comment stands between the last two
        assert b"#" in content
        return
    assert back == content or b"canary: v2," in content


@given(policies(), st.data())
def test_several_changes_at_once_are_the_same_as_one_after_the_other(text: str, data: st.DataObject) -> None:
    """A field and a status that come to stand at the same place don't get into each other."""
    content = text.encode()
    document = data.draw(st.integers(0, len(load(content)) - 1))
    field, status = Put(document, ("spec", "paused"), "x"), Put(document, ("status",), STATUS)

    both = splice(content, [status, field])

    assert load(both) == load(splice(splice(content, [field]), [status]))


@given(texts(), st.data())
def test_a_key_is_put_into_any_mapping_or_refused(text: str, data: st.DataObject) -> None:
    """Whatever the style, the outcome is exactly the wanted change or a clear error; never something else."""
    content = text.encode()
    before = load(content)
    document = data.draw(st.integers(0, len(before) - 1))
    path = (*data.draw(st.sampled_from([(), *((key,) for key in before[document])])), "new")
    try:
        after = splice(content, [Put(document, path, 7)])
    except SpliceError as error:
        assert error.diagnostics[0].hint  # noqa: PT017 -- what cannot be done says what to do
        return
    assert json.dumps(load(after)) == wanted(before, document, path, 7)


CASES = {
    "at-the-end": ("a: 1\n", "a: 1\nstatus:\n  step: 3\n"),
    "no-final-newline": ("a: 1", "a: 1\nstatus:\n  step: 3"),
    "comment-behind": ("a: 1 # one\n", "a: 1 # one\nstatus:\n  step: 3\n"),
    "indented-comment": ("a:\n  b: 1\n\n  # c: 2\n\n# end\n", "a:\n  b: 1\n\n  # c: 2\nstatus:\n  step: 3\n\n# end\n"),
    "block-scalar": ("a: |\n  b\n\n# end\n", "a: |\n  b\n\nstatus:\n  step: 3\n# end\n"),
    "kept-lines": ("a: |+\n  b\n\n\n", "a: |+\n  b\n\n\nstatus:\n  step: 3\n"),
    "empty-value": ("a: 1\nb:\n", "a: 1\nb:\nstatus:\n  step: 3\n"),
    "anchor-only": ("a: &x\n", "a: &x\nstatus:\n  step: 3\n"),
    "alias-last": ("a: &x {c: 1}\nb: *x\n", "a: &x {c: 1}\nb: *x\nstatus:\n  step: 3\n"),
    "explicit-start": ("--- # x\na: 1\n...\n", "--- # x\na: 1\nstatus:\n  step: 3\n...\n"),
    "old-mac": ("a: 1\rb: 2\r", "a: 1\rb: 2\rstatus:\r  step: 3\r"),
    "null": ("a: 1\nstatus: # ours\nb: 2\n", "a: 1\nstatus: # ours\n  step: 3\nb: 2\n"),
    "word-null": ("status: null\n", "status: \n  step: 3\n"),
    "in-the-middle": (
        "status:\n    # x\n    phase: A # y\n    # z\nb: 2\n",
        "status:\n    # x\n    step: 3\n    # z\nb: 2\n",
    ),
    "brackets-of-its-own": ("a: 1\nstatus: {phase: A} # x\n", "a: 1\nstatus: {step: 3} # x\n"),
    "empty-brackets": ("a: 1\nstatus: {}\n", "a: 1\nstatus: {step: 3}\n"),
    "flow": ("{a: 1}\n", "{a: 1, status: {step: 3}}\n"),
    "spaced-flow": ("--- { a: 1 } # x\n", "--- { a: 1, status: {step: 3} } # x\n"),
    "empty-flow": ("{}", "{status: {step: 3}}"),
    "json": ('{\n  "a": 1\n}\n', '{\n  "a": 1,\n  "status": {"step": 3}\n}\n'),
    "json-line": ('{"a": {"b": 1}}', '{"a": {"b": 1}, "status": {"step": 3}}'),
    "json-tabs": ('{\n\t"a": 1}', '{\n\t"a": 1,\n\t"status": {"step": 3}}'),
    "flow-comma": ("{\n  a: 1, # x\n}\n", "{\n  a: 1, # x\n  status: {step: 3},\n}\n"),
    "flow-comment": ("{\n  a: 1 # x\n}\n", "{\n  a: 1, # x\n  status: {step: 3}\n}\n"),
    "flow-and-status": ('{"status": {"phase": "A"}}', '{"status": {"step": 3}}'),
}


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES)
def test_where_a_status_comes_to_stand(before: str, after: str) -> None:
    """Each style of a document, byte for byte."""
    assert splice(before.encode(), [Put(0, ("status",), {"step": 3})]).decode() == after


def test_comments_before_a_boundary_belong_to_the_next_document() -> None:
    """A status closes its own document and does not come between the next one and its heading."""
    text = b"a: 1\n\n# The next\n---\nb: 2\n# end\n"

    assert (
        splice(text, [Put(0, ("status",), {"step": 3})])
        == b"a: 1\nstatus:\n  step: 3\n\n# The next\n---\nb: 2\n# end\n"
    )
    assert (
        splice(text, [Put(1, ("status",), {"step": 3})])
        == b"a: 1\n\n# The next\n---\nb: 2\nstatus:\n  step: 3\n# end\n"
    )


def test_nested_and_odd_values_are_written_so_that_they_read_the_same() -> None:
    """Words of others stay words, and a mapping inside a mapping is a block inside a block."""
    value = {"reason": 'a: "b"\n- c\x07', "on": "yes", "more": {"num": 0.5, "none": None, "empty": {}}}

    after = splice(b"a: 1\n", [Put(0, ("status",), value)])

    assert load(after)[0]["status"] == value
    assert after.decode().split("\n")[4:] == ["  more:", "    num: 0.5", "    none: null", "    empty: {}", ""]
    assert load(splice(b"{a: 1}", [Put(0, ("status",), value)]))[0]["status"] == value


def test_a_field_is_put_behind_its_siblings() -> None:
    """With their indentation, and before the comments that belong to what follows."""
    text = b"spec:\n    a: 1 # one\n    # commented: out\n# about the status\nstatus: {}\n"

    after = splice(text, [Put(0, ("spec", "paused"), "x")])

    assert after == text.replace(b"out\n", b"out\n    paused: x\n")
    assert splice(after, [Drop(0, ("spec", "paused"))]) == text


def test_a_field_that_is_there_is_changed_in_place() -> None:
    """Quotes and comments stay, as with any splice."""
    assert (
        splice(b"spec:\n  run: 'a' # x\n  b: 1\n", [Put(0, ("spec", "run"), "c")]) == b"spec:\n  run: 'c' # x\n  b: 1\n"
    )


def test_weights_and_a_status_change_at_once() -> None:
    """A step is one splice where both stand in one file."""
    text = b"weight: 95 # stable\n---\nspec: {a: 1}\n"

    after = splice(text, [Edit(0, ("weight",), 75), Put(1, ("status",), {"step": 3})])

    assert after == b"weight: 75 # stable\n---\nspec: {a: 1}\nstatus:\n  step: 3\n"


REFUSED = {
    "no-document": ("a: 1\n", Put(3, ("b",), 1), "the document is not in the text"),
    "no-parent": ("a: 1\n", Put(0, ("spec", "b"), 1), "spec is not in the text"),
    "scalar-parent": ("spec: 1\n", Put(0, ("spec", "b"), 1), "spec is no mapping"),
    "empty-parent": ("spec:\na: 1\n", Put(0, ("spec", "b"), 1), "spec is no mapping"),
    "empty-document": ("---\n---\na: 1\n", Put(0, ("b",), 1), "the document is no mapping"),
    "list-parent": ("spec: [1]\n", Put(0, ("spec", "b"), 1), "spec is no mapping"),
    "alias-parent": ("a: &x {c: 1}\nspec: *x\n", Put(0, ("spec", "b"), 1), "spec is no mapping of its own"),
    "shared-parent": ("spec: &x {c: 1}\na: *x\n", Put(0, ("spec", "b"), 1), "would change something else"),
    "shared-status": ("status: &x {c: 1}\na: *x\n", Put(0, ("status",), {"b": 1}), "status is no mapping of its own"),
    "list-status": ("status: [1]\n", Put(0, ("status",), {"b": 1}), "status is no mapping of its own"),
    "scalar-over-mapping": ("a: {b: 1}\n", Put(0, ("a",), 1), "a is not a plain or quoted value"),
    "list-item": ("a: [1]\n", Put(0, ("a", 0), 1), "a is not in the text"),
    "unended-block-scalar": ("a: |\n  b", Put(0, ("status",), {"b": 1}), "would change something else"),
    "explicit-key": ("? a\n: 1\n", Put(0, ("b",), 1), "would change something else"),
    "drop-nothing": ("a: 1\n", Drop(0, ("b",)), "b is not in the text"),
    "drop-comment": ("a: 1\nb: 1 # why\n", Drop(0, ("b",)), "b does not stand on lines of its own"),
    "drop-inner-comment": ("a: 1\nb:\n  # why\n  c: 1\n", Drop(0, ("b",)), "b does not stand on lines of its own"),
    "drop-only": ("spec:\n  b: 1\n", Drop(0, ("spec", "b")), "would change something else"),
    "drop-from-item": ("a:\n- b: 1\n  c: 1\n", Drop(0, ("a", 0, "b")), "b does not stand on lines of its own"),
    "drop-flow-comment": ("{a: 1, # x\n b: 1}\n", Drop(0, ("b",)), "b has a comment beside it"),
}


@pytest.mark.parametrize(("text", "change", "what"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_changed_is_refused_with_advice(text: str, change: Put | Drop, what: str) -> None:
    """Nothing is guessed: the error names the value and says what to do by hand."""
    with pytest.raises(SpliceError) as caught:
        splice(text.encode(), [change])
    assert what in caught.value.message
    assert caught.value.diagnostics[0].hint


def test_the_same_key_twice_is_refused() -> None:
    """Which of the two counts would depend on their order."""
    with pytest.raises(SpliceError, match="two edits"):
        splice(b"a: 1\n", [Put(0, ("b",), 1), Put(0, ("b",), 2)])


DROPPED = {
    "line": ("a: 1\nb: 2\nc: 3\n", "a: 1\nc: 3\n"),
    "last": ("a: 1\r\nb: 2\r\n", "a: 1\r\n"),
    "no-final-newline": ("a: 1\r\nb: 2", "a: 1"),
    "block": ("b:\n  x: 1\n  y: [1]\na: 1\n", "a: 1\n"),
    "block-scalar": ("b: |\n  # x\na: 1\n", "a: 1\n"),
    "first-in-brackets": ("{b: 2, a: 1}", "{a: 1}"),
    "last-in-brackets": ("{a: 1, b: 2 }", "{a: 1 }"),
    "only-in-brackets": ("{b: 2}", "{}"),
    "json-line": ('{\n  "a": 1,\n  "b": 2\n}', '{\n  "a": 1\n}'),
}


@pytest.mark.parametrize(("before", "after"), DROPPED.values(), ids=DROPPED)
def test_how_a_key_goes(before: str, after: str) -> None:
    """Its line, or what stands between its neighbours in brackets, and no more."""
    assert splice(before.encode(), [Drop(0, ("b",))]).decode() == after


def test_a_hash_inside_a_text_is_no_comment_beside_it() -> None:
    """What was put into brackets can be dropped again, whatever it says."""
    text = b"spec: {a: 1}\n"
    after = splice(text, [Put(0, ("spec", "why"), {"reason": "see #7 # now", "by": "#"})])
    assert splice(after, [Drop(0, ("spec", "why"))]) == text
