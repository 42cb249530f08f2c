from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from reconciler.errors import BugError
from reconciler.yamldoc import dump, load

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
    | st.sampled_from(["on", "yes", "0777", "1e3", "2024-01-31", "<<", "=", "---", "...", "- a", "a: b", "#", "1_0", "\n a\n", "|"])
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_reads_back(value: Any) -> None:
    """load(dump(x)) == x, types included, for everything that JSON can carry."""
    (loaded,) = load(dump(value).encode())
    assert repr(loaded) == repr(value)


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=12))
def test_strings_are_strings_to_readers_of_yaml_1_1_too(text: str) -> None:
    """Whoever reads a receipt with an older library sees the same text."""
    old = YAML(typ="safe", pure=True)
    old.version = (1, 1)
    assert old.load(dump({"a": text})) == {"a": text}


def test_the_form_is_what_people_write() -> None:
    """Block style, keys in the order given, quotes only where needed, long texts as literal blocks."""
    value = {
        "view": "ab12",
        "on": True,
        "count": 3,
        "list": [{"a": "yes", "b": []}, {}],
        "text": "one\ntwo\n",
        "long": "x " * 90,
    }
    assert dump(value) == (
        'view: ab12\n"on": true\ncount: 3\nlist:\n- a: "yes"\n  b: []\n- {}\ntext: |\n  one\n  two\n'
        f"long: '{'x ' * 90}'\n"
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, object(), {1: 2}, b"x", {"a": {"b"}}])
def test_what_yaml_cannot_carry_is_a_bug_of_the_caller(value: object) -> None:
    """Nothing is written that could not be read back."""
    with pytest.raises(BugError):
        dump(value)
