"""TLS contexts as gRPC takes them (gRFCs A29, A65, A82): certificates come from a provider that its bootstrap names, never by SDS.

The bootstrap has one provider, of the proxy's own certificate and root. A context that wants any other file, or checks anything
that gRPC doesn't, is not carried out at all: what secures a connection is never left out of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import TlsParameters
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext, UpstreamTlsContext

from reconciler.compile.tls import Site
from reconciler.model.secrets import Root

PROVIDER = "default"
"""The certificate provider of a gRPC bootstrap."""

_VERSIONS = TlsParameters(
    tls_minimum_protocol_version=TlsParameters.TLSv1_2, tls_maximum_protocol_version=TlsParameters.TLSv1_3
)
"""What gRPC speaks."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a context of Envoy's asks for: certificates and a root by the names of their secrets, and names to expect."""

    shown: tuple[str, ...]
    trusted: str
    names: tuple[Any, ...]


def upstream(socket: Any, site: Site) -> Any:
    """A `TransportSocket` towards endpoints, or None if gRPC can't secure connections in the same way.

    Args:
        socket: Envoy's.
        site: Whose it is.
    """
    given = UpstreamTlsContext()
    wanted = _wanted(given.common_tls_context) if socket.typed_config.Unpack(given) else None
    public = wanted is not None and wanted.trusted == site.public("").name
    if wanted is None or not _is_own(wanted.shown, site) or not (public or wanted.trusted == _root(site)):
        return None
    message = UpstreamTlsContext()
    _fill(message.common_tls_context, wanted)
    if public:
        validation = message.common_tls_context.validation_context
        validation.ClearField("ca_certificate_provider_instance")
        validation.system_root_certs.SetInParent()
    return _packed(socket.name, message)


def downstream(socket: Any, site: Site) -> Any:
    """A `TransportSocket` from clients, or None if gRPC can't secure connections in the same way."""
    given = DownstreamTlsContext()
    wanted = _wanted(given.common_tls_context) if socket.typed_config.Unpack(given) else None
    if wanted is None or not wanted.shown or not _is_own(wanted.shown, site):
        return None
    if wanted.trusted not in {"", _root(site)} or wanted.names:  # gRPC looks at names on the client's side only
        return None
    message = DownstreamTlsContext()
    _fill(message.common_tls_context, wanted)
    message.require_client_certificate.CopyFrom(given.require_client_certificate)
    return _packed(socket.name, message)


def _is_own(shown: tuple[str, ...], site: Site) -> bool:
    return not shown or (site.identity is not None and shown == (site.identity.name,))


def _root(site: Site) -> str:
    return Root(site.certificates.root_certificate, "").name if site.identity is not None else "-"


def _wanted(common: Any) -> _Wanted | None:
    """What a context asks for, or None if some of it is beyond gRPC."""
    if common.HasField("tls_params") and common.tls_params != _VERSIONS:
        return None
    shown = tuple(item.name for item in common.tls_certificate_sds_secret_configs)
    if not common.HasField("combined_validation_context"):
        return _Wanted(shown, common.validation_context_sds_secret_config.name, ())
    combined = common.combined_validation_context
    checks = combined.default_validation_context
    if any(field.name != "match_typed_subject_alt_names" for field, _ in checks.ListFields()):
        return None
    names = tuple(item.matcher for item in checks.match_typed_subject_alt_names)
    return _Wanted(shown, combined.validation_context_sds_secret_config.name, names)


def _fill(common: Any, wanted: _Wanted) -> None:
    if wanted.shown:
        common.tls_certificate_provider_instance.instance_name = PROVIDER
    if wanted.trusted:
        common.validation_context.ca_certificate_provider_instance.instance_name = PROVIDER
    for name in wanted.names:  # the older field is the one that gRPC reads
        common.validation_context.match_subject_alt_names.add().CopyFrom(name)


def _packed(name: str, message: Any) -> Any:
    out = TransportSocket(name=name)
    out.typed_config.Pack(message, deterministic=True)
    return out
