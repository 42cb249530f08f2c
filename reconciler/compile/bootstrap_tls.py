"""TLS for what a bootstrap itself defines: towards the daemon, and from whoever observes the proxy.

Envoy reads certificates that stand in a static cluster or listener once, at its start (tried on 1.40: `watched_directory` changes
nothing there). One that comes by SDS is read anew when it is replaced, and SDS can come from a file. So the bootstrap refers to two
small files of ours beside it, and those name the certificates. They hold no secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.config.core.v3.config_source_pb2 import ApiVersion
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import TlsParameters
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext, UpstreamTlsContext
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse

from reconciler.compile.tls import expect_names
from reconciler.model.hosts import is_address
from reconciler.model.protos import to_dict
from reconciler.model.proxy import Certificates
from reconciler.model.secrets import Certificate, Root

CERTIFICATE = "bootstrap-certificate"
AUTHORITY = "bootstrap-authority"
"""Names of the two secrets: not those of a proxy's view, or stats and dumps would mix them up."""

_TLS = "envoy.transport_sockets.tls"
_V3 = ApiVersion.Value("V3")
_FIELDS = {
    "certificate_chain": "certificateChain",
    "private_key": "privateKey",
    "root_certificate": "rootCertificate",
}


def missing(certificates: Certificates) -> tuple[str, ...]:
    """Fields that mutual TLS needs and no document names, as they are written."""
    return tuple(written for name, written in _FIELDS.items() if not getattr(certificates, name))


def secret_files(certificates: Certificates, folder: str) -> Mapping[str, dict[str, Any]]:
    """The files that the contexts refer to: path on the proxy's host to a DiscoveryResponse, as JSON-like values."""
    own = Certificate(certificates.certificate_chain, certificates.private_key).message()
    root = Root(certificates.root_certificate).message()
    own.name, root.name = CERTIFICATE, AUTHORITY
    found: dict[str, dict[str, Any]] = {}
    for secret in (own, root):
        response = DiscoveryResponse(version_info="1")
        response.resources.add().Pack(secret, deterministic=True)
        found[_path(folder, secret.name)] = to_dict(response)
    return found


def towards(name: str, folder: str) -> TransportSocket:
    """Mutual TLS with a server whose certificate is for this DNS name or IP address."""
    context = UpstreamTlsContext(sni="" if is_address(name) else name)
    context.common_tls_context.alpn_protocols.append("h2")  # without it a gRPC server hangs up
    _fill(context.common_tls_context, folder, (name,))
    return _socket(context)


def facing(clients: Iterable[str], folder: str) -> TransportSocket:
    """Mutual TLS with clients that have a certificate of the root, and for one of these names if there are any."""
    context = DownstreamTlsContext()
    context.require_client_certificate.value = True
    context.disable_stateless_session_resumption = True  # a resumed session would outlive the certificate it began with
    context.disable_stateful_session_resumption = True
    _fill(context.common_tls_context, folder, clients)
    return _socket(context)


def _fill(common: Any, folder: str, names: Iterable[str]) -> None:
    common.tls_params.tls_minimum_protocol_version = TlsParameters.TLSv1_2
    common.tls_params.tls_maximum_protocol_version = TlsParameters.TLSv1_3
    _refer(common.tls_certificate_sds_secret_configs.add(), CERTIFICATE, folder)
    combined = common.combined_validation_context
    combined.default_validation_context.SetInParent()
    expect_names(combined.default_validation_context, names)
    _refer(combined.validation_context_sds_secret_config, AUTHORITY, folder)


def _refer(config: Any, name: str, folder: str) -> None:
    config.name = name
    config.sds_config.resource_api_version = _V3
    config.sds_config.path_config_source.path = _path(folder, name)
    config.sds_config.initial_fetch_timeout.SetInParent()


def _path(folder: str, name: str) -> str:
    return f"{folder}/{name}.json"


def _socket(context: Any) -> TransportSocket:
    socket = TransportSocket(name=_TLS)
    socket.typed_config.Pack(context, deterministic=True)
    return socket
