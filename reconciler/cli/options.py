"""Options that several verbs share, and the settings they make."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from reconciler.errors import UsageError
from reconciler.model.key import Key
from reconciler.settings import AdminSettings, GitSettings, Identity, Settings, Signing


class Output(StrEnum):
    """Forms in which results are printed."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


Repo = Annotated[
    str, typer.Option("--repo", envvar="RECONCILE_REPO", metavar="PATH_OR_URL", help="The policy repository.")
]
Ref = Annotated[str, typer.Option("--ref", envvar="RECONCILE_REF", help="The branch that policies are read from.")]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How results are printed.")]
Author = Annotated[
    str | None,
    typer.Option("--author", envvar="RECONCILE_AUTHOR", metavar="'NAME <MAIL>'", help="Who commits are by."),
]
Committer = Annotated[
    str | None,
    typer.Option("--committer", envvar="RECONCILE_COMMITTER", metavar="'NAME <MAIL>'", help="Default: the author."),
]
SigningKey = Annotated[
    str | None,
    typer.Option(
        "--signing-key", envvar="RECONCILE_SIGNING_KEY", help="Sign every commit with this key (a path or an id)."
    ),
]
SigningFormat = Annotated[
    str, typer.Option("--signing-format", envvar="RECONCILE_SIGNING_FORMAT", help="ssh, openpgp or x509.")
]
AdminTimeout = Annotated[
    str,
    typer.Option("--admin-timeout", envvar="RECONCILE_ADMIN_TIMEOUT", help="Patience with a silent admin endpoint."),
]
AdminCert = Annotated[
    str,
    typer.Option(
        "--admin-cert", envvar="RECONCILE_ADMIN_CERT", metavar="FILE", help="Shown to https:// admin endpoints."
    ),
]
AdminKey = Annotated[
    str,
    typer.Option("--admin-key", envvar="RECONCILE_ADMIN_KEY", metavar="FILE", help="The private key of --admin-cert."),
]
AdminCa = Annotated[
    str,
    typer.Option(
        "--admin-ca", envvar="RECONCILE_ADMIN_CA", metavar="FILE", help="Whom https:// admin endpoints are signed by."
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option("--cache", envvar="RECONCILE_CACHE", help="Where repositories given by URL are mirrored."),
]
DaemonSocket = Annotated[
    Path | None,
    typer.Option("--daemon", metavar="PATH", help="Have the daemon that listens on this Unix socket do the pass."),
]
KnownDaemon = Annotated[
    Path | None, typer.Option("--daemon", metavar="PATH", help="Ask the daemon that listens on this Unix socket.")
]


def settings(
    *,
    repo: str,
    ref: str,
    author: str | None = None,
    committer: str | None = None,
    signing_key: str | None = None,
    signing_format: str = "ssh",
    admin_timeout: str = "5s",
    admin_cert: str = "",
    admin_key: str = "",
    admin_ca: str = "",
    cache: Path | None = None,
) -> Settings:
    """The settings that these options ask for.

    Raises:
        UsageError: One of them can't be read.
    """
    defaults = GitSettings()
    by = identity(author) if author else defaults.author
    if signing_format not in {"ssh", "openpgp", "x509"}:
        raise UsageError(f"--signing-format {signing_format!r} is not one of ssh, openpgp, x509")
    git = GitSettings(
        author=by,
        committer=identity(committer) if committer else None,
        signing=Signing(format=signing_format, key=signing_key) if signing_key else None,
        cache=cache or defaults.cache,
    )
    if admin_key and not admin_cert:
        raise UsageError("--admin-key without --admin-cert", hint="name the certificate that the key belongs to")
    admin = AdminSettings(
        read_timeout=duration(admin_timeout, "--admin-timeout"), certificate=admin_cert, key=admin_key, ca=admin_ca
    )
    return Settings(repo=repo, ref=ref, git=git, admin=admin)


def identity(text: str) -> Identity:
    """Read `Name <mail>`, as Git writes it.

    Raises:
        UsageError: It has another form.
    """
    found = re.fullmatch(r"\s*([^<>\n]+?)\s*<([^<>\s]+)>\s*", text)
    if found is None:
        raise UsageError(f"{text!r} does not name a person", hint="write 'Name <mail@example.com>'")
    return Identity(name=found[1], email=found[2])


def duration(text: str, option: str) -> float:
    """Read a positive duration, in seconds.

    Raises:
        UsageError: It is none.
    """
    from reconciler.clock import parse_duration

    try:
        seconds = parse_duration(text).total_seconds()
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None
    if seconds <= 0:
        raise UsageError(f"{option}: {text} is not longer than nothing")
    return seconds


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
