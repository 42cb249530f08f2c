"""What every document has around its spec: apiVersion, kind and metadata, as Kubernetes reads them.

`status` of Istio's kinds, and what a Kubernetes API server writes into `metadata` (`uid`, `resourceVersion`, ...), is accepted
and not read: it says what was, not what should be, and documents exported from a cluster carry it. `status` of a Rollout is
where its run stands, and is read as strictly as any spec.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from reconciler.errors import Severity
from reconciler.model.key import DEFAULT_NAMESPACE, Key
from reconciler.model.rollout import RolloutStatus
from reconciler.model.spec import Spec
from reconciler.policy.checks.formats import LABEL_HINT, NAME_HINT, is_label, is_name, label_problem
from reconciler.policy.findings import Report, close, show
from reconciler.policy.kinds import OWN, NotOurs, classify, is_ours

_TOP = ("apiVersion", "kind", "metadata", "spec", "status")
_META = ("name", "namespace", "labels", "annotations")
_WRITTEN_BY_SERVERS = frozenset({
    "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers", "generation", "managedFields",
    "ownerReferences", "resourceVersion", "selfLink", "uid",
})  # fmt: skip

_WALKS = "Rollout"
"""The kind whose status is read."""

_SLIP = 0.85
"""How alike (0 to 1) a key has to be to `apiVersion` or `kind` to be taken for it: `knd` and `apiversion` are, `version` is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Who a document is.

    Attributes:
        kind: "" if even that is unknown.
        key: None if it has no usable name.
        spec: None if the document is not read any further.
        skipped: It is none of ours, and that is no error.
        status: Of a Rollout.
    """

    kind: str = ""
    key: Key | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    spec: type[Spec] | None = None
    skipped: bool = False
    status: RolloutStatus | None = None


def read_header(document: Any, report: Report) -> Header:
    """Read everything but the spec; what is wrong goes to the report."""
    root = report.at()
    if isinstance(document, list) and not any(_is_policy(item) for item in document):
        return _skip("the document is a list, and no traffic policy is one; it is left alone", root)
    if not isinstance(document, dict):
        root.error("document", "a document must be a mapping with apiVersion, kind, metadata and spec")
        return Header()
    if _is_stranger(document):
        return _skip("the document has no apiVersion and kind of a traffic policy; it is left alone", root)
    api_version, kind = (_text(document, name, root) for name in ("apiVersion", "kind"))
    if not api_version or not kind:
        return Header()
    found = classify(api_version, kind)
    if isinstance(found, NotOurs):
        return _not_ours(found, root)
    own = api_version.startswith(f"{OWN}/")
    for name in document:
        if name not in _TOP or (own and kind != _WALKS and name == "status"):
            hint = close(name, _TOP[:4]) or "a document has apiVersion, kind, metadata and spec"
            root.error("unknown-field", f"there is no field {name} at the top of a document", name, hint=hint, key=True)
    key, labels = _metadata(document.get("metadata"), root)
    status = _status(document.get("status"), root) if kind == _WALKS else None
    return Header(kind=kind, key=key, labels=labels, spec=found, status=status)


def _status(value: Any, root: Report) -> RolloutStatus | None:
    if value is None:
        return None
    try:
        return RolloutStatus.model_validate_json(json.dumps(value), by_alias=True, by_name=False)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ("status", *first["loc"])
        said = "there is no such field" if first["type"] == "extra_forbidden" else first["msg"].lower()
        message = f"{show(path)}: {said}; the reconciler writes status, in the commit that moves the weight"
        hint = "write what its last commit to this file says (`git log -p`), or remove status to begin the run anew"
        root.error("rollout-status", message, *path, hint=hint, key=first["type"] == "extra_forbidden")
        return None


def _skip(message: str, root: Report) -> Header:
    root.warning("skipped-kind", message, hint="keep other files outside of policies/")
    return Header(skipped=True)


def _is_policy(item: Any) -> bool:
    return isinstance(item, dict) and is_ours(str(item.get("apiVersion") or ""), str(item.get("kind") or ""))


def _is_stranger(document: dict[str, Any]) -> bool:
    """Whether a document without apiVersion or kind is somebody else's: values of a chart, a workflow, a list of steps.

    It is not if what it has of them is ours, if a key looks like one of them, or if it has both of a document's parts.
    """
    api_version, kind = document.get("apiVersion"), document.get("kind")
    if api_version and kind:
        return False
    if is_ours(str(api_version or ""), str(kind or "")):
        return False
    if not api_version and not kind and {"metadata", "spec"}.issubset(document):
        return False
    return not any(
        difflib.get_close_matches(name.lower(), ("apiversion", "kind"), n=1, cutoff=_SLIP)
        for name in document
        if name not in {"apiVersion", "kind"}
    )


def _text(document: dict[str, Any], name: str, root: Report) -> str:
    value = document.get(name)
    code = "api-version" if name == "apiVersion" else "unknown-kind"
    if value is None or value == "":
        root.error(code, f"{name} is missing", name, hint="a document begins with apiVersion and kind")
    elif not isinstance(value, str):
        root.error("type", f"{name} must be text", name)
        return ""
    return value or ""


def _not_ours(found: NotOurs, root: Report) -> Header:
    if found.severity is Severity.WARNING:
        root.warning(found.code, found.message, found.field, hint=found.hint)
        return Header(skipped=True)
    root.error(found.code, found.message, found.field, hint=found.hint)
    return Header(skipped=found.code == "unsupported-kind")


def _metadata(value: Any, root: Report) -> tuple[Key | None, Mapping[str, str]]:
    if not isinstance(value, dict):
        root.error("missing-field" if value is None else "type", "metadata must be a mapping with a name", "metadata")
        return None, {}
    for name in value:
        if name not in _META and name not in _WRITTEN_BY_SERVERS:
            hint = close(name, _META) or f"metadata has {', '.join(_META)}"
            root.error("unknown-field", f"there is no field metadata.{name}", "metadata", name, hint=hint, key=True)
    labels = _strings(value, "labels", root)
    for label, text in labels.items():
        problem = label_problem(label, text)
        if problem:
            root.error("label", problem, "metadata", "labels", label, hint=LABEL_HINT)
    _strings(value, "annotations", root)
    return _key(value, root), labels


def _strings(metadata: dict[str, Any], name: str, root: Report) -> dict[str, str]:
    value = metadata.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        root.error("type", f"metadata.{name} must be a mapping", "metadata", name)
        return {}
    for item, text in value.items():
        if not isinstance(text, str):
            root.error("type", f"metadata.{name}.{item} must be text", "metadata", name, item, hint="quote it")
    return {item: text for item, text in value.items() if isinstance(text, str)}


def _key(metadata: dict[str, Any], root: Report) -> Key | None:
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if name is None or name == "":
        root.error("missing-field", "metadata.name is required", "metadata", "name", hint=NAME_HINT)
        return None
    problems = []
    for field_name, value, valid in (("name", name, is_name), ("namespace", namespace, is_label)):
        if value is None:
            continue
        if not isinstance(value, str):
            problems.append(field_name)
            root.error("type", f"metadata.{field_name} must be text", "metadata", field_name, hint="quote it")
        elif not valid(value):
            problems.append(field_name)
            root.error("name", f"{value!r} is not a valid {field_name}", "metadata", field_name, hint=NAME_HINT)
    return None if problems else Key(namespace or DEFAULT_NAMESPACE, name)
