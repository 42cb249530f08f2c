"""Rules about several documents: what they refer to exists, is meant, and is claimed once.

Documents that failed to load are known by name as far as possible, so that one mistake gives one message.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model.mesh import Mesh
from reconciler.model.origin import Finding
from reconciler.policy.documents import Failed
from reconciler.policy.references.certificates import check_certificates
from reconciler.policy.references.claims import check_claims
from reconciler.policy.references.conflicts import check_conflicts
from reconciler.policy.references.destinationrules import check_destination_rules
from reconciler.policy.references.duplicates import check_duplicates
from reconciler.policy.references.gateways import check_gateways
from reconciler.policy.references.healthchecks import check_health_checks
from reconciler.policy.references.hosts import check_hosts
from reconciler.policy.references.index import Index
from reconciler.policy.references.ratelimits import check_rate_limits
from reconciler.policy.references.rollouts import check_rollouts
from reconciler.policy.references.routes import check_virtual_services
from reconciler.policy.references.runtime import check_runtime
from reconciler.policy.references.sidecars import check_sidecars
from reconciler.policy.references.sources import check_exports
from reconciler.policy.references.telemetry import check_telemetry
from reconciler.policy.references.workloads import check_workloads

__all__ = ["check_duplicates", "check_references"]


def check_references(mesh: Mesh, failed: Sequence[Failed], *, index: Index | None = None) -> list[Finding]:
    """Everything that one document says about others and that isn't so.

    Nothing is checked while a document is unreadable, or the Mesh document is wrong: its domain completes short names.

    Args:
        mesh: What was read.
        failed: What could not be read.
        index: Of these two, if the caller has it.
    """
    if any(item.kind in {"", "Mesh"} for item in failed):
        return []
    index = index or Index(mesh, failed)
    return [
        *check_virtual_services(index),
        *check_hosts(index),
        *check_claims(index),
        *check_conflicts(mesh.virtual_services, mesh.settings.domain),
        *check_destination_rules(index),
        *check_gateways(index),
        *check_certificates(index),
        *check_exports(index),
        *check_workloads(index),
        *check_sidecars(index),
        *check_rate_limits(index),
        *check_health_checks(index),
        *check_runtime(index),
        *check_rollouts(index),
        *check_telemetry(index),
    ]
