from __future__ import annotations

import pytest

from reconciler.cli.shapes import fits, is_time, registries_fit

SHAPE = {"name": str, "count": int, "on": bool, "kind": ("a", "b"), "at": (None, is_time), "all": [{"n": int}]}
GOOD = {"name": "x", "count": 1, "on": True, "kind": "a", "at": None, "all": [{"n": 1, "more": 2}], "other": 3}


def test_what_has_the_fields_that_are_shown_fits() -> None:
    """Others are a newer daemon's, and do no harm."""
    assert fits(GOOD, SHAPE)
    assert fits(GOOD | {"at": "2026-01-01T00:00:00+00:00", "all": []}, SHAPE)


@pytest.mark.parametrize(
    "other",
    [
        {"name": 1}, {"name": None}, {"count": "1"}, {"count": True}, {"count": 1.5}, {"on": 1}, {"kind": "c"}, {"at": "soon"},
        {"at": "2026-01-01T00:00:00"}, {"all": {}}, {"all": None}, {"all": [{}]}, {"all": [{"n": 1}, {"n": "x"}]},
    ],
)  # fmt: skip
def test_what_is_of_another_type_does_not(other: dict[str, object]) -> None:
    """It would end in a fault where it is shown."""
    assert not fits(GOOD | other, SHAPE)


@pytest.mark.parametrize("value", [None, [], "x", 1, {}])
def test_what_lacks_fields_does_not(value: object) -> None:
    """Whatever it is instead."""
    assert not fits(value, SHAPE)


def test_registries_of_another_version_do_not() -> None:
    """None are registries too."""
    assert registries_fit([])
    assert not registries_fit([{"registry": "a"}])
    assert not registries_fit({})
