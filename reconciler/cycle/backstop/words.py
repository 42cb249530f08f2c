"""Which value of a document Envoy's words speak of: the one whose text they repeat, or the field that they name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from reconciler.envoy.validation import constraint_path
from reconciler.model.origin import FieldPath

_SHORTEST = 2
"""Single characters stand in any text by chance."""


_UNIX = "unix://"
"""Said in policies, and never by Envoy."""


def at(value: Any, path: FieldPath) -> Any:
    """The value at a path, or an empty mapping if there is none."""
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return {}
    return value


def spoken(value: Any, path: FieldPath, words: str) -> FieldPath | None:
    """The path of what is spoken of in a value that stands at `path`, or None.

    The field that a complaint about a constraint names, in either spelling; otherwise the longest text that is repeated.
    """
    for name in reversed(constraint_path(words)):
        spellings = {name, _camel(name)}
        found = [inner for inner, _ in _fields(value, path) if inner[-1] in spellings]
        if found:
            return found[0]
    repeated = [(len(text), inner) for inner, text in _fields(value, path) if _repeats(words, text)]
    return max(repeated, key=lambda item: item[0])[1] if repeated else None


def texts(value: Any) -> Iterator[str]:
    """Every key and every scalar in a value that is long enough not to be found by chance."""
    for path, inner in _fields(value, ()):
        yield from (str(item) for item in (path[-1], inner) if item is not None and len(str(item)) > _SHORTEST)


def _repeats(words: str, text: Any) -> bool:
    if not isinstance(text, str) or len(text) < _SHORTEST:
        return False
    text = text.removeprefix(_UNIX)
    return re.search(rf"(?<![\w.-]){re.escape(text)}(?![\w-])", words) is not None


def _fields(value: Any, path: FieldPath) -> Iterator[tuple[FieldPath, Any]]:
    """Everything inside, outer before inner: its path, and its value if it is a scalar."""
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = [*value.items()]
    elif isinstance(value, list):
        items = [*enumerate(value)]
    for step, inner in items:
        nested = isinstance(inner, dict | list)
        yield (*path, step), None if nested else inner
        yield from _fields(inner, (*path, step))


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
