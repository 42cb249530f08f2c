"""Collecting what is wrong with one document, and looking up the lines once all is known."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from reconciler.errors import Diagnostic, Severity
from reconciler.model.origin import FieldPath, Finding, Origin
from reconciler.model.tree import Tree, TreeFile
from reconciler.yamldoc import Positions

_MANY = 1_000
"""Choices that are compared one by one with a word that is none of them: 20 microseconds each."""

_NEAR = 0.6
"""How alike two words are, from 0 to 1, of which one is probably meant as the other."""

LISTED = "if a registry lists it (`reconcile services` shows that), nothing is to do; otherwise add a ServiceEntry"
"""What to do about a host that no document declares and that a registry may list."""

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-."


class Report:
    """The findings of one document, in the order in which they were found. Paths are below `spec` unless `base` differs."""

    def __init__(self, origin: Origin, *, base: FieldPath = ("spec",)) -> None:
        self.origin = origin
        self.findings: list[Finding] = []
        self._base = base

    @property
    def failed(self) -> bool:
        """Whether any finding is an error."""
        return any(item.severity is Severity.ERROR for item in self.findings)

    def error(self, code: str, message: str, *path: str | int, hint: str = "", key: bool = False) -> None:
        """Note what makes the document unusable."""
        self._add(code, message, path, hint, Severity.ERROR, key=key)

    def warning(self, code: str, message: str, *path: str | int, hint: str = "", key: bool = False) -> None:
        """Note what is allowed and probably not meant."""
        self._add(code, message, path, hint, Severity.WARNING, key=key)

    def awaiting(self, host: str, code: str, message: str, *path: str | int, hint: str = "") -> None:
        """Note what is wrong unless a registry lists a host, which is in full."""
        self._add(code, message, path, hint, Severity.WARNING, key=False)
        self.findings[-1] = replace(self.findings[-1], awaits=host)

    def at(self, *base: str | int) -> Report:
        """The same report, with paths below another part of the document."""
        other = Report(self.origin, base=base)
        other.findings = self.findings
        return other

    def below(self, *steps: str | int) -> Report:
        """The same report, with paths below one of its own: for the check of a part that doesn't know where it stands."""
        return self.at(*self._base, *steps)

    def _add(self, code: str, message: str, path: FieldPath, hint: str, severity: Severity, *, key: bool) -> None:
        where = (*self._base, *path)
        self.findings.append(
            Finding(code=code, message=message, hint=hint, severity=severity, origin=self.origin, path=where, key=key)
        )


def show(path: FieldPath) -> str:
    """A path as people write it: `http[0].route[1].weight`."""
    out = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return out.removeprefix(".")


def close(word: str, choices: Iterable[str]) -> str:
    """A hint that names the choice somebody probably meant, or "" if none is near.

    Among very many choices only a single slip is recognised: a letter too many, too few, another, or two exchanged.
    """
    if isinstance(choices, Collection) and len(choices) > _MANY:
        near = sorted(item for item in _slips(word.lower()) if item in choices)
        return f"did you mean {near[0]}?" if near else ""
    likely = max(((_likeness(word.lower(), choice.lower()), choice) for choice in sorted(choices)), default=(0.0, ""))
    return f"did you mean {likely[1]}?" if likely[0] >= _NEAR else ""


def _likeness(word: str, choice: str) -> float:
    """From 0 to 1, without the ending that two host names share: every service of a namespace has that."""
    ours, theirs = word.split("."), choice.split(".")
    while min(len(ours), len(theirs)) > 1 and ours[-1] == theirs[-1]:
        ours.pop()
        theirs.pop()
    return difflib.SequenceMatcher(None, ".".join(theirs), ".".join(ours)).ratio()


def _slips(word: str) -> Iterator[str]:
    """Every word that is one slip away."""
    for at in range(len(word) + 1):
        head, tail = word[:at], word[at:]
        yield head + tail[1:]
        yield head + tail[1:2] + tail[:1] + tail[2:]
        for letter in _LETTERS:
            yield head + letter + tail
            yield head + letter + tail[1:]


def place(text: bytes, findings: Iterable[Finding]) -> list[Diagnostic]:
    """Findings of one file's documents as diagnostics."""
    positions: Positions | None = None
    out = []
    for finding in findings:
        positions = positions or Positions(text)
        origin = finding.origin
        line, column = positions.find(origin.document if origin else 0, finding.path, key=finding.key)
        out.append(_diagnostic(finding, origin.file if origin else None, line, column))
    return out


def locate(findings: Iterable[Finding], tree: Tree) -> tuple[Diagnostic, ...]:
    """Findings of any documents of a tree as diagnostics, in the order in which they are printed.

    A finding without a document, or whose file is not in the tree, keeps what is known of its place.
    """
    return Locator().locate(findings, tree)


class Locator:
    """Looks up the lines of findings, and remembers them for as long as they are found again in a file that stays as it is."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, dict[Finding, Diagnostic]]] = {}

    def locate(self, findings: Iterable[Finding], tree: Tree) -> tuple[Diagnostic, ...]:
        """As `locate`."""
        return tuple(sorted((item for _, item in self.pairs(findings, tree)), key=Diagnostic.sort_key))

    def pairs(self, findings: Iterable[Finding], tree: Tree) -> list[tuple[Finding, Diagnostic]]:
        """As `locate`, with the finding that each one is of, and in no order. What comes of registries alone has no place."""
        by_file: dict[str, list[Finding]] = {}
        out: list[tuple[Finding, Diagnostic]] = []
        for finding in findings:
            if finding.origin is None or not finding.origin.file:
                out.append((finding, _diagnostic(finding, None, None, None)))
            else:
                by_file.setdefault(finding.origin.file, []).append(finding)
        entries = _entries(by_file, tree)
        known: dict[str, tuple[str, dict[Finding, Diagnostic]]] = {}
        for path, items in by_file.items():
            entry = entries.get(path)
            if entry is None:
                out.extend((item, _diagnostic(item, path, None, None)) for item in items)
                continue
            found = self._placed(entry, items, tree)
            known[path] = (entry.blob, found)
            out.extend((item, found[item]) for item in items)
        self._known = known
        return out

    def _placed(self, entry: TreeFile, items: list[Finding], tree: Tree) -> dict[Finding, Diagnostic]:
        blob, found = self._known.get(entry.path, ("", {}))
        if blob == entry.blob and all(item in found for item in items):
            return found
        return dict(zip(items, place(tree.read(entry), items), strict=True))


def _entries(paths: Iterable[str], tree: Tree) -> dict[str, TreeFile]:
    """The files of these paths, as far as they are there; each folder is listed once."""
    folders = {path.rpartition("/")[0] for path in paths}
    return {entry.path: entry for folder in sorted(folders) for entry in tree.files(folder)}


def _diagnostic(finding: Finding, file: str | None, line: int | None, column: int | None) -> Diagnostic:
    return Diagnostic(
        code=finding.code,
        message=finding.message,
        severity=finding.severity,
        hint=finding.hint,
        file=file,
        line=line,
        column=column,
    )
