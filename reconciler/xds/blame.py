"""Whom a NACK is about, by its words. Pure.

Envoy 1.40 writes `Error adding/updating cluster(s) NAME: why, OTHER: why` where several can be meant; the text form of the
first one that breaks a rule of its message, which begins with its name; and elsewhere a sentence with or without a name.
"""

from __future__ import annotations

import re

from reconciler.xds.sets import Entry

_TEXT_FORM = re.compile(r"\s*goo\.gle/debug\w+\s+(?:cluster_)?name:\s+\"(?P<name>[^\"\\]+)\"")
_WITH_REASON = r": "
_ANYWHERE = r"(?![\w|/-]|[.:]\w)"


def mentioned(words: str, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Those of these resources that the words name; as few as possible, since a name may be a word like any other."""
    form = _TEXT_FORM.match(words)
    if form is not None:
        found = tuple(entry for entry in entries if entry.resource.id.name == form["name"])
        if found:
            return found
    for ending in (_WITH_REASON, _ANYWHERE):
        found = tuple(entry for entry in entries if _stands(words, entry.resource.id.name, ending))
        if found:
            return found
    return ()


def _stands(words: str, name: str, ending: str) -> bool:
    return name in words and re.search(rf"(?<![\w|./-]){re.escape(name)}{ending}", words) is not None
