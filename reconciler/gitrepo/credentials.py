"""Who we are to a remote: the options and variables that one call of git gets, so that it finds credentials and asks nobody.

Without files of our own it is Git's business: credential helpers, `GIT_ASKPASS`, `.netrc`, ssh's keys and agent. With them nothing
else is tried, so that a rotated or revoked token is never covered up by what some helper has stored. A token is read by git's helper
from its file at each call: it is in no argument, no variable and no configuration, and goes to the one host that the URL names, by TLS.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from reconciler.errors import UsageError
from reconciler.gitrepo.command import run
from reconciler.gitrepo.errors import AuthenticationError
from reconciler.gitrepo.location import redacted
from reconciler.settings import GitSettings

_MAX_BYTES = 64 * 1024
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_VARIABLE = "RECONCILER_GIT_TOKEN_FILE"

# What git runs as a credential helper (gitcredentials(7)): asked to `get`, it answers with what the file has. The forges take any user
# with a token as the password; GitHub documents this one.
_HELPER = (
    "!f() { "
    'test "$1" = get || exit 0; '
    f'IFS= read -r line < "${_VARIABLE}" || test -n "$line" || exit 0; '
    'case "$line" in '
    '*:*) printf \'username=%s\\npassword=%s\\n\' "${line%%:*}" "${line#*:}" ;; '
    "*) printf 'username=x-access-token\\npassword=%s\\n' \"$line\" ;; "
    "esac; }; f"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What one call of git is given.

    Attributes:
        options: Before the verb.
        extra: Variables.
    """

    options: Sequence[str]
    extra: Mapping[str, str] = field(default_factory=dict)


class Credentials:
    """Of one remote.

    Raises:
        UsageError: A token would be sent without TLS.
    """

    def __init__(self, settings: GitSettings, url: str) -> None:
        self._url = url
        self._token = settings.token_file if url.startswith(("https://", "http://")) else ""
        self._over_ssh = not url.startswith(("https://", "http://", "file://", "git://"))
        self._settings = settings
        if self._token and not url.startswith("https://"):
            raise UsageError(
                f"--git-token-file would be sent to {redacted(url)} in the clear", hint="use a URL with https://"
            )

    def call(self) -> Call:
        """For one call over the network; the files are looked at anew.

        Raises:
            AuthenticationError: A file is missing, or holds no token.
        """
        options = ["-c", "protocol.ext.allow=never"]
        if self._token:
            return self._by_token(options)
        if self._over_ssh and (self._settings.ssh_key or self._settings.known_hosts):
            return Call(options=options, extra={"GIT_SSH_COMMAND": self._ssh()})
        if "GIT_SSH" in os.environ or "GIT_SSH_COMMAND" in os.environ:
            return Call(options=options)
        configured = run(["config", "--get", "core.sshCommand"])
        return Call(options=options if configured.ok else [*options, "-c", "core.sshCommand=ssh -oBatchMode=yes"])

    def _by_token(self, options: list[str]) -> Call:
        path = Path(self._token).absolute()
        _check_token(path)
        parts = urlsplit(self._url)
        host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        return Call(
            options=[*options, "-c", "credential.helper=", "-c", f"credential.{host}.helper={_HELPER}"],
            extra={_VARIABLE: str(path), "GIT_ASKPASS": ""},
        )

    def _ssh(self) -> str:
        words = ["ssh", "-oBatchMode=yes", "-oStrictHostKeyChecking=yes"]
        if self._settings.ssh_key:
            key = _readable(Path(self._settings.ssh_key).absolute(), "--git-ssh-key")
            words += ["-oIdentitiesOnly=yes", f"-oIdentityFile={_ssh_path(key)}"]
        if self._settings.known_hosts:
            hosts = _readable(Path(self._settings.known_hosts).absolute(), "--git-known-hosts")
            words += [f"-oUserKnownHostsFile={_ssh_path(hosts)}", "-oGlobalKnownHostsFile=/dev/null"]
        return shlex.join(words)


def _check_token(path: Path) -> None:
    """Say what is wrong with a file before git says that something is wrong with somebody's credentials."""
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise AuthenticationError(
            f"--git-token-file {path} can't be read: {error.strerror}", hint="it is read at each call; put it back"
        ) from error
    token = text.removesuffix(b"\n")
    if not token or len(text) > _MAX_BYTES or _CONTROL.search(token):
        raise AuthenticationError(
            f"--git-token-file {path} is not one line with a token", hint="write TOKEN or USER:PASSWORD into it"
        )


def _readable(path: Path, option: str) -> Path:
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise AuthenticationError(
            f"{option} {path} can't be read: {error.strerror}", hint="it is read at each call"
        ) from error


def _ssh_path(path: Path) -> str:
    """A path in an option of ssh, which takes spaces and signs of percent for its own (ssh_config(5))."""
    return '"' + str(path).replace("%", "%%") + '"'
