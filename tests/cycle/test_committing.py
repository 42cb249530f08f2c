"""One commit of whoever asks: tried again after lost races, and shown as a patch."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.cycle.committing import until_won
from reconciler.cycle.diffs import diff_of
from reconciler.gitrepo import RaceLostError


class Rests:
    """A clock that only counts how often somebody rested."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime(2026, 1, 2, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.mark.parametrize("lost", [0, 1, 4])
def test_a_lost_race_is_run_again_from_its_beginning(lost: int) -> None:
    """Each time after a rest of less than half a second, so that writers in step get out of it."""
    clock, tries = Rests(), iter(range(10))

    def once() -> str:
        if next(tries) < lost:
            raise RaceLostError("main is elsewhere")
        return "won"

    assert until_won(once, clock=clock, attempts=5) == "won"
    assert len(clock.slept) == lost
    assert all(0 <= seconds <= 0.5 for seconds in clock.slept)


def test_who_loses_each_time_is_told() -> None:
    """And does not rest once more before that."""
    clock = Rests()

    def once() -> None:
        raise RaceLostError("main is elsewhere")

    with pytest.raises(RaceLostError):
        until_won(once, clock=clock, attempts=3)
    assert len(clock.slept) == 2


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a: 1\nb: 2\n", b"a: 1\nb: 3\n"),
        (b"a: 1\r\nb: 2\r\n", b"a: 1\r\nb: 3\r\n"),
        ("a: x\N{LINE SEPARATOR}y\nb: 2\n".encode(), "a: x\N{LINE SEPARATOR}y\nb: 3\n".encode()),
        (b"# \x0c one\nb: 2\n", b"# \x0c two\nb: 2\n"),
        (b"a: 1\rb: 2\n", b"a: 1\rb: 3\n"),
        (b"a: 1", b"a: 1\n"),
        (b"a: 1\n", b"a: 2"),
        (None, b"a: 1\n"),
        (b"a: 1\n", None),
    ],
)
def test_git_applies_what_is_shown(tmp_path: Path, before: bytes | None, after: bytes | None) -> None:
    """To the byte, whatever Unicode or YAML call the end of a line; also where a file comes and goes."""
    file = tmp_path / "policies" / "mesh.yaml"
    file.parent.mkdir()
    if before is not None:
        file.write_bytes(before)
    diff = diff_of({"policies/mesh.yaml": before}, {"policies/mesh.yaml": after})
    done = subprocess.run(
        ["git", "apply", "-"], input=diff.encode(), cwd=tmp_path, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert (file.read_bytes() if file.exists() else None) == after
