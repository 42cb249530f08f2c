"""The ADS server: what each proxy is to have, the streams it is sent on, and what it says about it. The only room that knows gRPC.

Knows Envoy's resources and the protocol; nothing of policies, of Git or of admin endpoints. `server.AdsServer`
is imported from its module: gRPC takes its time to load, and most commands don't serve.
"""

from reconciler.xds.moving import Fresh, unchanged
from reconciler.xds.plane import Plane
from reconciler.xds.state import Announcement, Hold, NodeState, Refreshed

__all__ = ["Announcement", "Fresh", "Hold", "NodeState", "Plane", "Refreshed", "unchanged"]
