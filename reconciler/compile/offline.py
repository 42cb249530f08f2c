"""A view without the outside: what an Envoy can be asked about where none of the proxy's files and servers are.

`envoy --mode validate` reads a bootstrap and fetches nothing, so what a proxy would fetch has to stand inside. Every
substitution here keeps whatever Envoy can find wrong (tried on Envoy 1.40):

- a cluster's endpoints from EDS become its own: EDS and STATIC clusters check addresses, weights and priorities alike;
- a route configuration from RDS stands in its HTTP connection manager, as lenient about unknown clusters as RDS is;
- certificates from SDS or from the proxy's own disk become one that is built in, since Envoy checks cipher suites and
  versions only when it has a certificate;
- log files are `/dev/null`, because Envoy opens them even in validate mode.

Pure: the view is not changed, and nothing is read.
"""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import envoy.extensions.access_loggers.file.v3.file_pb2
import envoy.extensions.transport_sockets.tls.v3.tls_pb2  # noqa: F401 -- has to be in the descriptor pool, for `Any`s
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from google.protobuf import descriptor_pool, message_factory

from reconciler.compile.bootstrap_admin import LISTENER_NAME as OBSERVER
from reconciler.compile.bootstrap_metrics import LISTENER_NAME as METRICS
from reconciler.model.protos import children, decode, encode, may_hold_any
from reconciler.model.resource import ResourceType, View

_ANY = "google.protobuf.Any"
_TLS = "envoy.extensions.transport_sockets.tls.v3.CommonTlsContext"
_FILE_LOG = "envoy.extensions.access_loggers.file.v3.FileAccessLog"
_DEV_NULL = "/dev/null"

_CERTIFICATE = (
    "MIIBGjCBwqADAgECAgEBMAoGCCqGSM49BAMCMAwxCjAIBgNVBAMMAXgwIBcNMDAwMTAxMDAwMDAwWhgPOTk5OTAxMDEwMDAwMDBaMAwxCjAIBgNVBAMM"
    "AXgwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARrF9Hy4SxCR/i85uVjpEDydwN9gS3rM6D0oTlF2JjClk/jQuL+Gn+bjufrSnwPnhYrzjNXazFezsu2"
    "QGg3v1H1oxMwETAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIC25th/qzMjeDqkuOrZt7AGqjfnhZlgxmMX3gx0a88v5AiAJrRuuGEn6"
    "8IAn/TmsBazT1M43XXuTg7od8OHu0expcw=="
)
"""A certificate of nobody: its private key is the number 1, so it can protect nothing and is no secret."""

_NUMBER_ONE = (
    "MHcCAQEEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABoAoGCCqGSM49AwEHoUQDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiY"
    "wpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q=="
)


@dataclass(frozen=True, slots=True)
class Offline:
    """A view's clusters and listeners with nothing outside of them, in the view's order."""

    clusters: tuple[Any, ...]
    listeners: tuple[Any, ...]


def offline(view: View) -> Offline:
    """The clusters and listeners of a view, self-contained. Fresh messages: the caller owns them."""
    endpoints = {item.id.name: item for item in view.of_type(ResourceType.ENDPOINTS)}
    routes = {item.id.name: item for item in view.of_type(ResourceType.ROUTE)}
    clusters = []
    for item in view.of_type(ResourceType.CLUSTER):
        cluster: Any = without_files(decode(item))
        if cluster.type == Cluster.EDS:
            name = cluster.eds_cluster_config.service_name or cluster.name
            cluster.type = Cluster.STATIC
            cluster.ClearField("eds_cluster_config")
            if name in endpoints:
                cluster.load_assignment.CopyFrom(decode(endpoints[name]))
            cluster.load_assignment.cluster_name = name
        clusters.append(cluster)
    listeners = []
    for item in view.of_type(ResourceType.LISTENER):
        listener: Any = without_files(decode(item))
        for network_filter, manager in managers(listener):
            if manager.HasField("rds"):
                _inline(manager, routes.get(manager.rds.route_config_name))
                network_filter.typed_config.Pack(manager, deterministic=True)
        listeners.append(listener)
    return Offline(tuple(clusters), tuple(listeners))


