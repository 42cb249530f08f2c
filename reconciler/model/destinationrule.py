"""DestinationRule: Istio's `networking/v1alpha3/destination_rule.proto`. What its traffic policies say is in `trafficpolicy`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from reconciler.model.spec import Labels, Spec
from reconciler.model.trafficpolicy import TrafficPolicy


class Subset(Spec):
    """The endpoints of a service that carry these labels.

    Attributes:
        name: What destinations call it.
        labels: What an endpoint must carry, all of them; none selects every endpoint.
        traffic_policy: Overrides the rule's policy block by block.
    """

    name: Annotated[str, Field(min_length=1)]
    labels: Labels = {}
    traffic_policy: TrafficPolicy | None = None


class RuleSelector(Spec):
    """Proxies by the labels of their workloads.

    Attributes:
        match_labels: All must be carried.
    """

    match_labels: Labels = {}


class DestinationRule(Spec):
    """What happens after routing: subsets, load balancing, connections and TLS of one host.

    Attributes:
        host: The service, by full name, short name or wildcard.
        traffic_policy: For all of the host's endpoints.
        subsets: Groups of endpoints that routes can name.
        export_to: Namespaces whose proxies see it: names, `.` (its own), `*` (all, the default), `~` (none).
        workload_selector: Only the proxies of its own namespace whose workloads carry these labels.
    """

    host: Annotated[str, Field(min_length=1)]
    traffic_policy: TrafficPolicy | None = None
    subsets: tuple[Subset, ...] = ()
    export_to: tuple[str, ...] = ()
    workload_selector: RuleSelector | None = None
