"""Who sits at this terminal, as Git knows them: for commits that a person makes by a command of ours."""

from __future__ import annotations

import os
import re
from pathlib import Path

from reconciler.errors import InputError
from reconciler.gitrepo.command import run
from reconciler.gitrepo.location import is_url
from reconciler.settings import Identity

_IDENT = re.compile(r"(.*) <(.*)> -?\d+ [+-]\d{4}")


class NobodyError(InputError):
    """Git does not know who you are, so a commit can't be yours."""

    default_code = "git-nobody"


def person(location: str) -> Identity:
    """Who a commit made by hand in this repository would be by.

    The environment (`GIT_AUTHOR_NAME`) comes before the repository's configuration, and that before the user's, as in Git. For a
    URL there is only the user's. A name is never guessed from the machine's.

    Args:
        location: Path or URL of the repository.

    Raises:
        NobodyError: Nobody is configured.
    """
    cwd = Path.home() if is_url(location) else Path(location).expanduser().absolute()
    asked = run(["-c", "user.useConfigOnly=true", "var", "GIT_AUTHOR_IDENT"], cwd=cwd if cwd.is_dir() else Path(os.sep))
    found = _IDENT.fullmatch(asked.text) if asked.ok else None
    if found is None:
        raise NobodyError(
            "git does not know who you are, and the commit is to be yours",
            hint="git config --global user.name 'Your Name'; git config --global user.email you@example.com; or use --author",
        )
    return Identity(name=found[1], email=found[2])
