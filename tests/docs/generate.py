"""Writes the generated parts of the documentation anew: `python -m tests.docs.generate`.

A part stands between `<!-- generated: KIND NAME -->` and `<!-- end generated -->`; everything else is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from reconciler.compile.templates import TEMPLATES
from reconciler.policy.kinds import KINDS
from reconciler.settings import shipped
from tests.docs.advice import GROUPS
from tests.docs.becomes import BECOMES, REQUIRED
from tests.docs.codes import Entry, known
from tests.docs.fields import refused, rows

TOP = Path(__file__).resolve().parents[2]
GENERATED = (TOP / "docs" / "errors.md", TOP / "docs" / "policies.md")

_PART = re.compile(r"(<!-- generated: (\w+)(?: (\w+))? -->\n).*?(<!-- end generated -->)", re.DOTALL)


def current(text: str) -> str:
    """A page with its generated parts as they should be."""
    return _PART.sub(lambda match: f"{match[1]}{_part(match[2], match[3])}{match[4]}", text)


def _part(kind: str, name: str) -> str:
    match kind:
        case "errors":
            return _errors(name)
        case "fields":
            return _fields(name)
        case "templates":
            return _templates()
        case _:
            raise ValueError(f"there is no generated part {kind!r}")


def _errors(group: str) -> str:
    said = known()
    out = []
    for code, item in GROUPS[group].items():
        entry = item if isinstance(item, Entry) else Entry(item)
        source = said.get(code)
        meaning = entry.meaning or (source.meaning if source else "")
        kind = entry.kind or (source.kind if source else "")
        out.append((f"`{code}`", kind, _sentence(meaning), entry.advice))
    return _table(("code", "kind", "meaning", "what to do"), out)


def _fields(kind: str) -> str:
    _, spec = KINDS[kind]
    required, becomes = REQUIRED.get(kind, frozenset()), BECOMES[kind]
    found = [
        (f"`{row.path}`", row.type, "required" if row.path in required else row.default, row.meaning)
        + ((becomes.get(row.path, ""),) if becomes else ())
        for row in rows(spec)
    ]
    head = ("field", "type", "default", "meaning", *(("in Envoy",) if becomes else ()))
    return _table(head, found) + _refusals(dict(refused(spec)))


def _refusals(fields: dict[str, str]) -> str:
    if not fields:
        return ""
    by_reason: dict[str, list[str]] = {}
    for path, reason in fields.items():
        by_reason.setdefault(reason, []).append(f"`{path}`")
    said = "; ".join(f"{', '.join(paths)} ({reason})" for reason, paths in by_reason.items())
    return f"\nRefused by name, with `unsupported-field`: {said}.\n"


def _templates() -> str:
    out = []
    for name, template in sorted(TEMPLATES.items()):
        first = (shipped("envoy-templates") / name).read_text(encoding="utf-8").partition("\n")[0]
        decided = ", ".join(f"`{path}`" for path in template.decided) or "nothing"
        message = template.message.DESCRIPTOR.full_name
        out.append((f"`{name}`", _sentence(first.removeprefix("# ")), f"`{message}`", decided))
    return _table(("file", "what it is", "Envoy message", "set by the compiler"), out)


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    every = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(cell.replace("\n", " ") for cell in line) + " |" for line in every) + "\n"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def main() -> None:
    """Write every page anew."""
    for page in GENERATED:
        page.write_text(current(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
