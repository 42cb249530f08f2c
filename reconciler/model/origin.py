"""Where a value came from. Lines and columns are looked up only when somebody has to read them."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.errors import Severity

FieldPath = tuple[str | int, ...]
"""Steps from a document's root to a value: `("spec", "http", 0, "route", 1, "weight")`."""


@dataclass(frozen=True, slots=True)
class Origin:
    """One YAML document of one file of one tree.

    Attributes:
        file: Path inside the repository, with `/`.
        document: Index of the document in its file, from 0.
    """

    file: str
    document: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A diagnostic before its line is known: pure rooms return these, `policy.locate` turns them into diagnostics.

    Attributes:
        origin: The document, or None where there is no place.
        path: The value inside the document; its nearest existing ancestor is pointed at.
        key: Point at the mapping key instead of at its value.
        awaits: A host, in full, that makes this void once a registry lists it; "" for what holds anyhow.
    """

    code: str
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR
    origin: Origin | None = None
    path: FieldPath = ()
    key: bool = False
    awaits: str = ""
