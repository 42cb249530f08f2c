"""Rules about one document alone, one module a kind: what its fields' types can't say. Istio's verdicts, where it has one.

Each check takes a document whose spec is well typed and notes what it finds in the report; none looks at other documents.
"""

from __future__ import annotations

from typing import Any

from reconciler.model.analysis import AnalysisTemplate
from reconciler.model.destinationrule import DestinationRule
from reconciler.model.gateway import Gateway
from reconciler.model.healthcheck import HealthCheck
from reconciler.model.mesh import Policy
from reconciler.model.proxy import MeshSpec, Proxy
from reconciler.model.ratelimit import RateLimit
from reconciler.model.rollout import Rollout
from reconciler.model.serviceentry import ServiceEntry, WorkloadEntry
from reconciler.model.sidecar import Sidecar
from reconciler.model.virtualservice import VirtualService
from reconciler.policy.checks.analysis import check_template
from reconciler.policy.checks.destinationrule import check_destination_rule
from reconciler.policy.checks.gateway import check_gateway
from reconciler.policy.checks.healthcheck import check_health_check
from reconciler.policy.checks.proxy import check_mesh, check_proxy
from reconciler.policy.checks.ratelimit import check_rate_limit
from reconciler.policy.checks.rollout import check_rollout
from reconciler.policy.checks.serviceentry import check_service_entry, check_workload_entry
from reconciler.policy.checks.sidecar import check_sidecar
from reconciler.policy.checks.virtualservice import check_virtual_service
from reconciler.policy.findings import Report


def check(policy: Policy[Any], report: Report, written: Any = None) -> None:
    """Run the rules of the document's kind; `written` is its spec as it was parsed."""
    match policy.spec:
        case VirtualService() as spec:
            check_virtual_service(spec, policy.key.namespace, report)
        case DestinationRule() as spec:
            check_destination_rule(spec, policy.key.namespace, report)
        case ServiceEntry() as spec:
            check_service_entry(spec, policy.key.namespace, report)
        case WorkloadEntry() as spec:
            check_workload_entry(spec, report)
        case Gateway() as spec:
            check_gateway(spec, policy.key.name, report)
        case Sidecar() as spec:
            check_sidecar(spec, policy.key.namespace, report)
        case _:
            _check_own(policy, report, written)


def _check_own(policy: Policy[Any], report: Report, written: Any) -> None:
    """The kinds that are not Istio's."""
    match policy.spec:
        case RateLimit() as spec:
            check_rate_limit(spec, report)
        case HealthCheck() as spec:
            check_health_check(spec, report)
        case Rollout() as spec:
            check_rollout(spec, written, report)
        case AnalysisTemplate() as spec:
            check_template(spec, report)
        case Proxy() as spec:
            check_proxy(spec, report)
        case MeshSpec() as spec:
            check_mesh(spec, report)
        case _:
            raise NotImplementedError(policy.kind)
