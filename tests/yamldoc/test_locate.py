from __future__ import annotations

import pytest

from reconciler.model.origin import FieldPath
from reconciler.yamldoc import locate

TEXT = b"""\
# comment
a: 1
b:
  - c: {d: x, "e": [y, z]}
    f: &anchor
      g: h
---
k: |
  text
l: *nowhere
---
m: &x {n: 1}
o: *x
"""


@pytest.mark.parametrize(
    ("document", "path", "value", "key"),
    [
        (0, (), (2, 1), (2, 1)),
        (0, ("a",), (2, 4), (2, 1)),
        (0, ("b",), (4, 3), (3, 1)),
        (0, ("b", 0), (4, 5), (4, 5)),
        (0, ("b", 0, "c"), (4, 8), (4, 5)),
        (0, ("b", 0, "c", "e"), (4, 20), (4, 15)),
        (0, ("b", 0, "c", "e", 1), (4, 24), (4, 24)),
        (0, ("b", 0, "f", "g"), (6, 10), (6, 7)),
        (2, ("m", "n"), (12, 11), (12, 8)),
        (2, ("o",), (13, 4), (13, 1)),
        (2, ("o", "n"), (12, 11), (12, 8)),
    ],
)
def test_values_and_keys_are_where_an_editor_shows_them(
    document: int, path: FieldPath, value: tuple[int, int], key: tuple[int, int]
) -> None:
    """Block style, flow style, anchors and aliases; lists have no keys, so an item is its own."""
    assert locate(TEXT, document, path) == value
    assert locate(TEXT, document, path, key=True) == key


def test_what_is_not_there_is_at_its_nearest_ancestor() -> None:
    """A missing field belongs to the line of the field that should hold it."""
    assert locate(TEXT, 0, ("b", 0, "c", "gone", "deeper")) == (4, 5)
    assert locate(TEXT, 0, ("gone",)) == (2, 1)
    assert locate(TEXT, 0, ("b", 7)) == (3, 1)


def test_a_document_after_another_is_counted_from_the_top_of_the_file() -> None:
    """Also with a byte order mark and Windows line ends."""
    text = b"\xef\xbb\xbf" + TEXT.replace(b"\n", b"\r\n")
    assert locate(text, 0, ("a",)) == (2, 4)
    assert locate(text, 2, ("m", "n")) == (12, 11)
    assert locate(b"\xef\xbb\xbfa: 1\n", 0, ("a",)) == (1, 4)


def test_a_place_that_cannot_be_known_is_the_top() -> None:
    """A text that can't be read, or a document that isn't there."""
    assert locate(b"\xff", 0, ("a",)) == (1, 1)
    assert locate(TEXT, 9, ("a",)) == (1, 1)


def test_a_broken_document_does_not_move_the_others() -> None:
    """Documents are counted as `read` counts them."""
    text = b"a: [1\n---\nb: 2\n"
    assert locate(text, 0, ("a",)) == (1, 1)
    assert locate(text, 1, ("b",)) == (3, 4)
