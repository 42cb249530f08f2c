"""What is in force: flags before the environment, before the settings file, before the defaults; and the settings made of it.

Pure, given what each of them says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from reconciler.cli.configuration.table import Setting, table
from reconciler.errors import UsageError
from reconciler.settings import DEFAULT_IDENTITY, HttpSettings, Identity, Settings, Signing

if TYPE_CHECKING:
    from reconciler.cli.configuration.file import Found

T = TypeVar("T")

DEFAULT = "default"
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """The value of one setting.

    Attributes:
        setting: Which.
        value: In its type.
        source: Where it comes from: the flag, the variable, the place in the file, or `default`.
    """

    setting: Setting
    value: Any
    source: str


def in_force(
    *, flags: Mapping[str, str], environ: Mapping[str, str], file: Mapping[str, Found] | None = None
) -> Mapping[str, InForce]:
    """Every setting by its path.

    Args:
        flags: What the command line says, by the path of the setting.
        environ: The environment. A variable that is empty says nothing.
        file: What the settings file says.

    Raises:
        UsageError: A value can't be read.
    """
    found, defaults = {}, Settings()
    for path, setting in table().items():
        if path in flags:
            found[path] = InForce(setting=setting, value=_read(setting, flags[path], setting.flag), source=setting.flag)
        elif environ.get(setting.variable):
            value = _read(setting, environ[setting.variable], setting.variable)
            found[path] = InForce(setting=setting, value=value, source=setting.variable)
        elif file and path in file:
            found[path] = InForce(setting=setting, value=file[path].value, source=file[path].place)
        else:
            found[path] = InForce(setting=setting, value=default_of(defaults, path), source=DEFAULT)
    return found


def default_of(defaults: Settings, path: str) -> Any:
    """A value of the settings that nobody changed; they depend on the environment, so they are made when they are asked for."""
    if path.startswith("git.signing."):
        return table()[path].default
    return attrgetter(path)(defaults)


def assembled(found: Mapping[str, InForce]) -> Settings:
    """The settings that these values make.

    Raises:
        UsageError: They contradict each other.
    """
    made = _assembled(Settings(), {path: item.value for path, item in found.items()}, "")
    check(made)
    return made


def _assembled(base: T, values: Mapping[str, Any], prefix: str) -> T:
    changed: dict[str, Any] = {}
    for field in fields(base):  # type: ignore[arg-type]  # a dataclass, which has no type of its own
        path, now = f"{prefix}{field.name}", getattr(base, field.name)
        if path == "git.signing":
            changed[field.name] = _signing(values)
        elif is_dataclass(now) and not isinstance(now, Identity):
            changed[field.name] = _assembled(now, values, f"{path}.")
        else:
            changed[field.name] = values[path]
    return replace(base, **changed)  # type: ignore[type-var]  # as above


def _signing(values: Mapping[str, Any]) -> Signing | None:
    key = values["git.signing.key"]
    return Signing(format=values["git.signing.format"], key=key) if key else None


def _read(setting: Setting, text: str, where: str) -> Any:
    try:
        return setting.kind.read(text)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from None


def check(made: Settings) -> None:
    """Refuse what would be ignored, or can't be meant.

    Raises:
        UsageError: Settings contradict each other.
    """
    if made.admin.key and not made.admin.certificate:
        raise UsageError("--admin-key without --admin-cert", hint="name the certificate that the key belongs to")
    _check_ads(made)
    http = made.http
    if not http.address and http != HttpSettings():
        raise UsageError("--http-cert and the other options of HTTP need --http", hint="add --http HOST:PORT")
    if http.key and not http.certificate:
        raise UsageError("--http-key without --http-cert", hint="name the certificate that the key belongs to")
    if http.anonymous and not http.tokens:
        raise UsageError("--http-anonymous without --http-tokens", hint="without tokens anybody may read as it is")
    forge = made.forge
    if forge.kind and not (forge.repository and forge.token_file):
        raise UsageError("--forge needs --forge-repository and --forge-token-file")
    if not forge.kind and (forge.repository or forge.api or forge.token_file):
        raise UsageError(
            "--forge-repository and the other options of the forge need --forge", hint="add --forge github"
        )


def _check_ads(made: Settings) -> None:
    ads = made.ads
    named = ads.identities != (DEFAULT_IDENTITY,)
    if not ads.address:
        if ads.certificate or ads.key or ads.client_ca or named or ads.plaintext:
            raise UsageError("--ads-cert and the other options of ADS need --ads", hint="add --ads HOST:PORT")
        return
    host, colon, port = ads.address.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > _LAST_PORT:
        raise UsageError(
            f"--ads {ads.address!r} is not an address", hint="write it like 127.0.0.1:15010 or [::1]:15010"
        )
    if named and not ads.client_ca:
        raise UsageError("--ads-identity is about the proxies' certificates", hint="give --ads-ca, which asks for them")
