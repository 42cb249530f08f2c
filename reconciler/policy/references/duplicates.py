"""What two documents claim, and only one can have. Istio keeps one of them and drops the other silently; here both are named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from reconciler.model.mesh import Policy
from reconciler.model.origin import FieldPath, Finding

Claim = tuple[str, tuple[str, object], Policy[Any], FieldPath, str]
"""Code, what is claimed, by whom, at which path, and in words."""

_HINT = "keep one of the two; files that are meant one at a time belong in folders of their own"


def check_duplicates(documents: Iterable[Policy[Any]]) -> list[Finding]:
    """A finding at every document whose claim another makes too, naming the first of the others."""
    claims: dict[tuple[str, tuple[str, object]], list[Claim]] = {}
    ordered = sorted(documents, key=lambda policy: (policy.origin.file, policy.origin.document))
    for policy in ordered:
        for claim in _claims(policy):
            claims.setdefault(claim[:2], []).append(claim)
    out: list[Finding] = []
    for group in claims.values():
        origins = {claim[2].origin for claim in group}
        if len(origins) > 1:
            out.extend(_finding(claim, group) for claim in group)
    return out


def _finding(claim: Claim, group: list[Claim]) -> Finding:
    code, _, policy, path, words = claim
    other = next(item[2] for item in group if item[2].origin != policy.origin)
    where = f"{other.kind} {other.key.short()} in {other.origin.file}"
    if other.origin.file == policy.origin.file:
        where += f", document {other.origin.document + 1}"
    return Finding(code=code, message=f"{words} {where}", hint=_HINT, origin=policy.origin, path=path)


def _claims(policy: Policy[Any]) -> Iterator[Claim]:
    if policy.kind == "Mesh":
        yield "ref-duplicate", ("Mesh", None), policy, ("metadata", "name"), "there is another Mesh document:"
        return
    words = f"there is another {policy.kind} {policy.key.short()}:"
    yield "ref-duplicate", (policy.kind, policy.key), policy, ("metadata", "name"), words
    match policy.kind:
        case "Sidecar":
            selector = policy.spec.workload_selector
            labels = tuple(sorted(selector.labels.items())) if selector else ()
            words = (
                "the same workloads have another Sidecar:" if labels else "this namespace has another default Sidecar:"
            )
            yield "ref-duplicate-sidecar", (policy.key.namespace, labels), policy, ("spec", "workloadSelector"), words
        case "Proxy":
            yield from _proxy(policy)
        case _:
            return


def _proxy(policy: Policy[Any]) -> Iterator[Claim]:
    address = policy.spec.admin.removesuffix("/").lower()
    words = "another proxy has this admin address:"
    if address:
        yield "ref-duplicate-proxy", ("admin", address), policy, ("spec", "admin"), words
    if policy.spec.push.files is not None:
        directory = "/".join(part for part in policy.spec.push.files.directory.split("/") if part)
        path = ("spec", "push", "files", "directory")
        yield "ref-duplicate-proxy", ("directory", directory), policy, path, "another proxy has this directory:"
