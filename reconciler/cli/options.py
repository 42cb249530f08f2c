"""Options that several verbs share, and the settings they make."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli.configuration import option
from reconciler.errors import UsageError
from reconciler.model.key import Key
from reconciler.settings import Identity, Settings


class Output(StrEnum):
    """Forms in which results are printed."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


Repo = Annotated[str, option("repo")]
Ref = Annotated[str, option("ref")]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How results are printed.")]
Author = Annotated[str | None, option("git.author")]
Committer = Annotated[str | None, option("git.committer")]
SigningKey = Annotated[str | None, option("git.signing.key")]
SigningFormat = Annotated[str, option("git.signing.format")]
GitTokenFile = Annotated[str, option("git.token_file")]
GitSshKey = Annotated[str, option("git.ssh_key")]
GitKnownHosts = Annotated[str, option("git.known_hosts")]
AdminTimeout = Annotated[str, option("admin.read_timeout")]
AdminCert = Annotated[str, option("admin.certificate")]
AdminKey = Annotated[str, option("admin.key")]
AdminCa = Annotated[str, option("admin.ca")]
AllowedSigners = Annotated[str, option("trust.allowed_signers")]
SignersKeyring = Annotated[str, option("trust.keyring")]
Cache = Annotated[Path | None, option("git.cache")]
DaemonSocket = Annotated[
    Path | None,
    typer.Option("--daemon", metavar="PATH", help="Have the daemon that listens on this Unix socket do the pass."),
]
KnownDaemon = Annotated[
    Path | None, typer.Option("--daemon", metavar="PATH", help="Ask the daemon that listens on this Unix socket.")
]


_EVERYWHERE = ("repo", "ref", "git.", "admin.", "trust.")
"""Settings that every verb takes from the environment, also where it has no option for them."""


def settings(*, repo: str, ref: str, environ: Mapping[str, str] = os.environ, **given: str | Path | None) -> Settings:
    """The settings that these options ask for, and the environment where they say nothing.

    Args:
        repo: As `--repo`.
        ref: As `--ref`.
        environ: Seam for tests.
        given: Further options by their names as parameters (`admin_timeout`); None and "" say nothing.

    Raises:
        UsageError: One of them can't be read, or they contradict each other.
    """
    from reconciler.cli.configuration import assembled, in_force, table

    paths = {setting.parameter: path for path, setting in table().items()}
    flags = {paths[name]: str(value) for name, value in given.items() if value}
    heard = {setting.variable for path, setting in table().items() if path.startswith(_EVERYWHERE)}
    known = {name: value for name, value in environ.items() if name in heard}
    return assembled(in_force(flags={"repo": repo, "ref": ref} | flags, environ=known))


def require_text_or_json(output: Output, verb: str) -> None:
    """For verbs that have no Markdown.

    Raises:
        UsageError: It was asked for.
    """
    if output is Output.MARKDOWN:
        raise UsageError(f"reconcile {verb} prints text or JSON", hint="use --output text or --output json")


def identity(text: str) -> Identity:
    """Read `Name <mail>`, as Git writes it.

    Raises:
        UsageError: It has another form.
    """
    from reconciler.cli.configuration.kinds import person

    try:
        return person(text)
    except ValueError as error:
        raise UsageError(str(error)) from None


def duration(text: str, option: str) -> float:
    """Read a positive duration, in seconds.

    Raises:
        UsageError: It is none.
    """
    from reconciler.cli.configuration.kinds import seconds

    try:
        return seconds(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def selection(select: list[str]) -> tuple[Key, ...]:
    """Read `--select proxy/NAME` or `proxy/NAMESPACE/NAME`.

    Raises:
        UsageError: It names something else; only proxies can be selected.
    """
    keys: list[Key] = []
    for text in select:
        kind, slash, name = text.partition("/")
        if kind.lower() != "proxy" or not slash or not name:
            raise UsageError(
                f"--select {text!r} does not name a proxy", hint="write proxy/NAME or proxy/NAMESPACE/NAME"
            )
        keys.append(Key.parse(name))
    return tuple(keys)
