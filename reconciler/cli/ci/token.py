"""Which forge a job speaks to, with which token."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from reconciler.errors import UsageError
from reconciler.settings import ForgeSettings

_VARIABLES = {"github": ("GITHUB_TOKEN", "GH_TOKEN"), "gitlab": ("GITLAB_TOKEN",)}
_APIS = {"github": "GITHUB_API_URL", "gitlab": "CI_API_V4_URL"}


@contextmanager
def forge_settings(
    environ: Mapping[str, str], *, kind: str, repository: str, api: str, token_file: Path | None
) -> Iterator[ForgeSettings]:
    """The settings that options and the environment make. A token of the environment is in a file only as long as they are used.

    Raises:
        UsageError: There is no token, or no forge.
    """
    if kind not in _VARIABLES:
        raise UsageError(
            f"{kind!r} is no forge that is spoken to" if kind else "no forge is known here",
            hint="write --forge github or --forge gitlab, and --repository",
        )
    address = api or environ.get(_APIS[kind], "")
    if token_file is not None:
        yield ForgeSettings(kind=kind, repository=repository, api=address, token_file=str(token_file))
        return
    token = next((environ[name] for name in _VARIABLES[kind] if environ.get(name)), "")
    if not token:
        names = " or ".join(_VARIABLES[kind])
        raise UsageError(f"there is no token in {names}", hint=f"set {names}, or name a file with --token-file")
    with tempfile.TemporaryDirectory(prefix="reconcile-") as folder:
        path = Path(folder) / "token"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(token)
        yield ForgeSettings(kind=kind, repository=repository, api=address, token_file=str(path))
