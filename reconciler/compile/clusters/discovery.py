"""How the endpoints of a cluster are found: a ServiceEntry's `resolution`, and what PASSTHROUGH makes of it.

Resolution NONE and PASSTHROUGH mean "where the caller was going". A sidecar to which iptables redirects connections asks the
kernel. Any other proxy was called by an address of its own, so it does what the caller would have done without it: it looks
the service's host up in DNS. For a wildcard host it looks up what each request asks for, by `Host` or by TLS server name;
for a wildcard host of plain TCP nothing says where a connection should go.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto

from reconciler.compile.clusters.subject import Subject
from reconciler.errors import Severity
from reconciler.model.origin import Finding
from reconciler.model.serviceentry import Resolution
from reconciler.model.services import Service
from reconciler.model.trafficpolicy import SimpleLB

UNIX = "unix://"
"""What addresses of Unix sockets begin with."""


class Discovery(Enum):
    """Where a cluster's endpoints come from.

    PUSHED: from us, by EDS. NAMES: all addresses of each endpoint's name. FIRST_NAME: any one address of a single name.
    ORIGINAL: where the caller was going. ASKED: the host that each request asks for. NOWHERE: there are none.
    """

    PUSHED = auto()
    NAMES = auto()
    FIRST_NAME = auto()
    ORIGINAL = auto()
    ASKED = auto()
    NOWHERE = auto()

    @property
    def balances(self) -> bool:
        """Whether Envoy has endpoints to choose from."""
        return self not in {Discovery.ORIGINAL, Discovery.ASKED}


def discovery(subject: Subject) -> Discovery:
    """How the endpoints of a cluster are found."""
    if subject.service is None or subject.port is None:
        return Discovery.PUSHED
    if subject.redirected and (_passes_through(subject) or subject.service.resolution is Resolution.NONE):
        return Discovery.ORIGINAL
    return _resolved(subject, subject.service)


def _resolved(subject: Subject, service: Service) -> Discovery:
    resolution = service.resolution
    if resolution is Resolution.STATIC:
        return Discovery.PUSHED
    listed = lists(service)
    if "*" in service.host and not listed:
        looked_up = resolution in {Resolution.NONE, Resolution.DYNAMIC_DNS} and not subject.labels
        return Discovery.ASKED if looked_up and _says_where(subject) else Discovery.NOWHERE
    if not subject.endpoints() if listed else subject.labels or subject.labels is None:
        return Discovery.NOWHERE
    return Discovery.FIRST_NAME if resolution is Resolution.DNS_ROUND_ROBIN else Discovery.NAMES


def lists(service: Service) -> bool:
    """Whether a service has endpoints that are used; with resolution NONE they are not."""
    return bool(service.endpoints) and service.resolution is not Resolution.NONE


def _says_where(subject: Subject) -> bool:
    port = subject.port
    return port is not None and (port.protocol.is_http or port.protocol.is_tls)


def _passes_through(subject: Subject) -> bool:
    balancer = subject.policy.load_balancer
    return balancer is not None and balancer.simple is SimpleLB.PASSTHROUGH


def complaints(subject: Subject) -> Iterator[Finding]:
    """What a proxy can't do because nothing redirects connections to it."""
    if subject.redirected or subject.service is None or subject.port is None:
        return
    if _passes_through(subject):
        gateway = subject.viewer.gateway
        yield subject.finding(
            code="needs-interception",
            message=f"PASSTHROUGH can't work for {subject.ref.host} "
            + ("on a gateway: it is called by its own address" if gateway else "without interception"),
            block="load_balancer",
            hint="gateways choose among the endpoints instead; say so with another `simple` for their namespace"
            if gateway
            else "choose another `simple`, or set `interception: REDIRECT` in the Mesh and let iptables redirect connections",
            severity=Severity.WARNING if gateway else Severity.ERROR,
        )
    unknown = subject.service.resolution in {Resolution.NONE, Resolution.DYNAMIC_DNS} and "*" in subject.ref.host
    if unknown and not lists(subject.service) and not _says_where(subject):
        yield Finding(
            code="needs-interception",
            message=f"nothing says where connections to {subject.ref.host}:{subject.ref.port} are going: "
            f"{subject.port.protocol} has no host in it, and nothing redirects connections to this proxy",
            hint="write hosts without a wildcard, or use HTTP or TLS as the port's protocol",
            severity=Severity.WARNING,
            origin=subject.service.origin,
            path=("spec", "resolution"),
        )
