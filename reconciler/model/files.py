"""Where each resource of a `files` proxy lies.

The one agreement between the compiler, which points Envoy at these paths, and the push, which writes them. Clusters and
listeners are one file each, because Envoy subscribes to the whole set. Every route configuration, every cluster's endpoints
and every secret are a file of their own: Envoy watches each by itself, and refuses a file that holds two.

Every file is a binary DiscoveryResponse whose `version_info` is the resource's own version in a file of one, and
`set_version` of its resources in `cds.pb` and `lds.pb`.
"""

from __future__ import annotations

from functools import lru_cache

from reconciler.errors import BugError
from reconciler.model.resource import ResourceId, ResourceType, content_hash

CLUSTERS = "cds.pb"
"""The file of all clusters, a DiscoveryResponse."""

LISTENERS = "lds.pb"
"""The file of all listeners, a DiscoveryResponse."""

ROUTES = "routes"
"""The folder of route configurations, one DiscoveryResponse with one resource in each file."""

ENDPOINTS = "endpoints"
"""The folder of load assignments, one DiscoveryResponse with one resource in each file."""

SECRETS = "secrets"
"""The folder of secrets, one DiscoveryResponse with one resource in each file; they name files and hold no key."""

SUFFIX = ".pb"
"""Envoy reads files of this name as binary protobufs, which costs it a tenth of the same in YAML."""

_SETS = {ResourceType.CLUSTER: CLUSTERS, ResourceType.LISTENER: LISTENERS}
_FOLDERS = {ResourceType.ROUTE: ROUTES, ResourceType.ENDPOINTS: ENDPOINTS, ResourceType.SECRET: SECRETS}
_LONGEST = 200
_KEPT = 160
_SHORTENED = "%~"


@lru_cache(maxsize=65_536)
def file_name(name: str) -> str:
    """A resource's name as a file name without its suffix; different names have different file names.

    Only what a file name can't hold is percent-encoded: `%` itself, `/`, NUL, and dots at the start, which would hide the
    file or leave the folder. A name of more than 200 bytes is cut and ends in `%~` and a hash, which no other name can
    end in. The result has at most 200 bytes, so that a temporary name beside it fits into the 255 that file systems allow.
    """
    encoded = name.replace("%", "%25").replace("/", "%2F").replace("\0", "%00")
    bare = encoded.lstrip(".")
    encoded = "%2E" * (len(encoded) - len(bare)) + bare
    if len(encoded.encode()) <= _LONGEST:
        return encoded
    kept = encoded.encode()[:_KEPT].decode(errors="ignore")
    return f"{kept}{_SHORTENED}{content_hash(name.encode())}"


def path_of(directory: str, resource: ResourceId) -> str:
    """The file that holds a resource, below a proxy's directory.

    Raises:
        BugError: A RUNTIME key, which is never in a file.
    """
    root = directory.rstrip("/")
    if resource.type in _SETS:
        return f"{root}/{_SETS[resource.type]}"
    if resource.type not in _FOLDERS:
        raise BugError(f"{resource} is not pushed by files")
    return f"{root}/{_FOLDERS[resource.type]}/{file_name(resource.name)}{SUFFIX}"
