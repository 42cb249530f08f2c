"""Writes the generated parts of the documentation anew: `python -m tests.docs.generate`.

A part stands between `<!-- generated: KIND NAME -->` and `<!-- end generated -->`; everything else is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from reconciler.cli.configuration import Setting, table
from reconciler.compile.templates import TEMPLATES
from reconciler.daemon import FACTS
from reconciler.model.discovery import Protection, Registry
from reconciler.model.spec import Spec
from reconciler.policy.kinds import INSTEAD, KINDS
from reconciler.settings import shipped
from tests.behaviour.contents import contents
from tests.docs import api, istio_becomes
from tests.docs.advice import GROUPS
from tests.docs.becomes import BECOMES, REQUIRED
from tests.docs.codes import Entry, known
from tests.docs.fields import Row, inner, refused, rows
from tests.docs.istio import SIX
from tests.docs.verdicts import STRICTER, WARNED

TOP = Path(__file__).resolve().parents[2]
GENERATED = tuple(
    TOP / "docs" / f"{name}.md"
    for name in ("errors", "policies", "istio-api", "behaviour", "discovery", "settings", "operating", "api")
)

_BY_DEFAULT = re.compile(r"(?:^|[;:,.] )((?:[^;:,.()]|[,.](?! ))+) by default|(`[^` ]+`) \((?:[^()]*, )?the default\)")
_PART = re.compile(r"(<!-- generated: (\w+)(?: (\w+))? -->\n).*?(<!-- end generated -->)", re.DOTALL)


def current(text: str) -> str:
    """A page with its generated parts as they should be."""
    return _PART.sub(lambda match: f"{match[1]}{_part(match[2], match[3])}{match[4]}", text)


def _part(kind: str, name: str) -> str:
    if kind not in _PARTS:
        raise ValueError(f"there is no generated part {kind!r}")
    return _PARTS[kind](name)


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
    required, becomes = REQUIRED.get(kind, frozenset()), BECOMES.get(kind, {})
    found = [
        (f"`{row.path}`", row.type, "required" if row.path in required else row.default, row.meaning)
        + ((becomes.get(row.path, ""),) if becomes else ())
        for row in rows(spec)
    ]
    head = ("field", "type", "default", "meaning", *(("in Envoy",) if becomes else ()))
    return _table(head, found) + _refusals(dict(refused(spec)))


def _registry(kind: str) -> str:
    """What `Mesh.discovery` takes: `common` to all kinds, their `protection`, or of one kind."""
    if kind == "common":
        found = [row for row in rows(Registry) if row.path in {"name", "networks", "protection"}]
    else:
        spec = Protection if kind == "protection" else inner(Registry.model_fields[kind].annotation)
        assert spec is not None
        found = [*rows(spec)]
    return _table(
        ("field", "type", "default", "meaning"),
        [(f"`{row.path}`", row.type, row.default, row.meaning) for row in found],
    )


def _istio(kind: str) -> str:
    """Every field of a kind, in the order of the models, with those that are refused at their place's end."""
    shown = _shown_before(kind)
    lines = istio_becomes.BECOMES[kind]
    required = REQUIRED.get(kind, frozenset())
    found = [
        (
            f"`{row.path}`",
            "required" if row.path in required else _default(row),
            _repeated(row.meaning, lines[row.path]),
        )
        for row in rows(SIX[kind], shown)
    ]
    found += [(f"`{path}`", "", f"**refused**: {reason}") for path, reason in _refused_once(kind)]
    return _table(("field", "default", "in Envoy"), found)


def _default(row: Row) -> str:
    """What holds where a field is left out: as its meaning says, or else as its type does."""
    said = _BY_DEFAULT.search(row.meaning)
    if said and row.default != "required":
        return said[1] or said[2]
    return "" if row.default == "`0`" else row.default


def _shown_before(kind: str) -> dict[type[Spec], str]:
    """What the kinds above this one have shown."""
    shown: dict[type[Spec], str] = {}
    for above in list(SIX)[: list(SIX).index(kind)]:
        before = set(shown)
        list(rows(SIX[above], shown))
        shown |= {spec: f"{above}: {path}" for spec, path in shown.items() if spec not in before and path not in KINDS}
    return shown


def _refused_once(kind: str) -> Iterable[tuple[str, str]]:
    known = frozenset(_shown_before(kind)) | frozenset(spec for _, spec in KINDS.values())
    return refused(SIX[kind], known=known)


def _repeated(meaning: str, text: str) -> str:
    """What a field becomes, and where the fields inside it are."""
    _, found, where = meaning.partition("; fields as in ")
    return f"{text}; fields as in {where.removesuffix('.')}" if found else text


def _stricter() -> str:
    """The differences in verdict, by kind."""
    return _table(
        ("kind", "refused", "why", "code"),
        [(item.kind or "all", item.what, _sentence(item.why), f"`{item.code}`") for item in STRICTER],
    )


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


def _settings_of(section: str) -> str:
    """The settings of one section, or those that are in none."""
    inside = [
        item
        for item in table().values()
        if item.key.partition(".")[0] == section or (section == "top" and "." not in item.key)
    ]
    return _table(
        ("key", "flag", "variable", "type", "default", "meaning"),
        [
            (f"`{item.key}`", f"`{item.flag}`", f"`{item.variable}`", item.kind.words, _initial(item), item.meaning)
            for item in inside
        ],
    )


def _initial(item: Setting) -> str:
    """The default of a setting, as it would be written; where the environment decides, in words."""
    if item.path == "git.cache":
        return "`envoy-reconciler` in `$XDG_CACHE_HOME` or `~/.cache`"
    value = item.kind.write(item.default)
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "" if value in ("", None, [], {}) else f"`{' '.join(value) if isinstance(value, list) else value}`"


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    every = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(cell.replace("\n", " ") for cell in line) + " |" for line in every) + "\n"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


_PARTS: Mapping[str, Callable[[str], str]] = {
    "errors": _errors,
    "fields": _fields,
    "registry": _registry,
    "settings": _settings_of,
    "log": lambda _: _table(("field", "meaning"), [(f"`{name}`", _sentence(text)) for name, text in FACTS.items()]),
    "templates": lambda _: _templates(),
    "istio": _istio,
    "stricter": lambda _: _stricter(),
    "warned": lambda _: _table(("code", "what"), [(f"`{code}`", _sentence(text)) for code, text in WARNED]),
    "instead": lambda _: _table(
        ("kind", "instead"), [(f"`{kind}`", _sentence(text)) for kind, text in sorted(INSTEAD.items())]
    ),
    "api": lambda _: f"{api.reference()}\n",
    "behaviour": lambda _: f"\n{contents().strip()}\n\n",
}
"""What writes each kind of part, by its name."""


def main() -> None:
    """Write every page anew."""
    for page in GENERATED:
        page.write_text(current(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
