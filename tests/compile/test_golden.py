"""What a small mesh compiles to, written down in `golden/`."""

from __future__ import annotations

import pytest

from tests.compile import golden


def test_every_golden_file_is_compiled_and_every_view_has_one() -> None:
    """No file is left over from a proxy that is gone."""
    assert golden.written().keys() == golden.current().keys()


@pytest.mark.parametrize("name", sorted(golden.written()))
def test_golden(name: str) -> None:
    """A change of what Envoys get is seen in review; `python -m tests.compile.golden` writes the files anew."""
    assert golden.current()[name] == golden.written()[name]


def test_the_golden_mesh_has_nothing_wrong() -> None:
    """It is an example to follow."""
    assert golden.result().findings == ()
