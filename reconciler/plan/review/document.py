"""A preview as JSON, from the job that computes it to the job that may write comments.

Reading believes nothing: the job that computes runs what the pull request says, so its document may be anything. What has not
exactly the form that is written here is refused, and sizes are bounded. Whose pull request it is, and where anything is linked to,
is not in it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from reconciler.errors import Diagnostic, InputError, Severity
from reconciler.plan.review.values import Detail, Remark, Review, RouteChange, Share, Verdict

SCHEMA_VERSION = 1
_ID = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"[0-9a-f]{64}|")
_ITEMS = 100_000
_TEXT = 100_000
_LARGEST = 10**9
_T = TypeVar("_T")
_KINDS = frozenset({"moved", "new", "gone"})


class DocumentError(InputError):
    """A preview's document is not one that `reconcile ci preview` of this version writes."""

    default_code = "ci-document"


def as_document(review: Review) -> dict[str, Any]:
    """The preview as JSON values."""
    document = asdict(review) | {"schema_version": SCHEMA_VERSION, "verdict": str(review.verdict)}
    for name in ("refused", "remarks"):
        document[name] = [
            {"diagnostic": item.diagnostic.as_json(), "proxies": list(item.proxies), "before": item.before}
            for item in getattr(review, name)
        ]
    return document


def from_document(document: Any) -> Review:
    """Read a preview that may come from anybody.

    Raises:
        DocumentError: It is none; names the field.
    """
    part = _Part(document, "the document")
    version = part.number("schema_version")
    if version != SCHEMA_VERSION:
        raise DocumentError(
            f"the preview has schema_version {version}, and {SCHEMA_VERSION} is read",
            hint="use the same version of the reconciler in both jobs",
        )
    verdict = part.text("verdict")
    if verdict not in set(Verdict):
        raise part.wrong("verdict")
    return Review(
        verdict=Verdict(verdict),
        base_ref=part.text("base_ref"),
        base=part.matching("base", re.compile(f"{_ID.pattern}|")),
        head=part.matching("head", _ID),
        headline=part.text("headline"),
        create=part.number("create"),
        update=part.number("update"),
        delete=part.number("delete"),
        touched=part.number("touched"),
        proxies=part.number("proxies"),
        routes=part.items("routes", _route),
        refused=part.items("refused", _remark),
        remarks=part.items("remarks", _remark),
        conflicts=part.texts("conflicts"),
        details=part.items("details", _detail),
        files=part.texts("files"),
        digest=part.matching("digest", _DIGEST),
        envoy=part.text("envoy"),
        version=part.text("version"),
        live=part.text("live"),
        unsigned=part.flag("unsigned"),
    )


def _route(part: _Part) -> RouteChange:
    kind = part.text("kind")
    if kind not in _KINDS:
        raise part.wrong("kind")
    return RouteChange(
        kind=kind,
        host=part.text("host"),
        service=part.text("service"),
        route=part.text("route"),
        shares=part.items("shares", _share),
        proxies=part.texts("proxies"),
    )


def _share(part: _Part) -> Share:
    return Share(part.text("destination"), part.share("before"), part.share("after"))


def _detail(part: _Part) -> Detail:
    return Detail(proxies=part.texts("proxies"), changes=part.number("changes"), lines=part.texts("lines"))


def _remark(part: _Part) -> Remark:
    said = _Part(part.value("diagnostic"), "diagnostic")
    severity = said.text("severity")
    if severity not in set(Severity):
        raise said.wrong("severity")
    found = Diagnostic(
        code=said.text("code"),
        message=said.text("message"),
        hint=said.text("hint"),
        severity=Severity(severity),
        file=said.text("file") if said.has("file") else None,
        line=said.number("line") if said.has("line") else None,
        column=said.number("column") if said.has("column") else None,
    )
    return Remark(diagnostic=found, proxies=part.texts("proxies"), before=part.flag("before"))


class _Part:
    """One object of the document."""

    def __init__(self, value: Any, name: str) -> None:
        if not isinstance(value, Mapping):
            raise DocumentError(f"{name} of the preview is not an object", hint=_HINT)
        self._value = value
        self._name = name

    def has(self, name: str) -> bool:
        return name in self._value

    def value(self, name: str) -> Any:
        return self._value.get(name)

    def wrong(self, name: str) -> DocumentError:
        return DocumentError(f"{name} in {self._name} of the preview is missing, or of another form", hint=_HINT)

    def text(self, name: str) -> str:
        found = self._value.get(name)
        if not isinstance(found, str) or len(found) > _TEXT:
            raise self.wrong(name)
        return found

    def matching(self, name: str, form: re.Pattern[str]) -> str:
        found = self.text(name)
        if not form.fullmatch(found):
            raise self.wrong(name)
        return found

    def number(self, name: str) -> int:
        found = self._value.get(name)
        if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found <= _LARGEST:
            raise self.wrong(name)
        return found

    def share(self, name: str) -> float:
        found = self._value.get(name)
        if not isinstance(found, int | float) or isinstance(found, bool) or not math.isfinite(found):
            raise self.wrong(name)
        return min(max(float(found), 0.0), 100.0)

    def flag(self, name: str) -> bool:
        found = self._value.get(name)
        if not isinstance(found, bool):
            raise self.wrong(name)
        return found

    def items(self, name: str, read: Callable[[_Part], _T]) -> tuple[_T, ...]:
        found = self._list(name)
        return tuple(read(_Part(item, name)) for item in found)

    def texts(self, name: str) -> tuple[str, ...]:
        found = self._list(name)
        if not all(isinstance(item, str) and len(item) <= _TEXT for item in found):
            raise self.wrong(name)
        return tuple(found)

    def _list(self, name: str) -> list[Any]:
        found = self._value.get(name)
        if not isinstance(found, list | tuple) or len(found) > _ITEMS:
            raise self.wrong(name)
        return list(found)


_HINT = "it is written by `reconcile ci preview`; use the same version in both jobs"
