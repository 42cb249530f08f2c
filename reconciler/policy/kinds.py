"""Which kinds of documents there are, and what happens to the others: refused by name, or left alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from reconciler.errors import Severity
from reconciler.model.destinationrule import DestinationRule
from reconciler.model.gateway import Gateway
from reconciler.model.proxy import MeshSpec, Proxy
from reconciler.model.serviceentry import ServiceEntry, WorkloadEntry
from reconciler.model.sidecar import Sidecar
from reconciler.model.spec import Spec
from reconciler.model.virtualservice import VirtualService
from reconciler.policy.findings import close

ISTIO = "networking.istio.io"
OWN = "reconciler"

_VERSIONS: Mapping[str, tuple[str, ...]] = MappingProxyType({ISTIO: ("v1", "v1beta1", "v1alpha3"), OWN: ("v1alpha1",)})

KINDS: Mapping[str, tuple[str, type[Spec]]] = MappingProxyType(
    {
        "VirtualService": (ISTIO, VirtualService),
        "DestinationRule": (ISTIO, DestinationRule),
        "ServiceEntry": (ISTIO, ServiceEntry),
        "WorkloadEntry": (ISTIO, WorkloadEntry),
        "Gateway": (ISTIO, Gateway),
        "Sidecar": (ISTIO, Sidecar),
        "Mesh": (OWN, MeshSpec),
        "Proxy": (OWN, Proxy),
    }
)
"""Group and spec by kind."""

_PLANNED = frozenset({"Rollout", "AnalysisTemplate", "RateLimit"})
_TRAFFIC_GROUPS = ("gateway.networking.k8s.io", "gateway.networking.x-k8s.io")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotOurs:
    """Why a document is not read any further.

    Attributes:
        field: `apiVersion` or `kind`: what to point at.
    """

    code: str
    message: str
    hint: str = ""
    field: str = "kind"
    severity: Severity = Severity.ERROR


def classify(api_version: str, kind: str) -> type[Spec] | NotOurs:
    """The spec of a kind, or why it has none here."""
    group, _, version = api_version.rpartition("/")
    own_group, spec = KINDS.get(kind, ("", Spec))
    if own_group and group == own_group:
        if version in _VERSIONS[group]:
            return spec
        return _api_version(f"{kind} has no version {version or '(none)'}", group)
    if group.endswith("istio.io") or group == OWN:
        return _of_known_group(group, kind, own_group)
    if group in _TRAFFIC_GROUPS:
        message = f"{kind} of {group} (the Kubernetes Gateway API) is not supported"
        return NotOurs(
            code="unsupported-kind", message=message, hint="write it as a VirtualService and a Gateway of Istio"
        )
    if own_group or api_version == ISTIO:
        return _api_version(f"{kind} does not belong to apiVersion {api_version}", own_group or ISTIO)
    return _foreign(api_version, kind)


def _foreign(api_version: str, kind: str) -> NotOurs:
    if kind == "List" and api_version == "v1":
        message = "a List may hold traffic policies, and lists are not read"
        return NotOurs(
            code="unsupported-kind", message=message, hint="write each of its items as a document of its own"
        )
    message = f"{kind} ({api_version}) is not a traffic policy; it is left alone"
    hint = "keep other manifests outside of policies/"
    return NotOurs(code="skipped-kind", message=message, hint=hint, severity=Severity.WARNING)


def _of_known_group(group: str, kind: str, own_group: str) -> NotOurs:
    if own_group:
        return _api_version(f"{kind} does not belong to the group {group}", own_group)
    if kind in _PLANNED:
        return NotOurs(code="unsupported-kind", message=f"{kind} is not supported yet", hint="remove the document")
    near = close(kind, (name for name, (owner, _) in KINDS.items() if owner == group))
    if near or group == OWN:
        known = ", ".join(name for name, (owner, _) in KINDS.items() if owner == group)
        return NotOurs(code="unknown-kind", message=f"{group} has no kind {kind}", hint=near or f"it has {known}")
    return NotOurs(code="unsupported-kind", message=f"Istio's {kind} is not supported", hint="remove the document")


def _api_version(message: str, group: str) -> NotOurs:
    choices = ", ".join(f"{group}/{version}" for version in _VERSIONS[group])
    return NotOurs(code="api-version", message=message, hint=f"write one of: {choices}", field="apiVersion")
