"""Somebody who follows a page and compares what they see with what it shows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.docs.newcomer import Newcomer

_SHOWN = (
    (re.compile(r"\b[0-9a-f]{7,64}\b"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"), "TIME"),
    (re.compile(r"\b\d+(\.\d+)?(ms|s|m)\b( ago)?"), "SPAN"),
    (re.compile(r"process \d+"), "PROCESS"),
    (re.compile(r"(?<=SPAN )\([a-z+]+\)"), "(WHY)"),
    (re.compile(r" +"), " "),
)
_LOOKS = re.compile(r"(git .*\blog|reconcile (status|rollout (list|show|history))|curl -s -H)\b")
"""Commands that only look: what they show may take a moment to come."""


class Reader(Newcomer):
    """Follows a page command by command, in the folder where its `cd`s lead."""

    def __init__(self, folder: Path, *, ports: Iterable[str], place: str) -> None:
        super().__init__(folder, ports=ports, place=place)
        self._environ |= {"GIT_AUTHOR_NAME": "Pat", "GIT_COMMITTER_NAME": "Pat"}

    def read(self, section: str, files: Iterator[str]) -> Iterator[str]:
        """Write the files of a section and do its commands, each of which has to print what is shown. Yields them as they are done.

        Args:
            section: Of the page.
            files: Where its YAML goes, in the order of the page.
        """
        for language, text in re.findall(r"^```(console|yaml)\n(.*?)^```", section, re.DOTALL | re.MULTILINE):
            if language == "yaml":
                (self.folder / next(files)).write_text(self.actual(text))
                continue
            for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, _, shown = part.partition("\n")
                self._see(self.actual(command), self.actual(shown))
                yield command

    def _see(self, command: str, shown: str) -> None:
        if command.startswith("export "):
            name, _, value = command.removeprefix("export ").partition("=")
            self._environ[name] = value
            return
        *before, last = command.split(" && ")
        if last.startswith("cd "):
            for each in before:
                self.do(each)
            self.folder = (self.folder / shlex.split(last)[1]).resolve()
            return
        if not _LOOKS.match(command):
            printed = self.do(command)
            assert not shown or same(printed, shown), f"$ {command}\n{printed}\nand the page shows\n{shown}"
            return
        seen: list[str] = [""]
        try:
            self.wait(lambda: self._looks(command, shown, seen), "what the page shows", pause=1.0)
        except AssertionError as error:
            raise AssertionError(f"$ {command}\n{seen[-1]}\nand the page shows\n{shown}") from error

    def _looks(self, command: str, shown: str, seen: list[str]) -> bool:
        """Whether it is to be seen by now; a fleet that is not well makes `status` fail, too."""
        seen.append(self.ran(command).stdout)
        return same(seen[-1], shown)


def same(printed: str, shown: str) -> bool:
    """Whether a page shows what was printed: ids, times and spans may differ, and `...` stands for anything."""
    lines = [re.escape(_plain(line)).replace(r"\.\.\.", ".*") for line in shown.rstrip("\n").split("\n")]
    pattern = "".join("(?:.*\n)*?" if line == ".*" else f"{line}\n" for line in lines)
    return re.fullmatch(pattern, "".join(f"{_plain(line)}\n" for line in printed.rstrip("\n").split("\n"))) is not None


def _plain(line: str) -> str:
    for found, stands in _SHOWN:
        line = found.sub(stands, line)
    return line.rstrip()
