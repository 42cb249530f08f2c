from __future__ import annotations

import re

import pytest

from tests.docs.effects import by_field, touched
from tests.docs.fields import rows
from tests.docs.istio import SIX
from tests.docs.istio_becomes import BECOMES

_CODE = re.compile(r"`([^`]+)`")
_PATH = re.compile(r"[a-z][a-z0-9_]*(\[\])?(\.[a-z][a-z0-9_]*(\[\])?)*")
_WORDS = frozenset({"host", "tls"})
"""What stands in code and is a field of ours or a header, not of Envoy."""


def envoy_fields(text: str) -> set[str]:
    """The last names of the paths in a text."""
    paths = [path for path in _CODE.findall(text) if _PATH.fullmatch(path) and path not in _WORDS]
    return {path.replace("[]", "").rpartition(".")[2] for path in paths if not path.startswith("envoy.")}


@pytest.mark.parametrize("kind", SIX)
def test_every_field_has_a_line(kind: str) -> None:
    """Readers find what becomes of each field, and nothing of fields that are not there."""
    known: dict[type, str] = {}
    found = [(name, row.path) for name, spec in SIX.items() for row in rows(spec, known)]
    assert sorted(BECOMES[kind]) == sorted(path for name, path in found if name == kind)


SAID = [
    (kind, path)
    for kind, lines in BECOMES.items()
    for path, text in lines.items()
    if (kind, path) in by_field() and envoy_fields(text)
]


@pytest.mark.parametrize(("kind", "path"), SAID)
def test_a_field_becomes_what_the_table_says(kind: str, path: str) -> None:
    """Every Envoy field that the table names differs in some mesh when the field is left out."""
    missing = envoy_fields(BECOMES[kind][path])
    for use in by_field()[kind, path]:
        for found in touched(use):
            missing -= found
            if not missing:
                return
    assert missing == set()


def test_most_fields_are_looked_at() -> None:
    """If paths were not recognised, the test above would prove nothing."""
    assert len(SAID) > 120
    assert envoy_fields("`route.cluster`; `a[].b[]` of `HttpProtocolOptions`, `outbound|1`") == {"cluster", "b"}
