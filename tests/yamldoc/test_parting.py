from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.yamldoc import SpliceError, YamlError, dump, exchange, joined, load, one, parts, without

FILE = b"""# The file's licence
apiVersion: v1   # first
kind: A
# inside
spec:
  text: |
    # this is content
    more
# behind the first
---
# before the second
kind: B
---   # a comment at the boundary
kind: C
list: [1,
  2]  # at the end
# the last word"""

TEXTS = st.lists(
    st.sampled_from(
        [
            "a: 1\n", "a: 1", "a: |\n  x\n  # no comment\n", "a: |+\n  x\n\n\n", "a: |-\n  x\n", "a: >\n  x\n\n  y\n", "b:\n- 1\n- x: 2\n# c\n",
            "{a: 1,\n b: 2}\n", "# only comments\n", "", "x\n", "'a\n\n  b'\n", "a: &x 1\nb: *x\n", "a:\n", "a:\n  b:\n\n", "a: {}\n\n\n",
            "a: 1 # c\r\nb: 2\r\n", '"é": ü\n', "- - 1\n", "a: !!str 1\n", "a: 'x'   \n  # c\n",
        ]
    ),
    min_size=1,
    max_size=4,
)  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab #:\n-", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def test_a_document_is_its_own_lines() -> None:
    """With the comments inside; those around it belong to the file."""
    first, second, third = (part for part in parts(FILE) if part is not None)
    assert first.text == FILE[FILE.index(b"apiV") : FILE.index(b"# behind")]
    assert second.text == b"kind: B\n"
    assert third.text == b"kind: C\nlist: [1,\n  2]  # at the end\n"
    assert [part.line for part in (first, second, third)] == [2, 12, 14]


def test_a_document_is_exchanged_and_every_other_byte_stays() -> None:
    """Comments of the file and of its other documents survive."""
    changed = exchange(FILE, 1, b"---\n# new\nkind: N\n")
    assert changed == FILE.replace(b"kind: B\n", b"# new\nkind: N\n")
    assert exchange(b"\xef\xbb\xbfa: 1\r\n---\r\nb: 2", 1, b"\xef\xbb\xbfb:\n  c: 3") == (
        b"\xef\xbb\xbfa: 1\r\n---\r\nb:\r\n  c: 3\r\n"
    )


def test_a_document_goes_with_what_is_between_it_and_its_boundary() -> None:
    """Its line `---` and the comments below that; when nothing else is left, so does the file."""
    assert without(FILE, 1) == FILE.replace(b"---\n# before the second\nkind: B\n", b"")
    assert without(FILE, 0) == FILE[: FILE.index(b"apiV")] + FILE[FILE.index(b"# behind") :]
    assert without(b"# x\na: 1\n# y\n", 0) is None
    assert without(b"a: 1\n---\n", 0) is None


def test_a_document_joins_a_file() -> None:
    """Behind the last, whether that has a line end or not."""
    assert joined(b"a: 1", b"b: 2") == b"a: 1\n---\nb: 2\n"
    assert joined(b"", b"---\nb: 2\n") == b"b: 2\n"
    assert joined(b"# c\n", b"b: 2\n") == b"# c\n---\nb: 2\n"


@given(texts=TEXTS, bare=st.booleans(), value=VALUES, data=st.data())
@example(texts=["a: |+\n  x\n\n\n", "a: 1"], bare=False, value={"a": "#\n"}, data=None)
def test_a_change_of_one_document_changes_only_it(texts: list[str], bare: bool, value: Any, data: Any) -> None:  # noqa: FBT001
    """Whatever the texts: bytes before and behind stay, the others read as before, the one reads as wanted; or it is refused."""
    ends = ["" if text.endswith("\n") or not text else "\n" for text in texts]
    text = ("" if bare else "---\n") + "---\n".join(map("".join, zip(texts, ends, strict=True)))
    before = text.encode()
    try:
        documents = load(before)
    except YamlError:
        return
    found = parts(before)
    assert len(found) == len(documents)
    index = data.draw(st.integers(0, max(len(found) - 1, 0))) if data else 0
    part = found[index] if found else None
    if part is None:
        with pytest.raises(SpliceError):
            exchange(before, index, b"a: 1")
        return
    assert before[part.start : part.end] == part.text
    if documents[index] is not None:
        assert one(part.text) == documents[index]
        assert exchange(before, index, part.text)[: part.start] == before[: part.start]
    new = dump(value).encode()
    if value is None:
        return
    try:
        changed = exchange(before, index, new)
    except SpliceError:
        assert "|+" in text, "only trailing empty lines can be told apart by what follows"
        return
    assert changed.startswith(before[: part.start])
    assert changed.endswith(before[part.end :])
    others = list(documents)
    others[index] = value
    assert [item for item in load(changed) if item is not None] == [item for item in others if item is not None]
    assert load(joined(before, new))[-1] == value
    rest = without(before, index)
    left = [item for number, item in enumerate(documents) if number != index and item is not None]
    assert ([item for item in load(rest) if item is not None] if rest is not None else []) == left


@pytest.mark.parametrize(
    "text",
    [b"--- {a: 1}\n", b"--- a\n--- b\n", b"{a: 1} ...\n", b"--- |\n  x\n"],
)
def test_a_document_without_lines_of_its_own_is_left_alone(text: bytes) -> None:
    """Better no change than one of a neighbour."""
    with pytest.raises((SpliceError, YamlError)):
        exchange(text, 0, b"b: 2\n")


@pytest.mark.parametrize(
    "document", [b"", b"a: 1\n---\nb: 2\n", b"--- {a: 1}\n", b"%YAML 1.2\n---\na: 1\n", b"a: [\n", b"\xff"]
)
def test_what_is_not_one_document_is_not_written(document: bytes) -> None:
    """Several, none, one that can't be read, or one that can't stand below a line `---` as it is."""
    with pytest.raises((SpliceError, YamlError)):
        exchange(b"a: 1\n", 0, document)
    with pytest.raises((SpliceError, YamlError)):
        joined(b"a: 1\n", document)


def test_exactly_one_document_is_read() -> None:
    """Empty ones around it don't count."""
    assert one(b"---\n---\na: 1\n---\n# x\n") == {"a": 1}
    for text in (b"", b"a: 1\n---\nb: 1\n", b"a: [", b"a: 1\n---\nb: ["):
        with pytest.raises(YamlError):
            one(text)


def test_positions_of_documents_are_in_order() -> None:
    """No byte belongs to two documents."""
    found = [part for part in parts(FILE) if part is not None]
    assert all(one.end <= two.boundary <= two.start for one, two in itertools.pairwise(found))
