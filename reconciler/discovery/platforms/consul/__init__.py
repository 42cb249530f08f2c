"""Consul as a registry: services from its catalog, instances from its health endpoints, by blocking queries.

How changes are noticed. Consul blocks per question, and an instance's health is in the answer for its service only. A blocking
query for each service, as Prometheus has it, is a connection for each service: an agent refuses a client's 201st
(`limits.http_max_conns_per_client`). `/v1/event` carries what applications send, not changes of the catalog. So two questions block
here, whatever the number of services:

- `/v1/health/state/any` has every check with its service and node. What differs from the answer before names the services whose
  instances came, went or changed health, at once; a check of a node names those that have instances there. Its cost grows with the
  number of checks (about 0.4 kB each), so the poll rests three times as long as an answer took to be worked off.
- `/v1/catalog/services` has all names with tags, and wakes at any registration. It names what is new, gone or tagged otherwise. An
  instance without a check, or one registered anew with another port, meta or weight, is somewhere among the others: all are asked for
  again, those first that changed lately, 250 a second and up to 200 at once.

What may have changed is asked for by `/v1/health/service/<name>` over a third connection that is kept open, which takes a local agent
well under a millisecond. Answers come from the leader (Consul's default consistency): with `stale`, a server that lags behind
could answer the second question with what was true before the first one woke.

What Consul's answers mean is said in `reading`. Not covered: namespaces, partitions and peers of Consul Enterprise, prepared queries,
and Consul's own mesh, whose proxies and gateways are left out.
"""

from __future__ import annotations

from reconciler.discovery.contract import Surroundings
from reconciler.discovery.platforms.consul.adapter import ConsulAdapter
from reconciler.discovery.platforms.failures import speakable
from reconciler.model.discovery import Consul

__all__ = ["ConsulAdapter", "build"]


def build(spec: Consul, around: Surroundings) -> ConsulAdapter:
    """The adapter that a registry of kind `consul` runs.

    Raises:
        ValueError: An address is none.
    """
    speakable(spec.address)
    return ConsulAdapter(spec, around)
