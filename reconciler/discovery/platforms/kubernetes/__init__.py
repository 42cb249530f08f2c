"""The registry `kubernetes`, and what else is read from a cluster.

`adapter` puts together what a `reflector` for each resource tells; `api` asks, with the credentials of `access`; `records` keeps
of each object what matters, and `cluster` makes services of that. The official client is imported only when it is used.
"""

from reconciler.discovery.platforms.kubernetes.adapter import ExtraError, KubernetesAdapter, build
from reconciler.discovery.platforms.kubernetes.api import Patience

__all__ = ["ExtraError", "KubernetesAdapter", "Patience", "build"]
