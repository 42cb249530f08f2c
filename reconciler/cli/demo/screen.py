"""What the audience sees: calm lines on stdout, with colour and a live line on a terminal, plain otherwise.

It shows what it is told and decides nothing. Texts are never read as markup: they come from Git, Envoy and users.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.text import Text

from reconciler.cli.demo.traffic import Tally

_BAR = 28
_COLOURS = {"v1": "blue", "v2": "green", "v3": "magenta"}
_SIGNS = {"+ ": "green", "- ": "red", "~ ": "yellow"}


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Signs, in what the terminal can show."""

    tick: str
    arrow: str
    dot: str
    bars: str

    @classmethod
    def of(cls, encoding: str) -> Glyphs:
        """The nice ones, where the encoding has them."""
        try:
            "✓→·█░▒".encode(encoding)
        except (UnicodeEncodeError, LookupError):
            return cls(tick="ok", arrow="->", dot="-", bars="#=%")
        return cls(tick="✓", arrow="→", dot="·", bars="█░▒")


class Screen:
    """The audience's view.

    Args:
        console: Where it goes; standard output by default.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)
        self.glyphs = Glyphs.of(self._console.encoding)
        self._scenes = 0

    def title(self, text: str, detail: str) -> None:
        """The first lines."""
        self._print(Text.assemble("\n", (text, "bold"), f"  {self.glyphs.dot}  ", (detail, "dim")))

    def scene(self, text: str) -> None:
        """A new scene begins."""
        self._scenes += 1
        self._print(Text.assemble("\n", (f"{self._scenes}  ", "bold cyan"), (text, "bold")))

    def say(self, text: str) -> None:
        """One line that says what happens."""
        self._print(Text(f"   {text}"))

    def command(self, text: str) -> None:
        """A command that a person could type."""
        self._print(Text.assemble("   ", ("$ ", "dim"), (text, "cyan")))

    def quote(self, text: str) -> None:
        """What a command printed, or what a file says; lines of a plan or a diff are coloured by their signs."""
        for line in text.splitlines():
            shown = Text.from_ansi(line)
            shown.stylize(_SIGNS.get(shown.plain.lstrip()[:2], ""))
            self._print(Text.assemble("     ", shown))

    def proof(self, text: str) -> None:
        """A claim that was checked and holds."""
        self._print(Text.assemble("   ", (self.glyphs.tick, "bold green"), f" {text}"))

    def split(self, tally: Tally, note: str) -> None:
        """A measured split as a bar, with a note."""
        self._print(Text.assemble("     ", self._bar(tally), f"   {note}"))

    def proven_split(self, tally: Tally, note: str, versions: Sequence[str] = ()) -> None:
        """A measured split that is what was claimed, between these versions."""
        self._print(
            Text.assemble("   ", (self.glyphs.tick, "bold green"), " ", self._bar(tally, versions), f"   {note}")
        )

    def ending(self, text: str) -> None:
        """A last part, which is no scene."""
        self._print(Text.assemble("\n", (text, "bold")))

    def farewell(self, text: str) -> None:
        """The last line."""
        self._print(Text(f"\n{text}\n"))

    def fault(self, text: str) -> None:
        """Why the show ends early."""
        self._print(Text.assemble("\n", ("The demo failed. ", "bold red"), text))

    @contextmanager
    def watching(self, recent: Callable[[], Tally]) -> Iterator[None]:
        """Keep a line with the current split at the bottom of a terminal while inside."""
        if not self._console.is_terminal:
            yield
            return

        def line() -> Text:
            tally = recent()
            state = ("0 failed", "dim") if not tally.failed else (f"{tally.failed} FAILED", "bold red")
            return Text.assemble("\n     ", self._bar(tally), f"   {tally.requests} req/s  ", state)

        with Live(get_renderable=line, console=self._console, refresh_per_second=8, transient=True):
            yield

    def _bar(self, tally: Tally, versions: Sequence[str] = ()) -> Text:
        """Shares in the versions' colours and signs, with their percentages; what none of them served stays empty."""
        signs = dict(zip(_COLOURS, self.glyphs.bars, strict=True))
        versions = versions or [name for name in _COLOURS if name != "v3" or tally.versions[name]]
        out = Text()
        left = _BAR
        for name in versions:
            whole = name == versions[-1] and not tally.versions[""]
            width = left if whole else min(left, round(_BAR * tally.share(name)))
            left -= width
            out.append(signs[name] * width, style=_COLOURS[name] if tally.versions.total() else "dim")
        out.append(" " * left)
        for name in versions:
            out.append("  ")
            out.append(name, style=_COLOURS[name])
            out.append(f" {tally.share(name):6.1%}")
        return out

    def _print(self, text: Text) -> None:
        self._console.print(text)
