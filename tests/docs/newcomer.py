"""Somebody who follows a page: its files and commands, in order, in a folder and on ports of their own."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Self

from reconciler.cli.demo.ports import Ports
from reconciler.envoy.binary import find_envoy
from tests.e2e.rig import clean_environment, git

_PATIENCE = 30.0
_BLOCK = re.compile(r"^```(console|yaml|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)


class Newcomer:
    """What they start ends with the context.

    Args:
        folder: A new one, with a short path (Unix sockets).
        ports: Those that the page writes; others are taken in their place.
        place: The folder that the page writes.
    """

    def __init__(self, folder: Path, *, ports: Iterable[str], place: str = "") -> None:
        self.folder = folder
        self._ports = Ports()
        self._running: list[subprocess.Popen[str]] = []
        self._real = {port: str(self._ports.reserve()) for port in ports}
        if place:
            self._real[place] = str(folder)
        tools = f"{Path(sys.executable).parent}:{Path(find_envoy()).parent}"
        environ = clean_environment()
        person = {
            f"GIT_{who}_{what}": "pat@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        self._environ = environ | person | {"PATH": f"{tools}:{environ['PATH']}", "XDG_RUNTIME_DIR": str(folder)}
        (folder / "policies").mkdir()
        git("init", "-q", "-b", "main", str(folder))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            process.send_signal(signal.SIGTERM)
        try:
            for process in self._running:
                process.wait(_PATIENCE)
        finally:
            for process in self._running:
                process.kill()
            self._ports.close()

    def follow(self, section: str, files: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Write the files that a section shows, run its commands, and yield each with what it printed.

        Args:
            section: Of the page.
            files: Where its files go, in their order; all of them have to be there.
        """
        names = iter(files)
        for language, text in _BLOCK.findall(section):
            if language != "console":
                (self.folder / next(names)).write_text(self.actual(text))
                continue
            for line in self.actual(text).splitlines():
                command = line.removeprefix("$ ")
                yield command, self.do(command)
        assert next(names, "") == ""

    def actual(self, text: str) -> str:
        """A text of the page with these places for its own."""
        for said, real in self._real.items():
            text = re.sub(rf"(?<!\d){re.escape(said)}(?!\d)", real, text)
        return text

    def do(self, command: str) -> str:
        """One command line; what it prints. One that ends in `&` goes on."""
        if command.endswith(" &"):
            variables, words = re.fullmatch(r"((?:[A-Z_]+=\S+ )*)(.*) &", command).groups()  # type: ignore[union-attr]
            self._running.append(subprocess.Popen(f"{variables}exec {words}", **self._here()))
            return ""
        done = self.ran(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return str(done.stdout)

    def ran(self, command: str) -> subprocess.CompletedProcess[str]:
        """One command line that may fail."""
        return subprocess.run(command, capture_output=True, check=False, timeout=60, **self._here())

    def _here(self) -> dict[str, Any]:
        return {"shell": True, "cwd": self.folder, "env": self._environ, "text": True}

    def applied(self, *names: str) -> bool:
        """Whether these proxies, or without names all, were last recorded as applied."""
        found = json.loads(self.do("reconcile status --output json || true"))["proxies"]
        asked = [item for item in found if not names or item["proxy"].removeprefix("default/") in names]
        return {(item["recorded"] or {}).get("outcome") for item in asked} == {"applied"}

    @staticmethod
    def wait(condition: Callable[[], bool], what: str, *, pause: float = 0.1) -> None:
        """Until a condition holds."""
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"not within {_PATIENCE:g} s: {what}"
            time.sleep(pause)
