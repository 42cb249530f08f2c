"""Clusters and their endpoints: a service port, or a subset of it, as a CDS resource, and an EDS one where we know the addresses.

Everything that a proxy's certificates and files don't change is built once for all proxies that see a service alike.
"""

from reconciler.compile.clusters.assembly import Built, Clusters
from reconciler.compile.clusters.pools import speaks_http2, with_http2

__all__ = ["Built", "Clusters", "speaks_http2", "with_http2"]
