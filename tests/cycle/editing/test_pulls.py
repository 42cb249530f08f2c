from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.clock import SystemClock
from reconciler.cycle import Compiler
from reconciler.cycle.editing import Desk, Judge, Pulls, Requester, Wish
from reconciler.cycle.editing.errors import RefusedChangeError
from reconciler.gitrepo import Repository, open_repository
from reconciler.settings import GitSettings
from tests.cycle.editing.office import ADA, DAEMON, FILES, KEY, split
from tests.forge.server import ForgeServer

MESH = """\
apiVersion: reconciler/v1alpha1
kind: Mesh
metadata: {name: mesh}
spec:
  record:
    mode: pull-request
    forge: {github: {repository: acme/mesh, api: "%s", tokenFile: %s}}
"""


@contextmanager
def desk(forge: ForgeServer, cache: Path) -> Iterator[Desk]:
    """Over a mirror of a repository whose `main` is protected."""
    settings = GitSettings(author=DAEMON, cache=cache)

    @contextmanager
    def writer(by: Requester) -> Iterator[Repository]:
        with open_repository(forge.url, replace(settings, author=by.identity or DAEMON, committer=DAEMON)) as git:
            yield git

    with open_repository(forge.url, settings) as repository:
        repository.fetch()
        judge = Judge(repository, Compiler(), announced=tuple)
        clock = SystemClock()
        yield Desk(repository, writer, "main", judge=judge, clock=clock, pulls=Pulls(clock), attempts=3)


def test_a_proposal_becomes_a_pull_request(tmp_path: Path) -> None:
    """Of its author's commit, with the plan for reviewers; a protected branch itself says how to go on; a forge that fails, why."""
    files = {f"policies/{name}": text.encode() for name, text in FILES.items()}
    with ForgeServer(tmp_path / "forge", files) as forge:
        mesh = (MESH % (forge.api, forge.token_file)).encode()
        forge.hosted.push("main", {"policies/mesh.yaml": mesh}, "mesh")
        with desk(forge, tmp_path / "cache") as made:
            wish = Wish(
                kind="VirtualService", key=KEY, text=split(12).encode(), expect=frozenset({"*"}), by=ADA,
                message="a <b>bit</b> more",
            )  # fmt: skip
            with pytest.raises(RefusedChangeError, match="takes no commits from here") as raised:
                made.write(wish)
            assert "propose=true" in raised.value.diagnostics[0].hint
            done = made.write(replace(wish, propose=True))
            (pull,) = (item for item in forge.hosted.pulls.values() if item.head == done.branch)
            assert (pull.title, pull.base) == ("api(reviews): update VirtualService default/reviews", "main")
            assert done.pull.endswith(f"/{pull.number}")
            assert "<b>" not in pull.body
            assert "edge" in pull.body or "client" in pull.body
            forge.token_file.write_text("wrong\n")
            again = made.write(replace(wish, propose=True))
            assert (again.pull, again.branch != done.branch) == ("", True)
            assert any(note.code.startswith("forge-") for note in again.notes)
