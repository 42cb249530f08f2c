"""VirtualService: Istio's `networking/v1alpha3/virtual_service.proto`, as far as it is carried out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from reconciler.model.spec import Duration, PortNumber, Spec

MESH_GATEWAY = "mesh"
"""The gateway name that stands for all sidecars; the default of `gateways`."""


class StringMatch(Spec):
    """Exactly one of the three; a header matcher with none of them asks for presence.

    Attributes:
        exact: The whole text, case-sensitive.
        prefix: How the text begins.
        regex: RE2, Envoy's syntax; has to match the whole text.
    """

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None


class PortSelector(Spec):
    """A service port by its number.

    Attributes:
        number: The service's port, not the endpoints'.
    """

    number: PortNumber


class Destination(Spec):
    """Where requests go.

    Attributes:
        host: A service, by full or short name.
        subset: A subset of the host's DestinationRule.
        port: Needed only where the service has several ports and none is the listener's.
    """

    host: Annotated[str, Field(min_length=1)]
    subset: str = ""
    port: PortSelector | None = None


class RouteDestination(Spec):
    """One share of a split.

    Attributes:
        destination: Where this share goes.
        weight: Share relative to the others' sum; a single destination needs none.
    """

    refused: ClassVar[Mapping[str, str]] = {"headers": "header operations are not supported yet"}

    destination: Destination
    weight: int = 0


class HTTPMatch(Spec):
    """Conditions that must all hold.

    Attributes:
        name: Added to the rule's name in the Envoy route: `<rule>.<match>`.
        uri: On the path; a prefix is textual, as in Istio (`/a` includes `/ab`).
        headers: By lower-case header name.
    """

    refused: ClassVar[Mapping[str, str]] = dict.fromkeys(
        (
            "scheme", "method", "authority", "port", "sourceLabels", "sourceNamespace", "gateways", "queryParams",
            "ignoreUriCase", "withoutHeaders", "statPrefix",
        ),
        "this match condition is not supported yet",
    )  # fmt: skip

    name: str = ""
    uri: StringMatch | None = None
    headers: Mapping[str, StringMatch] = {}


class HTTPRetry(Spec):
    """How failed requests are repeated; Istio's default of 2 attempts holds where a route says nothing.

    Attributes:
        attempts: Repetitions after the first try; 0 turns retries off.
        per_try_timeout: For each try; the route's timeout holds for all of them together.
        retry_on: Envoy's and gRPC's retry conditions and status codes, comma-separated.
        backoff: Base interval between tries.
    """

    refused: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("retryRemoteLocalities", "retryIgnorePreviousHosts"), "not supported yet"
    )

    attempts: int = 0
    per_try_timeout: Duration | None = None
    retry_on: str = ""
    backoff: Duration | None = None


class HTTPRoute(Spec):
    """One rule: what it matches and where matching requests go.

    Attributes:
        name: Names the Envoy route; plans and runtime mappings refer to it.
        match: Alternatives; none matches everything.
        route: The split.
        timeout: For the whole request with its retries; none by default.
        retries: How failed requests are repeated; without it, as the template `route.yaml` says.
    """

    refused: ClassVar[Mapping[str, str]] = dict.fromkeys(
        (
            "redirect", "directResponse", "delegate", "rewrite", "fault", "mirror", "mirrors", "mirrorPercent",
            "mirrorPercentage", "corsPolicy", "headers",
        ),
        "not supported yet",
    )  # fmt: skip

    name: str = ""
    match: tuple[HTTPMatch, ...] = ()
    route: tuple[RouteDestination, ...] = ()
    timeout: Duration | None = None
    retries: HTTPRetry | None = None


class VirtualService(Spec):
    """Rules for requests to some hosts.

    Attributes:
        hosts: Full names, short names or wildcards.
        gateways: `mesh` (all sidecars, the default), or Gateways by `name` or `namespace/name`.
        http: In order; the first rule that matches is used.
    """

    refused: ClassVar[Mapping[str, str]] = dict.fromkeys(("tls", "tcp", "exportTo"), "not supported yet")

    hosts: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    http: tuple[HTTPRoute, ...] = ()
