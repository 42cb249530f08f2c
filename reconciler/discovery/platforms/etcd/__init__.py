"""etcd as a registry, in the layout that gRPC's own etcd naming has: `<prefix><service>/<instance>`, one key for an instance.

Why this one. Who registers services in etcd mostly does it by a library, and each library's keys are a service's name and then an
instance: `go.etcd.io/etcd/client/v3/naming/endpoints` (gRPC), go-zero (`<service>/<lease>`) and Kitex
(`kitex/registry-etcd/<service>/<address>`) differ in the value only, and all three are read (`reading`). Keys are tied to a lease which
the instance keeps alive, so one that dies is gone when its lease ends.

Not covered is Dubbo: it keeps URLs of providers under `/dubbo/<interface>/providers/`, percent-encoded in the key, one tree per
interface; since version 3 it registers applications, most often in Nacos or ZooKeeper. Neither are etcd 3.3 and older, whose gateway has
another path, nor etcd's old API, `/v2`.

How changes are noticed. All keys are listed at one revision, a page at a time, and watched from the next one: nothing is lost
between. A member that has lost the others goes on answering watches with silence, so while nothing happens it is asked, every ten
seconds, something that it can answer only together with them. When a member fails, the next one is listed and watched; when etcd
has compacted away the revision that is asked for, the same is done with the same member.

It speaks to etcd's JSON gateway rather than by gRPC: the same operations, and one client of HTTP for all registries.
"""

from __future__ import annotations

from reconciler.discovery.contract import Surroundings
from reconciler.discovery.platforms.etcd.adapter import EtcdAdapter
from reconciler.discovery.platforms.failures import speakable
from reconciler.model.discovery import Etcd

__all__ = ["EtcdAdapter", "build"]


def build(spec: Etcd, around: Surroundings) -> EtcdAdapter:
    """The adapter that a registry of kind `etcd` runs.

    Raises:
        ValueError: An address is none.
    """
    for address in spec.addresses:
        speakable(address)
    return EtcdAdapter(spec, around)
