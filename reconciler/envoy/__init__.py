"""Reading a live Envoy through its admin endpoint, in the same canonical form as what is compiled."""

from reconciler.envoy.admin import Admin
from reconciler.envoy.callers import hosts_seen
from reconciler.envoy.counters import Counters
from reconciler.envoy.failures import AdminError, RuntimeNotModifiableError, RuntimeValueError
from reconciler.envoy.normalise import Normaliser
from reconciler.envoy.readings import matches
from reconciler.envoy.runtime import LiveWeightedRoute

__all__ = [
    "Admin",
    "AdminError",
    "Counters",
    "LiveWeightedRoute",
    "Normaliser",
    "RuntimeNotModifiableError",
    "RuntimeValueError",
    "hosts_seen",
    "matches",
]
