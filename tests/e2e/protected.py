"""A mesh whose policies are on a forge with a protected `main`: the daemon reads them by URL, and people work on the forge."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from reconciler.cycle.proposal import branch_of
from reconciler.model.key import Key
from tests.e2e.canary import Canary
from tests.e2e.rig import git
from tests.forge.hosted import Pull
from tests.forge.server import ForgeServer

BRANCH = branch_of(Key("default", "details"))
PERSON = "Pat <pat@example.com>"

_MESH = """\
apiVersion: reconciler/v1alpha1
kind: Mesh
metadata: {name: mesh}
spec:
  verifyDeadline: 5s
%(settings)s
"""
_PULL_REQUEST = """\
  record:
    mode: pull-request
    forge:
      github: {repository: acme/mesh, tokenFile: %(token)s, api: "%(api)s"}
"""


class Protected(Canary):
    """A canary whose `main` takes nothing but what people do on the forge.

    Attributes:
        forge: Where people work.
        proposes: Whether steps are proposed; else they are pushed to `main`, as long as it takes them.
        settings: More lines of the Mesh.
    """

    def __init__(self, folder: Path, *, proposes: bool = True, settings: str = "") -> None:
        super().__init__(folder)
        self.forge = ForgeServer(folder / "forge", {})
        self.repo = self.forge.hosted.git_dir
        self.proposes = proposes
        self.settings = settings

    def __enter__(self) -> Self:
        try:
            self.stack.enter_context(self.forge)
            self.serve()
            self.commit(self.files(), "Start")
            git("clone", "-q", str(self.repo), str(self.clone), quiet=True)
            for name in self.names:
                self.start(name)
        except BaseException:
            self.close()
            raise
        return self

    @property
    def address(self) -> str:
        return self.forge.url

    def files(self) -> dict[str, str]:
        record = _PULL_REQUEST % {"token": self.forge.token_file, "api": self.forge.api} if self.proposes else ""
        return {**super().files(), "policies/mesh.yaml": _MESH % {"settings": f"{record}{self.settings}"}}

    def commit(self, files: Mapping[str, str | bytes | None], message: str, *, branch: str = "main") -> str:
        """A person's commit, on `main` with an administrator's rights."""
        written = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
        present = {path: data for path, data in written.items() if data is not None}
        assert present.keys() == written.keys()
        with self.forge.lock:
            return self.forge.hosted.push(branch, present, message, by=PERSON)

    @contextmanager
    def daemon(self, *options: str, log: str = "daemon.log") -> Iterator[subprocess.Popen[bytes]]:
        with super().daemon("--cache", str(self.folder / "cache"), *options, log=log) as process:
            yield process

    # The forge

    def open(self) -> list[Pull]:
        with self.forge.lock:
            return [pull for pull in self.forge.hosted.pulls.values() if pull.state == "open"]

    def proposed(self, *, after: int = 0) -> Pull:
        """The one open pull request, once there is one that is newer than this number."""

        def there() -> bool:
            found = self.open()
            assert len(found) <= 1, found
            return bool(found) and found[0].number > after

        self.wait(there, f"a pull request after #{after}: {self.forge.calls[-5:]}, {self.log()[-2000:]}")
        return self.open()[0]

    def base(self) -> str:
        """What the proposal is on top of."""
        return self.forge.hosted.git("rev-parse", f"refs/heads/{BRANCH}~1", check=False)

    def merge(self, pull: Pull, how: str = "merge") -> str:
        with self.forge.lock:
            return self.forge.hosted.merge(pull.number, how, by=PERSON)

    def passes(self, number: int = 2) -> None:
        """Wait until the daemon has asked the forge so often again."""
        before = len(self.forge.calls)
        self.wait(lambda: len(self.forge.calls) >= before + number, "the forge is asked")

    def written(self) -> tuple[str, list[str]]:
        """All that anybody has written: branches, and calls of the forge."""
        return self.refs(), self.forge.writes

    def protect(self, *, on: bool) -> None:
        """Turn the protection of `main` on or off."""
        hook, away = self.repo / "hooks" / "update", self.repo / "hooks" / "update.off"
        (away if on else hook).rename(hook if on else away)
