from __future__ import annotations

import io

import pytest
from rich.console import Console

from reconciler.cli.demo.screen import Glyphs, Screen
from reconciler.cli.demo.traffic import Sample, Tally


def shown(*, terminal: bool) -> tuple[Screen, io.StringIO]:
    """A screen and what reaches it."""
    stream = io.StringIO()
    return Screen(Console(file=stream, force_terminal=terminal, width=100, highlight=False, soft_wrap=True)), stream


def tally(**versions: int) -> Tally:
    """So many successful requests by version."""
    return Tally.of(Sample(0.0, 0.001, "200", name) for name, count in versions.items() for _ in range(count))


def test_what_git_or_envoy_say_is_never_read_as_markup() -> None:
    """A diagnostic has brackets; they are shown as they are."""
    screen, stream = shown(terminal=False)
    screen.quote("policies/x.yaml:1:2: error[unknown-field]: [bold]no[/bold]\n    hint")
    assert stream.getvalue() == "     policies/x.yaml:1:2: error[unknown-field]: [bold]no[/bold]\n         hint\n"


def test_without_a_terminal_there_are_only_plain_lines() -> None:
    """A log or a pipe gets no escape codes, not even those of a quoted command, and no live line."""
    screen, stream = shown(terminal=False)
    screen.title("title", "detail")
    screen.scene("first")
    screen.command("git log")
    screen.quote("\x1b[31mred\x1b[0m")
    with screen.watching(lambda: tally(v1=1)):
        screen.proof("it holds")
    screen.ending("end")
    screen.fault("it broke")
    text = stream.getvalue()
    assert "\x1b" not in text
    assert [line.strip() for line in text.splitlines() if line] == [
        "title  ·  detail", "1  first", "$ git log", "red", "✓ it holds", "end", "The demo failed. it broke",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("v1", "v2", "text"),
    [
        (100, 0, "████████████████████████████  v1 100.0%  v2   0.0%"),
        (90, 10, "█████████████████████████░░░  v1  90.0%  v2  10.0%"),
        (0, 0, "░░░░░░░░░░░░░░░░░░░░░░░░░░░░  v1   0.0%  v2   0.0%"),
    ],
)
def test_a_split_is_a_bar_and_its_numbers(v1: int, v2: int, text: str) -> None:
    """The bar has one width whatever the shares are, and can be read without colours."""
    screen, stream = shown(terminal=False)
    screen.split(tally(v1=v1, v2=v2), "a note")
    screen.proven_split(tally(v1=v1, v2=v2), "a note")
    assert stream.getvalue() == f"     {text}   a note\n   ✓ {text}   a note\n"


def test_a_split_is_shown_between_the_versions_that_it_is_between() -> None:
    """What it says in the note, in the same order; each version keeps its sign."""
    screen, stream = shown(terminal=False)
    screen.proven_split(tally(v2=90, v3=10), "Git says 90 / 10", ("v2", "v3"))
    assert "░░░░░░░░░░░░░░░░░░░░░░░░░▒▒▒  v2  90.0%  v3  10.0%   Git says 90 / 10\n" in stream.getvalue()


def test_a_third_version_is_shown_once_it_serves() -> None:
    """Nobody has to wonder where the rest went."""
    screen, stream = shown(terminal=False)
    screen.split(tally(v1=1, v2=1, v3=2), "")
    assert "███████░░░░░░░▒▒▒▒▒▒▒▒▒▒▒▒▒▒  v1  25.0%  v2  25.0%  v3  50.0%" in stream.getvalue()


def test_what_none_of_the_versions_served_stays_empty() -> None:
    """A page that came from elsewhere is not painted as one of theirs."""
    screen, stream = shown(terminal=False)
    mixed = Tally.of([Sample(0.0, 0.001, "200", name) for name in ("v1", "v2", "", "")])
    screen.split(mixed, "")
    screen.split(Tally.of([Sample(0.0, 0.001, "200", "")]), "")
    assert "     ███████░░░░░░░                v1  25.0%  v2  25.0%" in stream.getvalue()
    assert f"     {' ' * 28}  v1   0.0%  v2   0.0%" in stream.getvalue()


def test_on_a_terminal_the_split_stays_in_view() -> None:
    """The last line is drawn anew while a scene plays, and is gone afterwards."""
    screen, stream = shown(terminal=True)
    with screen.watching(lambda: tally(v1=3, v2=1)):
        screen.say("a scene")
    assert "4 req/s" in stream.getvalue()
    assert "75.0%" in stream.getvalue()


@pytest.mark.parametrize(("encoding", "tick"), [("utf-8", "✓"), ("ascii", "ok"), ("no-such-encoding", "ok")])
def test_signs_fit_the_terminal(encoding: str, tick: str) -> None:
    """A terminal without Unicode gets words instead of an error."""
    assert Glyphs.of(encoding).tick == tick
