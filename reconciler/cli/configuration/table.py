"""The table of settings: each field of the classes in `settings` with its flag, its variable and its key in the settings file.

Names follow from the field (`git.push_attempts`: `--git-push-attempts`, `RECONCILE_GIT_PUSH_ATTEMPTS`, `git.pushAttempts`); the few
that users know by a shorter one are listed here. What a setting means is read from the docstring of its class.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from reconciler.cli.configuration import kinds
from reconciler.cli.configuration.kinds import Kind
from reconciler.settings import Identity, Settings, Signing

_FLAGS: Mapping[str, str] = {
    "git.author": "--author",
    "git.committer": "--committer",
    "git.signing.key": "--signing-key",
    "git.signing.format": "--signing-format",
    "git.cache": "--cache",
    "admin.read_timeout": "--admin-timeout",
    "admin.certificate": "--admin-cert",
    "ads.address": "--ads",
    "ads.certificate": "--ads-cert",
    "ads.client_ca": "--ads-ca",
    "ads.identities": "--ads-identity",
    "http.address": "--http",
    "http.certificate": "--http-cert",
    "http.webhooks": "--webhook",
    "forge.kind": "--forge",
    "trust.allowed_signers": "--allowed-signers",
    "trust.keyring": "--signers-keyring",
    "daemon.interval": "--interval",
    "daemon.drift_interval": "--drift-interval",
    "daemon.socket": "--daemon",
}
"""Flags that don't follow from the field's name; variables follow from the flag."""

_METAVARS: Mapping[str, str] = {"ads.address": "HOST:PORT", "http.address": "HOST:PORT", "repo": "PATH_OR_URL"}

_WORDS: Mapping[str, tuple[str, ...]] = {
    "git.signing.format": ("ssh", "openpgp", "x509"),
    "forge.kind": ("github", "gitlab"),
    "log.format": ("text", "json"),
    "log.level": ("debug", "info", "warning", "error"),
}
_KEYS: Mapping[str, tuple[str, ...]] = {"http.webhooks": ("github", "gitlab", "gitea", "plain")}
_FILES = frozenset(
    {"certificate", "key", "ca", "client_ca", "tokens", "allowed_signers", "keyring", "ssh_key", "known_hosts"}
)
_TEXTS = frozenset({"git.signing.key"})
_ATTRIBUTE = re.compile(r"    (\w+): (.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting.

    Attributes:
        path: Its place in `Settings`: `git.push_attempts`.
        flag: On the command line.
        variable: In the environment.
        key: In the settings file: `git.pushAttempts`.
        kind: Of its value.
        meaning: Of the field, as its class says it.
        default: The value where nobody says anything.
    """

    path: str
    flag: str
    variable: str
    key: str
    kind: Kind
    meaning: str
    default: Any

    @property
    def parameter(self) -> str:
        """Its name as a parameter of a verb."""
        return self.flag.removeprefix("--").replace("-", "_")

    @property
    def metavar(self) -> str:
        """What stands for its value in `--help`."""
        return _METAVARS.get(self.path, self.kind.metavar)


@cache
def table() -> Mapping[str, Setting]:
    """Every setting by its path, in the order of the classes."""
    return {setting.path: setting for setting in _settings(Settings, Settings(), "")}


def _settings(owner: type, defaults: Any, prefix: str) -> Iterator[Setting]:
    meanings, hints = attributes(owner), get_type_hints(owner)
    for field in fields(owner):
        path = f"{prefix}{field.name}"
        annotation, default = _plain(hints[field.name]), getattr(defaults, field.name)
        if isinstance(annotation, type) and is_dataclass(annotation) and annotation is not Identity:
            # A key that is absent means that nothing is signed, so the class has no default for it.
            yield from _settings(annotation, Signing(key="") if annotation is Signing else default, f"{path}.")
            continue
        flag = _FLAGS.get(path, f"--{path.replace('.', '-').replace('_', '-')}")
        yield Setting(
            path=path,
            flag=flag,
            variable=f"RECONCILE_{flag.removeprefix('--').replace('-', '_').upper()}",
            key=".".join(_camel(part) for part in path.split(".")),
            kind=_kind(path, annotation, default),
            meaning=_meaning(meanings.get(field.name, ""), hints[field.name]),
            default=default,
        )


def _meaning(said: str, annotation: Any) -> str:
    """A field's words for people: in the program durations are seconds, but nobody writes them so."""
    return said.replace("Seconds", "Time", 1) if annotation is float else said


def _plain(annotation: Any) -> Any:
    """What may stand there beside None."""
    if get_origin(annotation) is UnionType:
        return next(item for item in get_args(annotation) if item is not type(None))
    return annotation


def _kind(path: str, annotation: Any, default: Any) -> Kind:
    name = path.rpartition(".")[2]
    if path in _WORDS:
        return kinds.choice(_WORDS[path], default=default)
    if annotation is str:
        is_file = path not in _TEXTS and (name in _FILES or name.endswith("_file"))
        return kinds.FILE if is_file else kinds.TEXT
    if get_origin(annotation) is tuple:
        return kinds.LIST
    if path in _KEYS:
        return kinds.among(kinds.FILES, _KEYS[path])
    of_type = {float: kinds.DURATION, int: kinds.NUMBER, bool: kinds.SWITCH, Path: kinds.PATH, Identity: kinds.PERSON}
    return of_type[annotation]


def attributes(owner: type) -> Mapping[str, str]:
    """The `Attributes:` of a class's docstring."""
    _, _, listed = inspect.cleandoc(owner.__doc__ or "").partition("Attributes:\n")
    found: dict[str, str] = {}
    name = ""
    for line in listed.splitlines():
        if begun := _ATTRIBUTE.fullmatch(line):
            name = begun[1]
            found[name] = begun[2]
        elif name and line.strip():
            found[name] += f" {line.strip()}"
    return found


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
