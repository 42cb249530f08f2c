"""DestinationRule: Istio's `networking/v1alpha3/destination_rule.proto`, as far as it is carried out."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from reconciler.model.spec import Labels, Spec


class SimpleLB(StrEnum):
    """Load balancing policies; `UNSPECIFIED` and the old `LEAST_CONN` mean `LEAST_REQUEST`, Istio's default."""

    UNSPECIFIED = "UNSPECIFIED"
    LEAST_CONN = "LEAST_CONN"
    LEAST_REQUEST = "LEAST_REQUEST"
    ROUND_ROBIN = "ROUND_ROBIN"
    RANDOM = "RANDOM"


class LoadBalancer(Spec):
    """How endpoints are chosen.

    Attributes:
        simple: The policy; `LEAST_CONN` means `LEAST_REQUEST`, and `UNSPECIFIED` what the template `cluster.yaml` says.
    """

    refused: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("consistentHash", "localityLbSetting", "zoneAwareLbSetting", "warmupDurationSecs", "warmup"),
        "not supported yet",
    )

    simple: SimpleLB = SimpleLB.UNSPECIFIED


class TrafficPolicy(Spec):
    """Settings for the connections to a service or a subset of it.

    Attributes:
        load_balancer: How endpoints are chosen.
    """

    refused: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("connectionPool", "outlierDetection", "tls", "portLevelSettings", "tunnel", "proxyProtocol", "retryBudget"),
        "not supported yet",
    )

    load_balancer: LoadBalancer | None = None


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


class DestinationRule(Spec):
    """What happens after routing: subsets and load balancing of one host.

    Attributes:
        host: The service, by full name, short name or wildcard.
        traffic_policy: For all of the host's endpoints.
        subsets: Groups of endpoints that routes can name.
    """

    refused: ClassVar[Mapping[str, str]] = dict.fromkeys(("exportTo", "workloadSelector"), "not supported yet")

    host: Annotated[str, Field(min_length=1)]
    traffic_policy: TrafficPolicy | None = None
    subsets: tuple[Subset, ...] = ()
