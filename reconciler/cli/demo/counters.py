"""What the counters of all Envoys say, read at their admin endpoints: requests that were answered, and updates that were taken."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping

from reconciler.http import HttpClient
from reconciler.settings import AdminSettings

_STATS = "/stats?type=Counters&usedonly&format=json&filter="
_ANSWERED = r"^cluster\.(out|in)bound.*\.upstream_rq_200$"
_UPDATED = r"^(http\..*\.rds\..*|cluster\.(out|in)bound.*)\.update_success$"
_SAME_AGAIN = (".external", ".internal")
"""Of each request Envoy also counts where it came from."""

Counts = Counter[tuple[str, str]]
"""By proxy and what is counted."""


def answered(admins: Mapping[str, str]) -> Counts:
    """Requests that were answered with 200 so far, by cluster.

    Args:
        admins: Addresses of the admin endpoints, by proxy.

    Raises:
        HttpError: One does not answer.
    """
    counts = _counts(admins, _ANSWERED, "cluster.", ".upstream_rq_200")
    return Counter({(proxy, name): value for (proxy, name), value in counts.items() if not name.endswith(_SAME_AGAIN)})


def updated(admins: Mapping[str, str]) -> Counts:
    """Route configurations and endpoints of clusters that were taken so far, by the subscription they came on.

    Sets of clusters and listeners are left out: on a new stream Envoy counts an answer without a change too.

    Raises:
        HttpError: One does not answer.
    """
    return _counts(admins, _UPDATED, "", ".update_success")


def _counts(admins: Mapping[str, str], pattern: str, prefix: str, suffix: str) -> Counts:
    counts: Counts = Counter()
    for proxy, admin in admins.items():
        with HttpClient(admin, AdminSettings()) as client:
            for item in json.loads(client.get(_STATS + pattern).body)["stats"]:
                counts[proxy, item["name"].removeprefix(prefix).removesuffix(suffix)] = int(item["value"])
    return counts
