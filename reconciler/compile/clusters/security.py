"""How connections to endpoints are secured: what of it a proxy's own certificates change, and what all proxies share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.config.core.v3.proxy_protocol_pb2 import ProxyProtocolConfig
from envoy.extensions.transport_sockets.proxy_protocol.v3.upstream_proxy_protocol_pb2 import (
    ProxyProtocolUpstreamTransport,
)
from envoy.extensions.transport_sockets.raw_buffer.v3.raw_buffer_pb2 import RawBuffer

from reconciler.compile.clusters.pools import Speech, options_of
from reconciler.compile.clusters.subject import Subject
from reconciler.compile.instances import own as own_of
from reconciler.compile.tls import Site, upstream
from reconciler.errors import Severity
from reconciler.model.hosts import is_address
from reconciler.model.origin import Finding
from reconciler.model.secrets import Certificate, Root
from reconciler.model.services import Service
from reconciler.model.trafficpolicy import ClientTLS, ClientTLSMode, ProxyProtocol, ProxyProtocolVersion

_PROXY_PROTOCOL = "envoy.transport_sockets.upstream_proxy_protocol"
_RAW = "envoy.transport_sockets.raw_buffer"
_APPLICATIONS = {Speech.PLAIN: (), Speech.HTTP2: ("h2",), Speech.AS_CLIENT: ("h2", "http/1.1")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """What a cluster asks of connections, before a proxy's own files are known.

    Attributes:
        sni: Server name to ask for where the policy names none and requests don't either.
        names: Of which the server's certificate must have one, where the policy names none.
        unnamed: What to say of a proxy that has no certificate of its own and needs one, or None.
    """

    tls: ClientTLS | None
    applications: tuple[str, ...] = ()
    sni: str = ""
    names: tuple[str, ...] = ()
    proxy_protocol: ProxyProtocol | None = None
    unnamed: Finding | None = None


def security(subject: Subject) -> Security | None:
    """What a cluster asks of connections, or None if it leaves them to the template."""
    policy = subject.policy
    if policy.tls is None and policy.proxy_protocol is None:
        return None
    tls = policy.tls
    if tls is None or tls.mode is ClientTLSMode.DISABLE:
        return Security(tls=tls, proxy_protocol=policy.proxy_protocol)
    own = tls.mode is ClientTLSMode.ISTIO_MUTUAL
    return Security(
        tls=tls,
        applications=_APPLICATIONS[options_of(subject).speech],
        sni=subject.ref.server_name if own else _server_name(subject),
        names=_identities(subject) if own else _expected(subject, tls),
        proxy_protocol=policy.proxy_protocol,
        unnamed=_unnamed(subject) if own else None,
    )


def _server_name(subject: Subject) -> str:
    """The service's host, where requests have none that Envoy could take (`auto_sni`)."""
    host = subject.ref.host
    return "" if subject.is_http or "*" in host or is_address(host) else host


def _expected(subject: Subject, tls: ClientTLS) -> tuple[str, ...]:
    """A ServiceEntry's names. For TCP that trusts every public CA, the server's own, or any certificate would do."""
    declared = subject.service.subject_alt_names if subject.service else ()
    public = not (tls.ca_certificates or tls.credential_name or tls.insecure_skip_verify)
    own = tls.sni or _server_name(subject)
    return declared or ((own,) if public and own and not subject.is_http else ())


def trusted(subject: Subject) -> frozenset[str] | None:
    """The service accounts that endpoints of a cluster may have; None if it does not matter which they have.

    An instance that comes up with another one has to wait for the cluster that trusts it: before that, every request to it fails.
    """
    service, tls = subject.service, subject.policy.tls
    if service is None or tls is None or tls.mode is not ClientTLSMode.ISTIO_MUTUAL:
        return None
    decided = tls.subject_alt_names or tls.insecure_skip_verify or not _identities(subject)
    return None if decided else _accounts(service)


def _identities(subject: Subject) -> tuple[str, ...]:
    """The identities of a service's endpoints, and the names of its ServiceEntry; none if any of the mesh will do, as in Istio."""
    service = subject.service
    if service is None:
        return ()
    own = {f"spiffe://{subject.domain}/ns/{service.namespace}/sa/{account}" for account in _accounts(service)}
    return tuple(sorted(own | set(service.subject_alt_names)))


def _accounts(service: Service) -> frozenset[str]:
    """Of endpoints that registries list, those that the service says: an instance by itself must not change a cluster."""
    return service.accounts | {endpoint.service_account for endpoint in own_of(service) if endpoint.service_account}


def _unnamed(subject: Subject) -> Finding:
    return subject.finding(
        code="no-certificate",
        message=f"connections to {subject.ref.host} stay in plain text on proxies that have no certificate of their own: "
        "ISTIO_MUTUAL needs one",
        block="tls",
        hint="name certificateChain, privateKey and rootCertificate in `certificates` of the Proxy or the Mesh",
        severity=Severity.WARNING,
    )


@dataclass(frozen=True, slots=True)
class Socketed:
    """A `TransportSocket`, or None for none at all, and what comes with it."""

    socket: Any
    secrets: frozenset[Certificate | Root] = frozenset()
    findings: tuple[Finding, ...] = ()


def socket(wanted: Security, site: Site, given: Any) -> Socketed:
    """The transport socket of a cluster on one proxy; `given` is the template's, or None."""
    secured = None
    if wanted.tls is not None:
        secured = upstream(wanted.tls, site=site, applications=wanted.applications, sni=wanted.sni, names=wanted.names)
    inner = secured.socket if secured else given if wanted.tls is None else None
    outer = _announced(inner, wanted.proxy_protocol) if wanted.proxy_protocol else inner
    missing = wanted.unnamed is not None and secured is None
    findings = (wanted.unnamed,) if missing and wanted.unnamed else ()
    return Socketed(outer, secured.secrets if secured else frozenset(), findings)


def _announced(inner: Any, settings: ProxyProtocol) -> Any:
    """A socket that tells who is calling before anything else is said."""
    if inner is None:
        inner = TransportSocket(name=_RAW)
        inner.typed_config.Pack(RawBuffer(), deterministic=True)
    version = ProxyProtocolConfig.V2 if settings.version is ProxyProtocolVersion.V2 else ProxyProtocolConfig.V1
    message = ProxyProtocolUpstreamTransport(transport_socket=inner)
    message.config.version = version
    outer = TransportSocket(name=_PROXY_PROTOCOL)
    outer.typed_config.Pack(message, deterministic=True)
    return outer
