"""Which kinds of documents there are, and what happens to the others: refused by name, or left alone."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from reconciler.errors import Severity
from reconciler.model.analysis import AnalysisTemplate
from reconciler.model.destinationrule import DestinationRule
from reconciler.model.gateway import Gateway
from reconciler.model.healthcheck import HealthCheck
from reconciler.model.proxy import MeshSpec, Proxy
from reconciler.model.ratelimit import RateLimit
from reconciler.model.rollout import Rollout
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
        "RateLimit": (OWN, RateLimit),
        "HealthCheck": (OWN, HealthCheck),
        "Rollout": (OWN, Rollout),
        "AnalysisTemplate": (OWN, AnalysisTemplate),
        "Mesh": (OWN, MeshSpec),
        "Proxy": (OWN, Proxy),
    }
)
"""Group and spec by kind."""

_TRAFFIC_GROUPS = ("gateway.networking.k8s.io", "gateway.networking.x-k8s.io")

INSTEAD: Mapping[str, str] = MappingProxyType(
    {
        "EnvoyFilter": "set what it patches in envoy-templates/; for rate limits write a RateLimit",
        "WasmPlugin": "add the filter to envoy-templates/http-connection-manager.yaml",
        "TrafficExtension": "add the filter to envoy-templates/http-connection-manager.yaml",
        "AuthorizationPolicy": "narrow who can ask with match, exportTo and a Gateway's MUTUAL; the rest is the application's",
        "PeerAuthentication": "ask for certificates with a Sidecar's ingress tls, and show them with a DestinationRule's",
        "RequestAuthentication": "have a service in front check the token, and put what counts into a header",
        "Telemetry": "say it in the Mesh's telemetry: metrics, accessLog, tracing",
        "ProxyConfig": "what it sets is in the bootstrap: `reconcile bootstrap` prints it, envoy-templates/ overrides it",
        "WorkloadGroup": "write a WorkloadEntry for each instance",
        "IstioOperator": "there is nothing to install; what holds for the whole mesh is in Mesh",
    }
)
"""What to use in place of Istio's other kinds."""

_SLIP = 0.85
"""How alike (0 to 1) the kind of a group that nobody knows is to one of ours, to be taken for it: `VirtualServce` is."""


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
        hint = "write it as a VirtualService and a Gateway of Istio"
        return NotOurs(code="unsupported-kind", message=message, hint=hint)
    if (own_group and _may_be_slip(group)) or api_version in {ISTIO, OWN}:
        return _api_version(f"{kind} does not belong to apiVersion {api_version}", own_group or ISTIO)
    return _foreign(api_version, kind)


def is_ours(api_version: str, kind: str) -> bool:
    """Whether half a header belongs to a policy: the other half is missing, and that is a mistake, or it is another's document."""
    group = api_version.rpartition("/")[0] or api_version
    return (bool(api_version) and (group.endswith("istio.io") or group == OWN or _near_group(group))) or bool(
        kind and (kind in KINDS or _near_kind(kind))
    )


def _may_be_slip(group: str) -> bool:
    """Whether one of our kinds was meant: other systems have a Gateway or a Proxy too, each of its own group."""
    return not group or _near_group(group)


def _near_group(group: str) -> bool:
    return bool(difflib.get_close_matches(group.lower(), (ISTIO, OWN), n=1, cutoff=_SLIP))


def _near_kind(kind: str) -> str:
    return next(iter(difflib.get_close_matches(kind, KINDS, n=1, cutoff=_SLIP)), "")


def _foreign(api_version: str, kind: str) -> NotOurs:
    if kind == "List" and api_version == "v1":
        message = "a List may hold traffic policies, and lists are not read"
        return NotOurs(
            code="unsupported-kind", message=message, hint="write each of its items as a document of its own"
        )
    if "/" not in api_version and _near_kind(kind):
        message = f"{api_version} has no kind {kind}"
        return NotOurs(code="unknown-kind", message=message, hint=f"did you mean {_near_kind(kind)}?")
    message = f"{kind} ({api_version}) is not a traffic policy; it is left alone"
    hint = "keep other manifests outside of policies/"
    return NotOurs(code="skipped-kind", message=message, hint=hint, severity=Severity.WARNING)


def _of_known_group(group: str, kind: str, own_group: str) -> NotOurs:
    if own_group:
        return _api_version(f"{kind} does not belong to the group {group}", own_group)
    if kind not in INSTEAD:
        near = close(kind, (name for name, (owner, _) in KINDS.items() if owner == group))
        if near or group == OWN:
            known = ", ".join(name for name, (owner, _) in KINDS.items() if owner == group)
            return NotOurs(code="unknown-kind", message=f"{group} has no kind {kind}", hint=near or f"it has {known}")
    hint = INSTEAD.get(kind, "remove the document")
    return NotOurs(code="unsupported-kind", message=f"Istio's {kind} is not supported", hint=hint)


def _api_version(message: str, group: str) -> NotOurs:
    choices = ", ".join(f"{group}/{version}" for version in _VERSIONS[group])
    return NotOurs(code="api-version", message=message, hint=f"write one of: {choices}", field="apiVersion")
