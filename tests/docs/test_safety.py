from __future__ import annotations

import shlex
from datetime import UTC, datetime

from reconciler.cli import run
from reconciler.cycle.standstill import held
from reconciler.plan import GUARD_CODES
from reconciler.policy import load
from tests.docs.blocks import blocks
from tests.docs.generate import TOP
from tests.policy.memory import BASE, MemoryTree

PAGE = TOP / "docs" / "safety.md"


def test_the_freezes_that_people_copy_do_what_is_said() -> None:
    """Saturday is frozen for all; Tuesday evening for people's changes only; Tuesday noon for nobody."""
    (text,) = blocks(PAGE, "yaml")
    loaded = load(MemoryTree({"policies/mesh.yaml": text, "policies/base.yaml": BASE}))
    assert loaded.mesh is not None, loaded.diagnostics
    saturday, evening, noon = (
        held(loaded.mesh.settings, datetime(2026, 8, day, hour, tzinfo=UTC))
        for day, hour in ((29, 12), (25, 20), (25, 10))
    )
    assert saturday.frozen.startswith("changes are frozen until 2026-08-31T07:00:00Z (Mon 09:00 Europe/Berlin)")
    assert saturday.rollouts.startswith("changes are frozen until 2026-08-31T04:00:00Z (Mon 06:00 Europe/Berlin)")
    assert (bool(evening.frozen), evening.rollouts) == (True, "")
    assert (noon.frozen, noon.rollouts) == ("", "")


def test_the_codes_and_commands_of_the_page_are_there() -> None:
    """Verbs with these options exist, and the guards that are acknowledged do."""
    commands = [line[2:] for text in blocks(PAGE, "console") for line in text.splitlines() if line.startswith("$ ")]
    assert len(commands) == 2
    for command in commands:
        verb = shlex.split(command)[1]
        assert run([verb, "--help"]) == 0
    trailers = [
        line for text in blocks(PAGE, "text") for line in text.splitlines() if line.startswith("Reconcile-Allow: ")
    ]
    assert {code.strip() for line in trailers for code in line.partition(":")[2].split(",")} <= GUARD_CODES
