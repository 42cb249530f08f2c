"""From one file's bytes to its policies and all of its diagnostics; what other documents say has no influence here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

from reconciler.errors import Diagnostic
from reconciler.model.key import DEFAULT_NAMESPACE, Key
from reconciler.model.mesh import Policy
from reconciler.model.origin import Finding, Origin
from reconciler.policy.checks import check
from reconciler.policy.fields import read_spec
from reconciler.policy.findings import Report, place
from reconciler.policy.header import Header, read_header
from reconciler.yamldoc import Broken, pieces, read

Piece = tuple[int, bytes]
"""A document's index in its file, and the hash of its text."""

LARGE = 32 * 1024
"""Bytes from which on a file's documents are remembered one by one: it takes 10 ms to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A document with errors, as far as it can be told what it would have been.

    References to it are not reported: they may be right once it is mended.

    Attributes:
        kind: "" if unknown.
        key: None if it has no readable name.
        spec: As it was parsed, unchecked.
    """

    kind: str = ""
    key: Key | None = None
    spec: Any = None

    @property
    def namespace(self) -> str:
        """Where its short names would be resolved."""
        return self.key.namespace if self.key else DEFAULT_NAMESPACE


@dataclass(frozen=True, slots=True, kw_only=True)
class FileResult:
    """What one file holds. Depends on nothing but its path and bytes, so it can be cached under them.

    Attributes:
        pieces: Of a large file, the documents without a fault, by index and the hash of their text.
    """

    policies: tuple[Policy[Any], ...] = ()
    failed: tuple[Failed, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    pieces: Mapping[Piece, Policy[Any]] = field(default_factory=dict, compare=False, repr=False)


def read_file(text: bytes, *, file: str, before: FileResult | None = None, large: int = LARGE) -> FileResult:
    """Read every document of a file; a broken one does not hide the others.

    Args:
        text: The whole file.
        file: Its path.
        before: What a file of this path held at another time. Of a large file, documents that are as they were are taken from
            there; that changes what reading costs, and nothing of what comes out.
        large: Bytes from which on a file is large.
    """
    reading = _Reading(text, file)
    if len(text) < large or not reading.in_pieces(before.pieces if before else {}):
        reading = _Reading(text, file)
        for index, document in enumerate(read(text, file=file)):
            reading.document(index, document)
    return reading.result()


class _Reading:
    """What has been read of one file."""

    def __init__(self, text: bytes, file: str) -> None:
        self._text, self._file = text, file
        self._policies: list[Policy[Any]] = []
        self._failed: list[Failed] = []
        self._diagnostics: list[Diagnostic] = []
        self._findings: list[Finding] = []
        self._pieces: dict[Piece, Policy[Any]] = {}

    def in_pieces(self, known: Mapping[Piece, Policy[Any]]) -> bool:
        """Read each piece of the text by itself; False if they are not one good document each, and nothing is to be used."""
        if (
            b"\n..." in self._text or b"\r..." in self._text
        ):  # another end of documents, which the two parsers of YAML don't see alike
            return False
        index = 0
        for number, piece in enumerate(pieces(self._text)):
            key = (index, blake2b(piece, digest_size=16).digest())
            policy = known.get(key)
            if policy is None:
                documents = read(piece, file=self._file)
                if not documents and not number:
                    continue  # comments before the first document
                if len(documents) != 1 or isinstance(documents[0], Broken):
                    return False
                policy = self.document(index, documents[0])
            else:
                self._policies.append(policy)
            if policy is not None:
                self._pieces[key] = policy
            index += 1
        return True

    def document(self, index: int, document: Any) -> Policy[Any] | None:
        """Take in a document as it was parsed: the policy, if there is nothing to be said about it."""
        if isinstance(document, Broken):
            self._diagnostics.append(document.diagnostic)
            self._failed.append(Failed())
        elif document is not None:
            report = Report(Origin(self._file, index))
            outcome = _read_document(document, report)
            self._findings.extend(report.findings)
            if isinstance(outcome, Failed):
                self._failed.append(outcome)
            elif outcome is not None:
                self._policies.append(outcome)
                return None if report.findings else outcome
        return None

    def result(self) -> FileResult:
        """What the file comes to."""
        return FileResult(
            policies=tuple(self._policies),
            failed=tuple(self._failed),
            diagnostics=(*self._diagnostics, *place(self._text, _once(self._findings))),
            pieces=self._pieces,
        )


def _once(findings: Iterable[Finding]) -> list[Finding]:
    """Findings, with those of foreign documents of one kind said once for the file: twenty Deployments are one thing to know."""
    out: list[Finding] = []
    skipped: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.code != "skipped-kind" or skipped.setdefault(finding.message, [finding]) == [finding]:
            out.append(finding)
        else:
            skipped[finding.message].append(finding)
    return [_counted(item, len(skipped.get(item.message, ())) if item.code == "skipped-kind" else 1) for item in out]


def _counted(finding: Finding, times: int) -> Finding:
    if times < 2:  # noqa: PLR2004 -- itself
        return finding
    others = "so is 1 more document" if times == 2 else f"so are {times - 1} more documents"  # noqa: PLR2004 -- as above
    return replace(finding, message=f"{finding.message}, and {others} of this file")


def _read_document(document: Any, report: Report) -> Policy[Any] | Failed | None:
    header = read_header(document, report)
    if header.spec is None:
        return None if header.skipped else Failed()
    value = document.get("spec")
    spec = read_spec(header.spec, value, report)
    if spec is None or header.key is None:
        return _failed(header, value)
    policy = Policy(header.kind, header.key, spec, report.origin, dict(header.labels), header.status)
    check(policy, report, value)
    return _failed(header, value) if report.failed else policy


def _failed(header: Header, value: Any) -> Failed:
    return Failed(kind=header.kind, key=header.key, spec=value)
