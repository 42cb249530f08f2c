"""From one file's bytes to its policies and all of its diagnostics; what other documents say has no influence here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reconciler.errors import Diagnostic
from reconciler.model.key import DEFAULT_NAMESPACE, Key
from reconciler.model.mesh import Policy
from reconciler.model.origin import Finding, Origin
from reconciler.policy.checks import check
from reconciler.policy.fields import read_spec
from reconciler.policy.findings import Report, place
from reconciler.policy.header import Header, read_header
from reconciler.yamldoc import Broken, read


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
    """What one file holds. Depends on nothing but its path and bytes, so it can be cached under them."""

    policies: tuple[Policy[Any], ...] = ()
    failed: tuple[Failed, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()


def read_file(text: bytes, *, file: str) -> FileResult:
    """Read every document of a file; a broken one does not hide the others."""
    policies: list[Policy[Any]] = []
    failed: list[Failed] = []
    diagnostics: list[Diagnostic] = []
    findings: list[Finding] = []
    for index, document in enumerate(read(text, file=file)):
        if isinstance(document, Broken):
            diagnostics.append(document.diagnostic)
            failed.append(Failed())
        elif document is not None:
            report = Report(Origin(file, index))
            outcome = _read_document(document, report)
            findings.extend(report.findings)
            if isinstance(outcome, Failed):
                failed.append(outcome)
            elif outcome is not None:
                policies.append(outcome)
    diagnostics.extend(place(text, findings))
    return FileResult(policies=tuple(policies), failed=tuple(failed), diagnostics=tuple(diagnostics))


def _read_document(document: Any, report: Report) -> Policy[Any] | Failed | None:
    header = read_header(document, report)
    if header.spec is None:
        return None if header.skipped else Failed()
    value = document.get("spec")
    spec = read_spec(header.spec, value, report)
    if spec is None or header.key is None:
        return _failed(header, value)
    policy = Policy(header.kind, header.key, spec, report.origin, dict(header.labels))
    check(policy, report)
    return _failed(header, value) if report.failed else policy


def _failed(header: Header, value: Any) -> Failed:
    return Failed(kind=header.kind, key=header.key, spec=value)
