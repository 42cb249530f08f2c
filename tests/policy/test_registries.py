"""Registries: what is like a fault of one and is none. What may be found there is `test_awaited`."""

from __future__ import annotations

import pytest

from reconciler.policy import load
from tests.policy.memory import BASE, MemoryTree
from tests.policy.rules.registries import HEALTHY


@pytest.mark.parametrize("text", HEALTHY)
def test_a_registry_that_can_be_asked_gives_no_message(text: str) -> None:
    """Neither an error nor a warning."""
    files = {"policies/base.yaml": BASE, "policies/case.yaml": text}
    assert load(MemoryTree(files)).diagnostics == ()
