from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.cli.configuration import table
from reconciler.model.discovery import KINDS as REGISTRIES
from reconciler.policy.kinds import KINDS
from tests.behaviour.contents import contents
from tests.docs.advice import GROUPS
from tests.docs.becomes import BECOMES, REQUIRED
from tests.docs.codes import COMPUTED, Entry, known
from tests.docs.emitted import computed, emitted
from tests.docs.fields import refused, rows
from tests.docs.generate import GENERATED, TOP, current
from tests.docs.istio import SIX
from tests.docs.istio_becomes import BECOMES as BECOMES_ISTIO


@pytest.mark.parametrize("page", GENERATED, ids=lambda page: page.name)
def test_a_page_says_what_the_source_says(page: Path) -> None:
    """The generated parts are current; `python -m tests.docs.generate` writes them anew."""
    text = page.read_text(encoding="utf-8")
    assert current(text) == text


def test_every_part_is_on_a_page() -> None:
    """No kind of document and no group of codes is left out of the documentation."""
    errors, policies, istio, behaviour, discovery, settings, operating, api = (
        page.read_text(encoding="utf-8") for page in GENERATED
    )
    assert [group for group in GROUPS if f"<!-- generated: errors {group} -->" not in errors] == []
    assert [kind for kind in KINDS if f"<!-- generated: fields {kind} -->" not in policies] == []
    assert "<!-- generated: templates -->" in policies
    assert [kind for kind in SIX if f"<!-- generated: istio {kind} -->" not in istio] == []
    assert [part for part in ("stricter", "warned", "instead") if f"<!-- generated: {part} -->" not in istio] == []
    assert "<!-- generated: behaviour -->" in behaviour
    assert [kind for kind in REGISTRIES if f"<!-- generated: registry {kind} -->" not in discovery] == []
    assert "<!-- generated: log -->" in operating
    assert "<!-- generated: api -->" in api
    sections = {item.key.partition(".")[0] if "." in item.key else "top" for item in table().values()}
    assert [name for name in sorted(sections) if f"<!-- generated: settings {name} -->" not in settings] == []


def test_every_code_that_can_be_said_is_documented_once() -> None:
    """A code that the source can give and the table lacks is missing; one that it can't give is dead."""
    documented = [code for group in GROUPS.values() for code in group]
    said = {*emitted(), *(code for codes in COMPUTED.values() for code in codes)}
    assert sorted(documented) == sorted(said)


def test_codes_that_are_put_together_are_known() -> None:
    """What is computed can't be read from the source, so every such place has its line."""
    assert computed() == sorted(COMPUTED)


def test_the_reader_of_codes_sees_every_form(tmp_path: Path) -> None:
    """All the ways in which a code stands in the source, each on a line of its own."""
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "module.py").write_text(
        "class A(E):\n    default_code = 'a-1'\n"
        "class B:\n    code: str = 'a-2'\n    def __init__(self, text, code): ...\n"
        "_CODE = 'a-3'\n"
        "code = 'a-4' if x else 'a-5'\n"
        "f(code='a-6')\n"
        "report.error('a-7', 'message')\n"
        "def g(name, code): ...\n"
        "g('not-a-code', 'a-8')\n"
        "B('text', 'a-9')\n"
        "def claims():\n    yield 'ref-1', ('x', 1)\n"
        "h(code=f'a-{n}')\n"
    )
    assert emitted(tmp_path) == {code: {"room"} for code in (*(f"a-{n}" for n in range(1, 10)), "ref-1")}
    assert computed(tmp_path) == ["f'a-{n}'"]


def test_every_code_has_a_meaning_a_kind_and_advice() -> None:
    """Readers learn what happened, whether it goes away by itself, and what to do."""
    source = known()
    for group in GROUPS.values():
        for code, item in group.items():
            entry = item if isinstance(item, Entry) else Entry(item)
            found = source.get(code)
            assert entry.advice.endswith("."), code
            assert entry.meaning or (found and found.meaning), code
            assert entry.kind or (found and found.kind), code


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_a_meaning(kind: str) -> None:
    """A field that users may write is explained in its model's docstring."""
    found = list(rows(KINDS[kind][1]))
    assert [row.path for row in found if not row.meaning] == []
    paths = {row.path for row in found}
    assert set(BECOMES.get(kind, {})) <= paths
    assert REQUIRED.get(kind, frozenset()) <= paths
    assert not paths & dict(refused(KINDS[kind][1])).keys()


def test_the_changelog_and_the_readme_name_every_kind() -> None:
    """What works today is said where people look first."""
    for name in ("README.md", "CHANGELOG.md"):
        text = (TOP / name).read_text(encoding="utf-8")
        assert [kind for kind in KINDS if kind not in text] == []


@pytest.mark.parametrize("page", sorted((TOP / "docs").glob("*.md")), ids=lambda page: page.name)
def test_tests_that_pages_point_at_exist(page: Path) -> None:
    """A claim with a test behind it names one that is there, and a row of the table that is in it."""
    text = page.read_text(encoding="utf-8")
    for path, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text):
        assert f"def {name}(" in (TOP / path).read_text(encoding="utf-8"), name
    rules = contents()
    for rule in re.findall(r'row "([^"]+)"', text):
        assert f"- {rule}\n" in rules, rule


def test_the_istio_page_shows_every_field_and_every_refusal() -> None:
    """Each field of the models is on a line, and each that is refused by name, exactly once."""
    page = (TOP / "docs" / "istio-api.md").read_text(encoding="utf-8")
    for kind, spec in SIX.items():
        part = page.partition(f"<!-- generated: istio {kind} -->")[2].partition("<!-- end generated -->")[0]
        wanted = [*BECOMES_ISTIO[kind], *(path for path, _ in refused(spec))]
        lines = [line.split("`")[1] for line in part.splitlines() if line.startswith("| `")]
        assert len(set(lines)) == len(lines)
        assert set(BECOMES_ISTIO[kind]) <= set(lines)
        assert set(lines) <= set(wanted)
    refusals = {path.rpartition(".")[2] for spec in SIX.values() for path, _ in refused(spec)}
    assert {line.split("`")[1].rpartition(".")[2] for line in page.splitlines() if "| **refused**" in line} == refusals
