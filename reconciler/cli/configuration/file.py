"""The settings file: YAML with the keys of the table, and every mistake in it with its line and column.

All mistakes of a file are found at once. What is wrong in it is never skipped: a key that nobody knows is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from reconciler.cli.configuration.table import Setting, table
from reconciler.errors import Diagnostic, InputError
from reconciler.yamldoc import Positions, load

MAX_BYTES = 1024 * 1024


class SettingsFileError(InputError):
    """The settings file can't be read, or isn't one document with a mapping."""

    default_code = "settings-file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A value of the file.

    Attributes:
        value: In its type.
        place: `FILE:LINE:COLUMN`.
    """

    value: Any
    place: str


def read_file(path: Path) -> Mapping[str, Found]:
    """The values of a settings file, by the path of their setting.

    Raises:
        SettingsFileError: It can't be read, or isn't a mapping; a key is unknown (`settings-key`), or a value is none that the
            setting takes (`settings-value`).
        YamlError: It is no YAML.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsFileError(f"{path} can't be read: {error.strerror}", hint="see --config") from error
    if len(text) > MAX_BYTES:
        raise SettingsFileError(f"{path} has more than {MAX_BYTES} bytes", hint="is it a settings file?")
    documents = [item for item in load(text, file=str(path)) if item is not None]
    if len(documents) > 1:
        raise SettingsFileError(f"{path} has {len(documents)} documents", hint="settings are one document")
    if documents and not isinstance(documents[0], dict):
        raise SettingsFileError(f"{path} is no mapping", hint="write it like `repo: /srv/policies`")
    reader = _Reader(path, Positions(text))
    found = dict(reader.values(documents[0] if documents else {}, ()))
    if reader.wrong:
        raise SettingsFileError(diagnostics=sorted(reader.wrong, key=Diagnostic.sort_key))
    return found


class _Reader:
    """Reads one document.

    Attributes:
        wrong: What is wrong with it.
    """

    def __init__(self, path: Path, positions: Positions) -> None:
        self._path = path
        self._positions = positions
        self._settings: Mapping[str, Setting] = {setting.key: setting for setting in table().values()}
        self._sections = frozenset(
            ".".join(key.split(".")[:depth]) for key in self._settings for depth in range(1, key.count(".") + 1)
        )
        self.wrong: list[Diagnostic] = []

    def values(self, section: Mapping[str, Any], at: tuple[str, ...]) -> Iterator[tuple[str, Found]]:
        for name, value in section.items():
            path = (*at, name)
            key = ".".join(path)
            if "." not in name and key in self._settings:
                yield from self._value(self._settings[key], value, path)
            elif "." not in name and key in self._sections:
                if isinstance(value, dict):
                    yield from self.values(value, path)
                elif value is not None:
                    self._complain("settings-value", f"{key} is a mapping of settings", "write its keys below it", path)
            else:
                self._unknown(key, at, path)

    def _value(self, setting: Setting, value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Found]]:
        line, column = self._positions.find(0, path)
        try:
            yield setting.path, Found(value=setting.kind.take(value), place=f"{self._path}:{line}:{column}")
        except ValueError as error:
            self._complain("settings-value", f"{setting.key}: {error}", f"it is a {setting.kind.words}", path)

    def _unknown(self, key: str, at: tuple[str, ...], path: tuple[str, ...]) -> None:
        inside = "".join(f"{part}." for part in at)
        known = {name.removeprefix(inside).partition(".")[0] for name in self._settings if name.startswith(inside)}
        near = get_close_matches(path[-1], sorted(known), n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
        self._complain("settings-key", f"{key} is no setting", hint, path, key=True)

    def _complain(self, code: str, message: str, hint: str, path: tuple[str, ...], *, key: bool = False) -> None:
        line, column = self._positions.find(0, path, key=key)
        self.wrong.append(
            Diagnostic(code=code, message=message, hint=hint, file=str(self._path), line=line, column=column)
        )