def offline_bootstrap(message: Bootstrap) -> Any:
    """A proxy's bootstrap for a run that fetches nothing and serves nobody: who the proxy is and where it is are left out."""
    out = Bootstrap()
    out.CopyFrom(message)
    out.ClearField("dynamic_resources")
    out.ClearField("node")
    out.node.id = out.node.cluster = "validate"
    if out.HasField("admin"):
        out.admin.ClearField("address")
        out.admin.address.socket_address.address = "127.0.0.1"
        out.admin.address.socket_address.port_value = 0
    for listener in out.static_resources.listeners:
        if listener.name in {OBSERVER, METRICS}:  # where it listens would clash with another proxy's
            listener.address.socket_address.port_value = 0
    return without_files(out)


def managers(listener: Any) -> Iterator[tuple[Any, Any]]:
    """Every HTTP connection manager of a listener: its network filter, and the message inside it, a copy."""
    for chain in chains(listener):
        for network_filter in chain.filters:
            manager = HttpConnectionManager()
            if network_filter.typed_config.Is(manager.DESCRIPTOR):
                network_filter.typed_config.Unpack(manager)
                yield network_filter, manager


def chains(listener: Any) -> list[Any]:
    """A listener's filter chains, the default one last."""
    default = [listener.default_filter_chain] if listener.HasField("default_filter_chain") else []
    return [*listener.filter_chains, *default]


def _inline(manager: Any, routes: Any) -> None:
    name = manager.rds.route_config_name
    manager.ClearField("rds")
    manager.route_config.name = name
    if routes is not None:
        manager.route_config.CopyFrom(without_files(decode(routes)))
    if not manager.route_config.HasField("validate_clusters"):  # by default true inside a manager, and false from RDS
        manager.route_config.validate_clusters.value = False


def without_files(message: Any) -> Any:
    """The message itself, with the files that its proxy's host has replaced by what can be checked anywhere."""
    name = message.DESCRIPTOR.full_name
    if name == _ANY:
        _unpacked(message)
    elif name == _FILE_LOG and message.path:
        message.path = _DEV_NULL
    elif name == _TLS:
        _certificates(message)
    else:
        for field, value in message.ListFields():
            if field.message_type is None or not may_hold_any(field.message_type):
                continue
            for child in children(field, value):
                without_files(child)
    return message


def _unpacked(packed: Any) -> None:
    try:
        descriptor = descriptor_pool.Default().FindMessageTypeByName(packed.TypeName())
    except KeyError:  # only Envoy knows this type
        return
    inner = message_factory.GetMessageClass(descriptor)()
    inner.ParseFromString(packed.value)
    packed.value = encode(without_files(inner))


def _certificates(context: Any) -> None:
    """SDS and files of a TLS context; as many certificates as there were, because Envoy counts them."""
    for pair in context.tls_certificates:
        _settle(pair.certificate_chain, certificate())
        _settle(pair.private_key, _pem("EC PRIVATE KEY", _NUMBER_ONE))
    for _ in context.tls_certificate_sds_secret_configs:
        pair = context.tls_certificates.add()
        pair.certificate_chain.inline_string = certificate()
        pair.private_key.inline_string = _pem("EC PRIVATE KEY", _NUMBER_ONE)
    del context.tls_certificate_sds_secret_configs[:]
    kind = context.WhichOneof("validation_context_type")
    if kind == "combined_validation_context":
        default = type(context.combined_validation_context.default_validation_context)()
        default.CopyFrom(context.combined_validation_context.default_validation_context)
        context.validation_context.CopyFrom(default)
        context.validation_context.trusted_ca.inline_string = certificate()
    elif kind == "validation_context_sds_secret_config":
        context.validation_context.trusted_ca.inline_string = certificate()
    elif kind == "validation_context":
        _settle(context.validation_context.trusted_ca, certificate())
    if context.WhichOneof("validation_context_type") and context.validation_context.crl.filename:
        context.validation_context.ClearField("crl")


def _settle(source: Any, text: str) -> None:
    if source.filename:
        source.inline_string = text


def certificate() -> str:
    """The certificate that stands for all others, as PEM."""
    return _pem("CERTIFICATE", _CERTIFICATE)


def _pem(what: str, text: str) -> str:
    body = "\n".join(textwrap.wrap(base64.b64encode(base64.b64decode(text)).decode(), 64))
    return f"-----BEGIN {what}-----\n{body}\n-----END {what}-----\n"
