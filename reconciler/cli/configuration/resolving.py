"""What is in force: flags before the environment, before the settings file, before the defaults; and the settings made of it.

Pure, given what each of them says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from reconciler.cli.configuration.table import Setting, table
from reconciler.errors import Diagnostic, UsageError
from reconciler.settings import DEFAULT_IDENTITY, AdsSettings, HttpSettings, Identity, Settings, Signing

if TYPE_CHECKING:
    from reconciler.cli.configuration.file import Found

T = TypeVar("T")

_Contradiction = tuple[tuple[str, ...], str, str]
"""Settings of which one is to blame, by their paths; what is wrong, with `{}` for it; a hint."""

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
    check(made, found)
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


def check(made: Settings, found: Mapping[str, InForce]) -> None:
    """Refuse what would be ignored, or can't be meant.

    Args:
        made: The settings.
        found: Where they come from, for the place that has to be mended.

    Raises:
        UsageError: Settings contradict each other; says the place in the settings file, if it is one.
    """
    for paths, message, hint in (*_of_streams(made.ads), *_of_http(made.http), *_of_others(made)):
        said = [item for path, item in found.items() if path in paths and item.value != item.setting.default]
        name, place = _named(said[0]) if said else (table()[paths[0]].flag, {})
        raise UsageError(diagnostics=[Diagnostic(code="usage", message=message.format(name), hint=hint, **place)])


def _named(item: InForce) -> tuple[str, dict[str, Any]]:
    """What whoever wrote a value calls its setting, and where it is in the file."""
    if item.source in {item.setting.flag, item.setting.variable}:
        return item.source, {}
    file, line, column = item.source.rsplit(":", 2)
    return item.setting.key, {"file": file, "line": int(line), "column": int(column)}


def _of_others(made: Settings) -> Iterator[_Contradiction]:
    if made.admin.key and not made.admin.certificate:
        yield ("admin.key",), "{} without --admin-cert", "name the certificate that the key belongs to"
    forge, ours = made.forge, _below("forge.", but="forge.kind")
    if forge.kind and not (forge.repository and forge.token_file):
        yield ("forge.kind",), "{} needs --forge-repository and --forge-token-file", ""
    if not forge.kind and (forge.repository or forge.api or forge.token_file):
        yield (
            ours,
            "{} and the other settings of the forge need --forge",
            "add --forge github, or forge.kind to the file",
        )


def _of_http(http: HttpSettings) -> Iterator[_Contradiction]:
    if not http.address and http != HttpSettings():
        hint = "add --http HOST:PORT, or http.address to the file"
        yield _below("http.", but="http.address"), "{} and the other settings of HTTP need --http", hint
    if http.key and not http.certificate:
        yield ("http.key",), "{} without --http-cert", "name the certificate that the key belongs to"
    if http.anonymous and not http.tokens:
        yield ("http.anonymous",), "{} without --http-tokens", "without tokens anybody may read as it is"


def _of_streams(ads: AdsSettings) -> Iterator[_Contradiction]:
    named = ads.identities != (DEFAULT_IDENTITY,)
    if not ads.address:
        if ads.certificate or ads.key or ads.client_ca or named or ads.plaintext:
            hint = "add --ads HOST:PORT, or ads.address to the file"
            yield _below("ads.", but="ads.address"), "{} and the other settings of ADS need --ads", hint
        return
    host, colon, port = ads.address.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > _LAST_PORT:
        shown = repr(ads.address).replace("{", "{{").replace("}", "}}")
        yield ("ads.address",), f"{{}} {shown} is not an address", "write it like 127.0.0.1:15010 or [::1]:15010"
    if named and not ads.client_ca:
        yield ("ads.identities",), "{} is about the proxies' certificates", "give --ads-ca, which asks for them"


def _below(prefix: str, *, but: str) -> tuple[str, ...]:
    return tuple(path for path in table() if path.startswith(prefix) and path != but)
